//! Reads of people and of what lets them in.

use sqlx::{query_as, query_scalar};

use super::{AuditRecord, StoredKey, StoredPasskey, StoredPerson, StoredSession};
use crate::store::database::rows::row;
use crate::store::{Result, Store};

row! {
    pub(super) struct PersonRow {
        id: String,
        owner: String,
        email: String,
        name: String,
        role: String,
        member_of: String,
        password: Option<String>,
        disabled_at: Option<i64>,
        created_at: i64,
    }
}

row! {
    struct SessionRow {
        hash: String,
        id: String,
        person: String,
        created_at: i64,
        seen_at: i64,
        expires_at: i64,
        address: String,
        agent: String,
    }
}

row! {
    struct KeyRow {
        hash: String,
        id: String,
        person: String,
        name: String,
        scopes: String,
        created_at: i64,
        seen_at: Option<i64>,
        expires_at: Option<i64>,
    }
}

row! {
    struct PasskeyRow {
        id: String,
        person: String,
        name: String,
        credential: String,
        created_at: i64,
        seen_at: Option<i64>,
    }
}

row! {
    /// An invitation as stored.
    #[derive(Debug, Clone)]
    pub struct InvitationRow {
        email: String,
        role: String,
        person: Option<String>,
        created_at: i64,
        expires_at: i64,
        used_at: Option<i64>,
    }
}

row! {
    struct AuditRow {
        at: i64,
        what: String,
        actor: String,
        subject: String,
        address: String,
    }
}

impl InvitationRow {
    /// The email of the invited person.
    #[must_use]
    pub fn email(&self) -> &str {
        &self.email
    }

    /// The role of the invited person.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }

    /// Whether it sets the password of a person anew.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        self.person.is_some()
    }

    /// When it was made and when it ends.
    #[must_use]
    pub fn times(&self) -> (i64, i64) {
        (self.created_at, self.expires_at)
    }

    /// Whether it can be used at this time.
    #[must_use]
    pub fn is_open(&self, now: i64) -> bool {
        self.used_at.is_none() && self.expires_at > now
    }

    /// Whether it was used.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.used_at.is_some()
    }
}

/// A session with its person, who is not disabled.
pub type SessionHolder = (StoredSession, StoredPerson);
/// A key with its person, who is not disabled.
pub type KeyHolder = (StoredKey, StoredPerson);

impl Store {
    /// The person with this email.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn person_by_email(&self, email: &str) -> Result<StoredPerson> {
        let found: PersonRow = query_as("select * from people where email = $1")
            .bind(email)
            .fetch_one(self.single_read())
            .await?;
        Ok(found.into())
    }

    /// The person with this id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn person(&self, id: &str) -> Result<StoredPerson> {
        let found: PersonRow = query_as("select * from people where id = $1")
            .bind(id)
            .fetch_one(self.single_read())
            .await?;
        Ok(found.into())
    }

    /// All people, by email.
    ///
    /// # Errors
    /// `Failed`.
    pub async fn people(&self) -> Result<Vec<StoredPerson>> {
        let found: Vec<PersonRow> = query_as("select * from people order by email")
            .fetch_all(self.single_read())
            .await?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    /// Whether an admin can sign in.
    ///
    /// # Errors
    /// `Failed`.
    pub async fn has_admin(&self) -> Result<bool> {
        let admins: i64 = query_scalar(
            "select count(*) from people where role = 'admin' and disabled_at is null",
        )
        .fetch_one(self.single_read())
        .await?;
        Ok(admins > 0)
    }

    /// The session with the hash, and its person, who is not disabled.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn session(&self, hash: &str) -> Result<SessionHolder> {
        let session: SessionRow = query_as("select * from sessions where hash = $1")
            .bind(hash)
            .fetch_one(self.single_read())
            .await?;
        let person: PersonRow =
            query_as("select * from people where id = $1 and disabled_at is null")
                .bind(&session.person)
                .fetch_one(self.single_read())
                .await?;
        Ok((session.into(), person.into()))
    }

    /// The key with the hash, and its person, who is not disabled.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn api_key(&self, hash: &str) -> Result<KeyHolder> {
        let key: KeyRow = query_as("select * from api_keys where hash = $1")
            .bind(hash)
            .fetch_one(self.single_read())
            .await?;
        let person: PersonRow =
            query_as("select * from people where id = $1 and disabled_at is null")
                .bind(&key.person)
                .fetch_one(self.single_read())
                .await?;
        Ok((key.into(), person.into()))
    }

    /// The sessions of a person, the last used first.
    ///
    /// # Errors
    /// `Failed`.
    pub async fn sessions_of(&self, person: &str) -> Result<Vec<StoredSession>> {
        let found: Vec<SessionRow> =
            query_as("select * from sessions where person = $1 order by seen_at desc, id")
                .bind(person)
                .fetch_all(self.single_read())
                .await?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    /// The keys of a person, the newest first.
    ///
    /// # Errors
    /// `Failed`.
    pub async fn keys_of(&self, person: &str) -> Result<Vec<StoredKey>> {
        let found: Vec<KeyRow> =
            query_as("select * from api_keys where person = $1 order by created_at desc, id desc")
                .bind(person)
                .fetch_all(self.single_read())
                .await?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    /// The passkeys of a person, the newest first.
    ///
    /// # Errors
    /// `Failed`.
    pub async fn passkeys_of(&self, person: &str) -> Result<Vec<StoredPasskey>> {
        let found: Vec<PasskeyRow> =
            query_as("select * from passkeys where person = $1 order by created_at desc, id")
                .bind(person)
                .fetch_all(self.single_read())
                .await?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    /// The passkey with this id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn passkey(&self, id: &str) -> Result<StoredPasskey> {
        let found: PasskeyRow = query_as("select * from passkeys where id = $1")
            .bind(id)
            .fetch_one(self.single_read())
            .await?;
        Ok(found.into())
    }

    /// The invitation with the hash, also if it was used.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn invitation(&self, hash: &str) -> Result<InvitationRow> {
        let found = query_as("select * from invitations where hash = $1")
            .bind(hash)
            .fetch_one(self.single_read())
            .await?;
        Ok(found)
    }

    /// The invitations that can be used at this time, by email.
    ///
    /// # Errors
    /// `Failed`.
    pub async fn open_invitations(&self, now: i64) -> Result<Vec<InvitationRow>> {
        let found = query_as(
            "select * from invitations where used_at is null and expires_at > $1 order by email",
        )
        .bind(now)
        .fetch_all(self.single_read())
        .await?;
        Ok(found)
    }

    /// The newest lines of the record since this time, the newest first.
    ///
    /// # Errors
    /// `Failed`.
    pub async fn audit_since(&self, time: i64, limit: i64) -> Result<Vec<AuditRecord>> {
        let found: Vec<AuditRow> = query_as(
            "select at, what, actor, subject, address from audit where at >= $1
             order by at desc, key desc limit $2",
        )
        .bind(time)
        .bind(limit)
        .fetch_all(self.single_read())
        .await?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    /// The epoch of access, which grows with each change that can end a session or a key.
    ///
    /// # Errors
    /// `Failed`.
    pub async fn access_epoch(&self) -> Result<i64> {
        Ok(query_scalar("select max(epoch) from access_epoch")
            .fetch_one(self.single_read())
            .await?)
    }
}

impl From<PersonRow> for StoredPerson {
    fn from(row: PersonRow) -> Self {
        Self {
            id: row.id,
            owner: row.owner,
            email: row.email,
            name: row.name,
            role: row.role,
            member_of: row.member_of,
            password: row.password,
            disabled_at: row.disabled_at,
            created_at: row.created_at,
        }
    }
}

impl From<SessionRow> for StoredSession {
    fn from(row: SessionRow) -> Self {
        Self {
            hash: row.hash,
            id: row.id,
            person: row.person,
            created_at: row.created_at,
            seen_at: row.seen_at,
            expires_at: row.expires_at,
            address: row.address,
            agent: row.agent,
        }
    }
}

impl From<KeyRow> for StoredKey {
    fn from(row: KeyRow) -> Self {
        Self {
            hash: row.hash,
            id: row.id,
            person: row.person,
            name: row.name,
            scopes: row.scopes,
            created_at: row.created_at,
            seen_at: row.seen_at,
            expires_at: row.expires_at,
        }
    }
}

impl From<PasskeyRow> for StoredPasskey {
    fn from(row: PasskeyRow) -> Self {
        Self {
            id: row.id,
            person: row.person,
            name: row.name,
            credential: row.credential,
            created_at: row.created_at,
            seen_at: row.seen_at,
        }
    }
}

impl From<AuditRow> for AuditRecord {
    fn from(row: AuditRow) -> Self {
        Self {
            at: row.at,
            what: row.what,
            actor: row.actor,
            subject: row.subject,
            address: row.address,
        }
    }
}
