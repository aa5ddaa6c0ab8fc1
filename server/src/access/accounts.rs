//! What people and admins do with accounts. Each change is recorded and logged, and ends at once what it ends.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::email::AccountName;
use super::guesses::Guess;
use super::live::{BY_PROXY, Kind};
use super::person::{Caller, Role, Scope};
use super::secret::{KEY_PREFIX, hash_of, hash_of_key, new_secret};
use super::{Access, password};
use crate::store::people::{
    AuditRecord, InvitationRow, NewInvitation, NewKey, NewPerson, NewSession, PeopleChange,
};
use crate::store::{Store, StoreError, new_id, now};

/// How long a link lets somebody in: 24 hours.
pub const LINK_LIVES: Duration = Duration::from_secs(24 * 60 * 60);

/// Who does something, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// An email, or `command line`.
    pub name: String,
    /// The address; empty on the command line.
    pub address: String,
    /// The browser.
    pub agent: String,
}

impl Actor {
    /// Whoever runs a command on the server's machine.
    #[must_use]
    pub fn command_line() -> Self {
        Self {
            name: "command line".to_owned(),
            address: String::new(),
            agent: String::new(),
        }
    }
}

/// Who signs in.
pub(crate) struct NewSignIn<'a> {
    /// The id of the person.
    pub(super) person: &'a str,
    /// The email of the person, for the record.
    pub(super) email: &'a str,
    /// The secret of the session that ends by it.
    pub(super) replaces: Option<&'a str>,
    /// The token by which a provider recognizes the session.
    pub(super) id_token: Option<String>,
}

impl<'a> NewSignIn<'a> {
    pub(super) fn of(person: &'a str, email: &'a str, replaces: Option<&'a str>) -> Self {
        Self {
            person,
            email,
            replaces,
            id_token: None,
        }
    }
}

/// Why a change was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// What is changed does not exist.
    #[error("There is no such account, session, key or link.")]
    NotFound,
    /// A sentence for the person.
    #[error("{0}")]
    Sentence(String),
    /// Too many failures: the time until the next attempt.
    #[error("Too many attempts failed. Wait a little.")]
    TooMany(Duration),
    /// The database failed. The cause is in the log.
    #[error("The database failed: look at the log.")]
    Failed,
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::NotFound,
            StoreError::Invalid(sentence) => Self::Sentence(sentence.to_owned()),
            StoreError::Failed(cause) => {
                tracing::error!(cause, "the database failed");
                Self::Failed
            }
        }
    }
}

/// The sentence of every failed sign-in, whatever was wrong.
pub const WRONG: &str = "This email and this password do not belong together.";

/// Changes people and records it, without a server that keeps anything in memory.
pub(super) async fn change(
    store: &Store,
    what: &'static str,
    actor: &Actor,
    subject: &str,
    change: PeopleChange,
) -> Result<(), Refused> {
    let record = AuditRecord {
        at: now(),
        what: what.to_owned(),
        actor: actor.name.clone(),
        subject: subject.to_owned(),
        address: actor.address.clone(),
    };
    store.change_people(&change, &record).await?;
    tracing::info!(
        actor = record.actor,
        subject,
        address = record.address,
        "audit: {what}"
    );
    Ok(())
}

/// Invites somebody. Returns the secret of the link.
///
/// # Errors
/// When the email is none, or there is an account with it or one that looks like it.
pub(super) async fn invite(
    store: &Store,
    actor: &Actor,
    email: &str,
    role: Role,
) -> Result<String, Refused> {
    let name = AccountName::email(email).ok_or_else(no_email)?;
    let secret = new_secret();
    let invitation = NewInvitation {
        hash: hash_of(&secret).expect("a new secret"),
        email: name.name.clone(),
        likeness: name.likeness,
        role: role.as_str().to_owned(),
        person: None,
        expires_at: after(LINK_LIVES),
    };
    change(
        store,
        "invited",
        actor,
        &name.name,
        PeopleChange::Invite(invitation),
    )
    .await?;
    Ok(secret)
}

/// Makes a link by which a person sets a new password. Returns its secret.
///
/// # Errors
/// When there is no such person.
pub(super) async fn reset(store: &Store, actor: &Actor, email: &str) -> Result<String, Refused> {
    let name = AccountName::any(email).ok_or_else(no_email)?;
    let person = store.person_by_email(&name.name).await?;
    let secret = new_secret();
    let invitation = NewInvitation {
        hash: hash_of(&secret).expect("a new secret"),
        email: name.name.clone(),
        likeness: name.likeness,
        role: person.role,
        person: Some(person.id),
        expires_at: after(LINK_LIVES),
    };
    let invited = PeopleChange::Invite(invitation);
    change(
        store,
        "made a link to set a new password",
        actor,
        &name.name,
        invited,
    )
    .await?;
    Ok(secret)
}

/// Makes a key for programs. Returns it; it cannot be read again.
///
/// # Errors
/// When it has no name or no scope.
pub(super) async fn create_key(
    store: &Store,
    actor: &Actor,
    person: &str,
    name: &str,
    scopes: &[Scope],
    lives: Option<Duration>,
) -> Result<String, Refused> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(sentence("Name the key, in at most 100 characters."));
    }
    if scopes.is_empty() {
        return Err(sentence("Choose what the key may be used for."));
    }
    let secret = format!("{KEY_PREFIX}{}", new_secret());
    let key = NewKey {
        hash: hash_of_key(&secret).expect("a new key"),
        id: new_id(),
        person: person.to_owned(),
        name: name.to_owned(),
        scopes: serde_json::to_string(scopes).expect("names are JSON"),
        expires_at: lives.map(after),
    };
    change(
        store,
        "made a key",
        actor,
        name,
        PeopleChange::CreateKey(key),
    )
    .await?;
    Ok(secret)
}

fn after(time: Duration) -> i64 {
    now().saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

fn sentence(text: &str) -> Refused {
    Refused::Sentence(text.to_owned())
}

fn no_email() -> Refused {
    sentence("This is not an email address.")
}

impl Access {
    /// The caller with the session of this secret, which a cookie holds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn by_session(&self, secret: &str) -> Result<Option<Caller>, StoreError> {
        match hash_of(secret) {
            Some(hash) => self.find(Kind::Session, &hash).await,
            None => Ok(None),
        }
    }

    /// The caller with this key for programs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn by_key(&self, key: &str) -> Result<Option<Caller>, StoreError> {
        match hash_of_key(key) {
            Some(hash) => self.find(Kind::Key, &hash).await,
            None => Ok(None),
        }
    }

    /// The caller whom a trusted proxy names. A person who comes for the first time is added. `None` if the name is
    /// none, looks like the name of another person, or belongs to one who may not use the server.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn by_proxy(&self, name: &str, groups: &str) -> Result<Option<Caller>, StoreError> {
        let Some(name) = AccountName::any(name) else {
            return Ok(None);
        };
        let groups = groups.split(',').map(str::trim);
        let groups: Vec<&str> = groups.filter(|group| !group.is_empty()).collect();
        let lines = format!("{BY_PROXY}{}\n{}", name.name, groups.join("\n"));
        if let Some(caller) = self.find(Kind::Proxy, &lines).await? {
            return Ok(Some(caller));
        }
        let person = NewPerson {
            id: new_id(),
            email: name.name.clone(),
            likeness: name.likeness,
            name: String::new(),
            role: Role::Member.as_str().to_owned(),
        };
        let proxy = Actor {
            name: "proxy".to_owned(),
            ..Actor::command_line()
        };
        let added = PeopleChange::Add(person);
        match change(
            &self.store,
            "came for the first time",
            &proxy,
            &name.name,
            added,
        )
        .await
        {
            Ok(()) => self.find(Kind::Proxy, &lines).await,
            // Another request was first, or the person is disabled.
            Err(_) => self.find(Kind::Proxy, &lines).await,
        }
    }

    /// Signs a person in by a password. Returns the secret of the session.
    ///
    /// # Errors
    /// [`WRONG`], whatever was wrong, or that there were too many failures.
    pub async fn sign_in(
        &self,
        email: &str,
        password: SecretString,
        actor: &Actor,
        replaces: Option<&str>,
    ) -> Result<String, Refused> {
        let name = AccountName::any(email).map_or_else(String::new, |name| name.name);
        let person = match self.store.person_by_email(&name).await {
            Ok(person) => Some(person),
            Err(StoreError::NotFound) => None,
            Err(error) => return Err(error.into()),
        };
        let is_known = match &person {
            Some(person) => self.store.sessions_of(&person.id).await?,
            // The same read, for the same time.
            None => self.store.sessions_of("").await?,
        }
        .iter()
        .any(|session| session.address == actor.address);
        let guess = Guess {
            account: &name,
            address: &actor.address,
            is_known,
        };
        self.guesses
            .begin(guess, Instant::now())
            .map_err(Refused::TooMany)?;
        let hash = person.as_ref().and_then(|person| person.password.clone());
        let is_right = password::verify(password, hash).await;
        let person = person.filter(|person| is_right && person.disabled_at.is_none());
        let Some(person) = person else {
            // What was typed may be a password, so only names that exist are recorded. The write takes the time of
            // an answer, so it is not waited for.
            let subject = match self.store.person_by_email(&name).await {
                Ok(person) => person.email,
                Err(_) => "unknown".to_owned(),
            };
            let (store, actor) = (self.store.clone(), actor.clone());
            tokio::spawn(async move {
                let _ = change(
                    &store,
                    "failed to sign in",
                    &actor,
                    &subject,
                    PeopleChange::Note,
                )
                .await;
            });
            return Err(sentence(WRONG));
        };
        self.guesses.was_right(guess);
        let actor = Actor {
            name: person.email.clone(),
            ..actor.clone()
        };
        let sign_in = NewSignIn::of(&person.id, &person.email, replaces);
        self.begin_session(sign_in, &actor).await
    }

    /// Begins a session. Returns its secret.
    pub(super) async fn begin_session(
        &self,
        sign_in: NewSignIn<'_>,
        actor: &Actor,
    ) -> Result<String, Refused> {
        let secret = new_secret();
        let session = NewSession {
            hash: hash_of(&secret).expect("a new secret"),
            id: new_id(),
            person: sign_in.person.to_owned(),
            expires_at: after(self.settings.longest),
            agent: actor.agent.chars().take(200).collect(),
            replaces: sign_in.replaces.and_then(hash_of),
            id_token: sign_in.id_token,
        };
        self.change(
            "signed in",
            actor,
            sign_in.email,
            PeopleChange::SignIn(session),
        )
        .await?;
        Ok(secret)
    }

    /// The invitation with this secret.
    ///
    /// # Errors
    /// `NotFound`, also for what is no secret.
    pub async fn invitation(&self, secret: &str) -> Result<InvitationRow, Refused> {
        let hash = hash_of(secret).ok_or(Refused::NotFound)?;
        Ok(self.store.invitation(&hash).await?)
    }

    /// Uses an invitation, and signs the person in. Returns the secret of the session.
    ///
    /// # Errors
    /// When the password is not good enough, or the invitation cannot be used.
    pub async fn join(
        &self,
        secret: &str,
        name: &str,
        password: SecretString,
        actor: &Actor,
        replaces: Option<&str>,
    ) -> Result<String, Refused> {
        let invitation = self.invitation(secret).await?;
        if !invitation.is_open(now()) {
            return Err(Refused::NotFound);
        }
        let email = invitation.email().to_owned();
        check_password(&password, &email)?;
        let name = check_name(name)?;
        let hash = password::hash(password).await;
        let joined = PeopleChange::Join {
            invitation: hash_of(secret).ok_or(Refused::NotFound)?,
            new_id: new_id(),
            name,
            password: hash,
        };
        let actor = Actor {
            name: email.clone(),
            ..actor.clone()
        };
        let what = if invitation.is_reset() {
            "set a new password"
        } else {
            "joined"
        };
        self.change(what, &actor, &email, joined).await?;
        let person = self.store.person_by_email(&email).await?;
        if person.disabled_at.is_some() {
            return Err(sentence(
                "This account is disabled: ask an admin of this server.",
            ));
        }
        let sign_in = NewSignIn::of(&person.id, &email, replaces);
        self.begin_session(sign_in, &actor).await
    }

    /// Changes the password of a person who knows the present one. All sessions end; returns the secret of a new one.
    ///
    /// # Errors
    /// When the present password is wrong or the new one not good enough.
    pub async fn change_password(
        &self,
        caller: &Caller,
        present: SecretString,
        new: SecretString,
        actor: &Actor,
    ) -> Result<String, Refused> {
        let person = self.store.person(caller.person().id()).await?;
        check_password(&new, &person.email)?;
        let guess = Guess {
            account: &person.email,
            address: &actor.address,
            is_known: true,
        };
        self.guesses
            .begin(guess, Instant::now())
            .map_err(Refused::TooMany)?;
        if !password::verify(present, person.password.clone()).await {
            return Err(sentence("The present password is another one."));
        }
        self.guesses.was_right(guess);
        let password = password::hash(new).await;
        let changed = PeopleChange::SetPassword {
            person: person.id.clone(),
            password,
        };
        self.change("changed the password", actor, &person.email, changed)
            .await?;
        let sign_in = NewSignIn::of(&person.id, &person.email, None);
        self.begin_session(sign_in, actor).await
    }

    /// Changes the name of a person.
    ///
    /// # Errors
    /// When the name is too long.
    pub async fn rename(&self, caller: &Caller, name: &str, actor: &Actor) -> Result<(), Refused> {
        let renamed = PeopleChange::Rename {
            person: caller.person().id().to_owned(),
            name: check_name(name)?,
        };
        self.change("changed the name", actor, caller.person().email(), renamed)
            .await
    }

    /// Makes a change of this kind, records it, and ends at once what it ends.
    ///
    /// # Errors
    /// When the change is refused.
    pub async fn change(
        &self,
        what: &'static str,
        actor: &Actor,
        subject: &str,
        change: PeopleChange,
    ) -> Result<(), Refused> {
        self::change(&self.store, what, actor, subject, change).await?;
        self.refresh().await?;
        Ok(())
    }

    /// Records that a person has exported all conversations.
    pub async fn note_export(&self, caller: &Caller) {
        if caller.ended().is_none() {
            return;
        }
        let email = caller.person().email();
        let actor = Actor {
            name: email.to_owned(),
            ..Actor::command_line()
        };
        // The export matters more than its record.
        let _ = self
            .change(
                "exported all conversations",
                &actor,
                email,
                PeopleChange::Note,
            )
            .await;
    }

    /// Invites somebody, see `invite`.
    ///
    /// # Errors
    /// When the email is none, or is taken.
    pub async fn invite(&self, actor: &Actor, email: &str, role: Role) -> Result<String, Refused> {
        invite(&self.store, actor, email, role).await
    }

    /// Makes a link by which a person sets a new password, see `reset`.
    ///
    /// # Errors
    /// When there is no such person.
    pub async fn reset(&self, actor: &Actor, email: &str) -> Result<String, Refused> {
        reset(&self.store, actor, email).await
    }

    /// Makes a key for programs of the caller, see `create_key`.
    ///
    /// # Errors
    /// When it has no name or no scope.
    pub async fn create_key(
        &self,
        caller: &Caller,
        name: &str,
        scopes: &[Scope],
        lives: Option<Duration>,
        actor: &Actor,
    ) -> Result<String, Refused> {
        create_key(
            &self.store,
            actor,
            caller.person().id(),
            name,
            scopes,
            lives,
        )
        .await
    }
}

fn check_password(password: &SecretString, email: &str) -> Result<(), Refused> {
    password::check(password.expose_secret(), email).map_err(sentence)
}

fn check_name(name: &str) -> Result<String, Refused> {
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(sentence("A name has at most 100 characters."));
    }
    Ok(name)
}
