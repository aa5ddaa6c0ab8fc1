//! Changes of people and of what lets them in.

use sqlx::{query, query_scalar};

use super::AuditRecord;
use crate::store::database::transaction::TransactionConnection;
use crate::store::{LOCAL_OWNER, Result, Store, StoreError};

/// A new person.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// The id, which is also the owner of the person's rows.
    pub id: String,
    /// The email, in lower case and NFC.
    pub email: String,
    /// The email as it looks.
    pub likeness: String,
    /// The name; it may be empty.
    pub name: String,
    /// `member` or `admin`.
    pub role: String,
}

/// A new session.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The hash of the secret.
    pub hash: String,
    /// The id.
    pub id: String,
    /// The id of the person.
    pub person: String,
    /// When it ends in any case.
    pub expires_at: i64,
    /// The browser.
    pub agent: String,
    /// The hash of the session that it replaces.
    pub replaces: Option<String>,
    /// The token by which a provider of OpenID Connect recognizes the session.
    pub id_token: Option<String>,
}

/// A person as a provider of OpenID Connect names them.
#[derive(Debug, Clone)]
pub struct ProviderPerson {
    /// The provider.
    pub issuer: String,
    /// The provider's name for the person.
    pub subject: String,
    /// The person as added if there is no account yet. The role is that of an invitation, if there is one.
    pub person: NewPerson,
    /// The role that the provider gives the person, if it gives roles.
    pub role: Option<String>,
    /// The groups that the provider gives the person, as a JSON list, if it gives any.
    pub groups: Option<String>,
}

/// A new key for programs.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The hash of the secret.
    pub hash: String,
    /// The id.
    pub id: String,
    /// The id of the person.
    pub person: String,
    /// The name.
    pub name: String,
    /// The scopes, as a JSON list.
    pub scopes: String,
    /// When it ends.
    pub expires_at: Option<i64>,
}

/// A new passkey.
#[derive(Debug, Clone)]
pub struct NewPasskey {
    /// The id of the credential, in hexadecimal.
    pub id: String,
    /// The id of the person.
    pub person: String,
    /// What the person knows it by.
    pub name: String,
    /// The public key and what is checked with it, as JSON.
    pub credential: String,
}

/// A new invitation.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// The hash of the secret in the link.
    pub hash: String,
    /// The email, in lower case and NFC.
    pub email: String,
    /// The email as it looks.
    pub likeness: String,
    /// `member` or `admin`.
    pub role: String,
    /// The id of the person whose password it sets anew.
    pub person: Option<String>,
    /// When it ends.
    pub expires_at: i64,
}

/// A change of people, or of what lets them in.
#[derive(Debug, Clone)]
pub enum PeopleChange {
    /// Only a record: a failed sign-in, an export.
    Note,
    /// Invites somebody, in place of an earlier invitation.
    Invite(NewInvitation),
    /// Uses an invitation: adds the person, or sets the password of the person whom it names and ends the sessions.
    Join {
        /// The hash of the secret in the link.
        invitation: String,
        /// The id of the person if it is a new one.
        new_id: String,
        /// The name of the person if it is a new one.
        name: String,
        /// The hash of the password.
        password: String,
    },
    /// Adds a person whom a trusted proxy names.
    Add(NewPerson),
    /// Adds a person whom a provider names, or notes by which name the provider knows the person with this email, and
    /// what it says about role and groups. Other sessions end if the role changes.
    Meet(ProviderPerson),
    /// Begins a session.
    SignIn(NewSession),
    /// Ends a session of a person.
    EndSession {
        /// The id of the person.
        person: String,
        /// The id of the session.
        id: String,
    },
    /// Ends all sessions of a person but this one.
    EndSessions {
        /// The id of the person.
        person: String,
        /// The id of the session that stays.
        except: Option<String>,
    },
    /// Changes the name of a person.
    Rename {
        /// The id of the person.
        person: String,
        /// The new name.
        name: String,
    },
    /// Changes the password of a person, and ends all sessions.
    SetPassword {
        /// The id of the person.
        person: String,
        /// The hash of the new password.
        password: String,
    },
    /// Changes the role of a person, and ends all sessions. The last admin stays one.
    SetRole {
        /// The id of the person.
        person: String,
        /// `member` or `admin`.
        role: String,
    },
    /// Disables or enables a person. Disabling ends all sessions. The last admin stays.
    SetDisabled {
        /// The id of the person.
        person: String,
        /// Whether the person may not use the server.
        disabled: bool,
    },
    /// Removes a person, and marks the person's conversations for removal. The last admin stays.
    Delete {
        /// The id of the person.
        person: String,
    },
    /// Gives a person the conversations of a server without accounts.
    Adopt {
        /// The id of the person.
        person: String,
    },
    /// Adds a passkey.
    AddPasskey(NewPasskey),
    /// Notes that a passkey was used.
    UsePasskey {
        /// The id of the credential.
        id: String,
        /// The credential as it is from now on.
        credential: String,
    },
    /// Removes a passkey.
    RemovePasskey {
        /// The id of the person.
        person: String,
        /// The id of the credential.
        id: String,
    },
    /// Makes a key.
    CreateKey(NewKey),
    /// Revokes a key.
    RevokeKey {
        /// The id of the person.
        person: String,
        /// The id of the key.
        id: String,
    },
}

impl PeopleChange {
    /// Whether a session, a key or what they may do can end by it.
    fn ends_something(&self) -> bool {
        match self {
            Self::Note
            | Self::Invite(_)
            | Self::Add(_)
            | Self::CreateKey(_)
            | Self::AddPasskey(_)
            | Self::UsePasskey { .. }
            | Self::RemovePasskey { .. } => false,
            Self::SignIn(session) => session.replaces.is_some(),
            _ => true,
        }
    }
}

impl Store {
    /// Changes people and records it.
    ///
    /// # Errors
    /// `NotFound` where what is changed does not exist, `Invalid` with a sentence where the change is refused.
    pub async fn change_people(&self, change: &PeopleChange, record: &AuditRecord) -> Result<()> {
        let mut tx = self.transaction().await?;
        self.apply(&mut tx, change, record).await?;
        query("insert into audit (at, what, actor, subject, address) values ($1, $2, $3, $4, $5)")
            .bind(record.at)
            .bind(&record.what)
            .bind(self.database.text(&record.actor))
            .bind(self.database.text(&record.subject))
            .bind(&record.address)
            .execute(&mut *tx)
            .await?;
        if change.ends_something() {
            query("update access_epoch set epoch = epoch + 1")
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await
    }

    /// Notes when sessions and keys were last used, by their hashes, and removes sessions that have expired or were
    /// not used since `idle_since`, and invitations that ended long ago.
    ///
    /// # Errors
    /// `Failed`.
    pub async fn note_uses(&self, uses: &[(String, i64)], idle_since: i64, now: i64) -> Result<()> {
        let mut tx = self.transaction().await?;
        for (hash, at) in uses {
            for sql in [
                "update sessions set seen_at = $2 where hash = $1",
                "update api_keys set seen_at = $2 where hash = $1",
            ] {
                query(sql).bind(hash).bind(at).execute(&mut *tx).await?;
            }
        }
        query("delete from sessions where expires_at <= $1 or seen_at <= $2")
            .bind(now)
            .bind(idle_since)
            .execute(&mut *tx)
            .await?;
        query("delete from invitations where expires_at <= $1")
            .bind(now - INVITATIONS_KEPT)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    async fn apply(
        &self,
        tx: &mut TransactionConnection,
        change: &PeopleChange,
        record: &AuditRecord,
    ) -> Result<()> {
        match change {
            PeopleChange::Note => Ok(()),
            PeopleChange::Invite(invitation) => invite(tx, invitation, record.at).await,
            PeopleChange::Join {
                invitation,
                new_id,
                name,
                password,
            } => {
                let name = self.database.text(name);
                join(tx, invitation, (new_id, &name, password), record.at).await
            }
            PeopleChange::Add(person) => add(tx, person, None, record.at).await,
            PeopleChange::Meet(met) => self.meet(tx, met, record.at).await,
            PeopleChange::SignIn(session) => self.sign_in(tx, session, record).await,
            PeopleChange::EndSession { person, id } => {
                let ended = query("delete from sessions where person = $1 and id = $2")
                    .bind(person)
                    .bind(id)
                    .execute(tx)
                    .await?;
                found(ended.rows_affected())
            }
            PeopleChange::EndSessions { person, except } => {
                end_sessions(tx, person, except.as_deref()).await
            }
            PeopleChange::Rename { person, name } => {
                let name = self.database.text(name);
                set(
                    tx,
                    "update people set name = $2 where id = $1",
                    person,
                    &name,
                )
                .await
            }
            PeopleChange::SetPassword { person, password } => {
                set(
                    tx,
                    "update people set password = $2 where id = $1",
                    person,
                    password,
                )
                .await?;
                end_sessions(tx, person, None).await
            }
            PeopleChange::SetRole { person, role } => {
                if role != "admin" {
                    keep_an_admin(tx, person).await?;
                }
                set(
                    tx,
                    "update people set role = $2 where id = $1",
                    person,
                    role,
                )
                .await?;
                end_sessions(tx, person, None).await
            }
            PeopleChange::SetDisabled { person, disabled } => {
                disable(tx, person, disabled.then_some(record.at)).await
            }
            PeopleChange::Delete { person } => delete(tx, person).await,
            PeopleChange::Adopt { person } => adopt(tx, person).await,
            PeopleChange::AddPasskey(passkey) => self.add_passkey(tx, passkey, record.at).await,
            PeopleChange::UsePasskey { id, credential } => {
                let used = query("update passkeys set credential = $2, seen_at = $3 where id = $1")
                    .bind(id)
                    .bind(credential)
                    .bind(record.at)
                    .execute(tx)
                    .await?;
                found(used.rows_affected())
            }
            PeopleChange::RemovePasskey { person, id } => {
                let removed = query("delete from passkeys where person = $1 and id = $2")
                    .bind(person)
                    .bind(id)
                    .execute(tx)
                    .await?;
                found(removed.rows_affected())
            }
            PeopleChange::CreateKey(key) => self.create_key(tx, key, record.at).await,
            PeopleChange::RevokeKey { person, id } => {
                let revoked = query("delete from api_keys where person = $1 and id = $2")
                    .bind(person)
                    .bind(id)
                    .execute(tx)
                    .await?;
                found(revoked.rows_affected())
            }
        }
    }

    async fn sign_in(
        &self,
        tx: &mut TransactionConnection,
        session: &NewSession,
        record: &AuditRecord,
    ) -> Result<()> {
        if let Some(replaced) = &session.replaces {
            query("delete from sessions where hash = $1")
                .bind(replaced)
                .execute(&mut *tx)
                .await?;
        }
        // The person may have been disabled since the password was checked.
        let begun = query(
            "insert into sessions (hash, id, person, created_at, seen_at, expires_at, address, agent, id_token)
             select $1, $2, id, $4, $4, $5, $6, $7, $8 from people where id = $3 and disabled_at is null",
        )
        .bind(&session.hash)
        .bind(&session.id)
        .bind(&session.person)
        .bind(record.at)
        .bind(session.expires_at)
        .bind(&record.address)
        .bind(self.database.text(&session.agent))
        .bind(session.id_token.as_deref())
        .execute(tx)
        .await?;
        found(begun.rows_affected())
    }

    async fn add_passkey(
        &self,
        tx: &mut TransactionConnection,
        passkey: &NewPasskey,
        now: i64,
    ) -> Result<()> {
        let added = query(
            "insert into passkeys (id, person, name, credential, created_at)
             select $1, id, $3, $4, $5 from people where id = $2 and disabled_at is null on conflict do nothing",
        )
        .bind(&passkey.id)
        .bind(&passkey.person)
        .bind(self.database.text(&passkey.name))
        .bind(&passkey.credential)
        .bind(now)
        .execute(tx)
        .await?;
        found(added.rows_affected())
    }

    async fn create_key(
        &self,
        tx: &mut TransactionConnection,
        key: &NewKey,
        now: i64,
    ) -> Result<()> {
        let created = query(
            "insert into api_keys (hash, id, person, name, scopes, created_at, expires_at)
             select $1, $2, id, $4, $5, $6, $7 from people where id = $3 and disabled_at is null",
        )
        .bind(&key.hash)
        .bind(&key.id)
        .bind(&key.person)
        .bind(self.database.text(&key.name))
        .bind(&key.scopes)
        .bind(now)
        .bind(key.expires_at)
        .execute(tx)
        .await?;
        found(created.rows_affected())
    }
}

/// How long invitations are kept after they have ended, so that their page can say so: 30 days in milliseconds.
const INVITATIONS_KEPT: i64 = 30 * 24 * 60 * 60 * 1000;

pub(super) const TAKEN: StoreError =
    StoreError::Invalid("There is an account with this email, or with one that looks the same.");

async fn invite(tx: &mut TransactionConnection, new: &NewInvitation, now: i64) -> Result<()> {
    if new.person.is_none() {
        let taken: i64 =
            query_scalar("select count(*) from people where email = $1 or likeness = $2")
                .bind(&new.email)
                .bind(&new.likeness)
                .fetch_one(&mut *tx)
                .await?;
        if taken > 0 {
            return Err(TAKEN);
        }
    }
    query("delete from invitations where email = $1 and used_at is null")
        .bind(&new.email)
        .execute(&mut *tx)
        .await?;
    query(
        "insert into invitations (hash, email, likeness, role, person, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&new.hash)
    .bind(&new.email)
    .bind(&new.likeness)
    .bind(&new.role)
    .bind(new.person.as_deref())
    .bind(now)
    .bind(new.expires_at)
    .execute(tx)
    .await?;
    Ok(())
}

/// The id, the name and the hash of the password of a person who joins.
type Joining<'a> = (&'a str, &'a str, &'a str);

async fn join(
    tx: &mut TransactionConnection,
    invitation: &str,
    (new_id, name, password): Joining<'_>,
    now: i64,
) -> Result<()> {
    // Whoever uses it first has it.
    let used = query(
        "update invitations set used_at = $2 where hash = $1 and used_at is null and expires_at > $2",
    )
    .bind(invitation)
    .bind(now)
    .execute(&mut *tx)
    .await?;
    found(used.rows_affected())?;
    let person: Option<String> = query_scalar("select person from invitations where hash = $1")
        .bind(invitation)
        .fetch_one(&mut *tx)
        .await?;
    if let Some(person) = person {
        set(
            tx,
            "update people set password = $2 where id = $1",
            &person,
            password,
        )
        .await?;
        return end_sessions(tx, &person, None).await;
    }
    let (email, likeness, role): (String, String, String) =
        sqlx::query_as("select email, likeness, role from invitations where hash = $1")
            .bind(invitation)
            .fetch_one(&mut *tx)
            .await?;
    let person = NewPerson {
        id: new_id.to_owned(),
        email,
        likeness,
        name: name.to_owned(),
        role,
    };
    add(tx, &person, Some(password), now).await
}

pub(super) async fn add(
    tx: &mut TransactionConnection,
    person: &NewPerson,
    password: Option<&str>,
    now: i64,
) -> Result<()> {
    let added = query(
        "insert into people (id, owner, email, likeness, name, role, password, created_at)
         values ($1, $1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
    )
    .bind(&person.id)
    .bind(&person.email)
    .bind(&person.likeness)
    .bind(&person.name)
    .bind(&person.role)
    .bind(password)
    .bind(now)
    .execute(tx)
    .await?;
    if added.rows_affected() == 0 {
        return Err(TAKEN);
    }
    Ok(())
}

/// Runs a statement that sets one value of a person.
pub(super) async fn set(
    tx: &mut TransactionConnection,
    sql: &'static str,
    person: &str,
    value: &str,
) -> Result<()> {
    let changed = query(sql).bind(person).bind(value).execute(tx).await?;
    found(changed.rows_affected())
}

pub(super) async fn end_sessions(
    tx: &mut TransactionConnection,
    person: &str,
    except: Option<&str>,
) -> Result<()> {
    query("delete from sessions where person = $1 and id <> $2")
        .bind(person)
        .bind(except.unwrap_or_default())
        .execute(tx)
        .await?;
    Ok(())
}

async fn disable(tx: &mut TransactionConnection, person: &str, since: Option<i64>) -> Result<()> {
    if since.is_some() {
        keep_an_admin(tx, person).await?;
    }
    let changed = query("update people set disabled_at = $2 where id = $1")
        .bind(person)
        .bind(since)
        .execute(&mut *tx)
        .await?;
    found(changed.rows_affected())?;
    if since.is_none() {
        return Ok(());
    }
    end_sessions(tx, person, None).await
}

async fn delete(tx: &mut TransactionConnection, person: &str) -> Result<()> {
    keep_an_admin(tx, person).await?;
    let owner: String = query_scalar("select owner from people where id = $1")
        .bind(person)
        .fetch_one(&mut *tx)
        .await?;
    // The purge removes them in small steps. The time lies so far back that nothing can be restored.
    query("update conversations set deleted_at = 1 where owner = $1")
        .bind(&owner)
        .execute(&mut *tx)
        .await?;
    query("delete from presets where owner = $1")
        .bind(owner)
        .execute(&mut *tx)
        .await?;
    for sql in [
        "delete from identities where person = $1",
        "delete from passkeys where person = $1",
        "delete from sessions where person = $1",
        "delete from api_keys where person = $1",
        "delete from invitations where person = $1",
        "delete from people where id = $1",
    ] {
        query(sql).bind(person).execute(&mut *tx).await?;
    }
    Ok(())
}

async fn adopt(tx: &mut TransactionConnection, person: &str) -> Result<()> {
    let (owner, own): (String, i64) = sqlx::query_as(
        "select p.owner, (select count(*) from conversations c where c.owner = p.owner) from people p
         where p.id = $1",
    )
    .bind(person)
    .fetch_one(&mut *tx)
    .await?;
    if owner == LOCAL_OWNER {
        return Err(StoreError::Invalid(
            "This person has the conversations of the server without accounts already.",
        ));
    }
    if own > 0 {
        return Err(StoreError::Invalid(
            "This person has conversations already: adopt with another account that has none.",
        ));
    }
    let is_taken: i64 = query_scalar("select count(*) from people where owner = $1")
        .bind(LOCAL_OWNER)
        .fetch_one(&mut *tx)
        .await?;
    if is_taken > 0 {
        return Err(StoreError::Invalid(
            "Another person has the conversations of the server without accounts.",
        ));
    }
    set(
        tx,
        "update people set owner = $2 where id = $1",
        person,
        LOCAL_OWNER,
    )
    .await
}

/// Refuses to take the only admin away, unless nobody else is there.
pub(super) async fn keep_an_admin(tx: &mut TransactionConnection, person: &str) -> Result<()> {
    let (only, others): (i64, i64) = sqlx::query_as(
        "select
             (select count(*) from people where id = $1 and role = 'admin' and disabled_at is null
                 and not exists (select 1 from people where id <> $1 and role = 'admin' and disabled_at is null)),
             (select count(*) from people where id <> $1)",
    )
    .bind(person)
    .fetch_one(tx)
    .await?;
    if only > 0 && others > 0 {
        return Err(StoreError::Invalid(
            "This is the only admin: make another person one first.",
        ));
    }
    Ok(())
}

fn found(rows: u64) -> Result<()> {
    if rows == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}
