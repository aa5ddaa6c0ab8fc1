//! People, their roles, and the caller of a request.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::live::{Credential, Live};
use crate::store::LOCAL_OWNER;
use crate::store::people::StoredPerson;

/// What a person may do beside using the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Uses the server.
    Member,
    /// Invites people and sees their sessions and keys, but never their conversations.
    Admin,
}

impl Role {
    /// The name in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }

    fn of(name: &str) -> Self {
        if name == Self::Admin.as_str() {
            Self::Admin
        } else {
            Self::Member
        }
    }
}

/// What a key for programs may be used for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Asking models.
    Chat,
    /// Listing models.
    Models,
    /// Reading saved conversations.
    Read,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Models, Self::Read];

    /// The name of the scope.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Models => "models",
            Self::Read => "read",
        }
    }
}

/// A person who may use the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    id: String,
    owner: String,
    email: String,
    name: String,
    role: Role,
    groups: Vec<String>,
}

impl Person {
    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The owner of the person's rows in the store.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The email, or the name by which a proxy knows the person.
    #[must_use]
    pub fn email(&self) -> &str {
        &self.email
    }

    /// The name that the person chose; it may be empty.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The groups that a claim or a proxy names.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// A person of a test.
    #[cfg(test)]
    pub(super) fn for_test(email: &str, groups: &[&str]) -> Self {
        Self {
            id: String::new(),
            owner: String::new(),
            email: email.to_owned(),
            name: String::new(),
            role: Role::Member,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        }
    }

    /// The person with the groups that a proxy names.
    pub(super) fn in_groups(self, groups: Vec<String>, is_admin: bool) -> Self {
        let role = if is_admin { Role::Admin } else { self.role };
        Self {
            role,
            groups,
            ..self
        }
    }
}

impl From<StoredPerson> for Person {
    fn from(stored: StoredPerson) -> Self {
        Self {
            id: stored.id,
            owner: stored.owner,
            email: stored.email,
            name: stored.name,
            role: Role::of(&stored.role),
            groups: serde_json::from_str(&stored.member_of).unwrap_or_default(),
        }
    }
}

/// Who sends a request, and by which credential. It is cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller {
    person: Arc<Person>,
    /// `None` in the mode `local`.
    live: Option<Arc<Live>>,
}

impl Caller {
    /// The only person of the mode `local`.
    pub(super) fn local() -> Self {
        Self {
            person: Arc::new(Person {
                id: LOCAL_OWNER.to_owned(),
                owner: LOCAL_OWNER.to_owned(),
                email: String::new(),
                name: String::new(),
                role: Role::Member,
                groups: Vec::new(),
            }),
            live: None,
        }
    }

    pub(super) fn of(live: Arc<Live>) -> Self {
        Self {
            person: Arc::clone(&live.person),
            live: Some(live),
        }
    }

    /// The person.
    #[must_use]
    pub fn person(&self) -> &Person {
        &self.person
    }

    /// The owner of the person's rows in the store.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.person.owner()
    }

    /// Whether a program has sent a key.
    #[must_use]
    pub fn has_key(&self) -> bool {
        matches!(self.credential(), Some(Credential::Key(_)))
    }

    /// Whether a proxy has named the person.
    #[must_use]
    pub fn is_named_by_proxy(&self) -> bool {
        matches!(self.credential(), Some(Credential::Proxy))
    }

    /// Whether the credential is good for this: a key needs the scope.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        match self.credential() {
            Some(Credential::Key(scopes)) => scopes.contains(&scope),
            _ => true,
        }
    }

    /// The id of the session, if the caller has signed in.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        match self.credential() {
            Some(Credential::Session(id)) => Some(id),
            _ => None,
        }
    }

    /// Cancelled when the credential ends. `None` in the mode `local`.
    #[must_use]
    pub fn ended(&self) -> Option<&CancellationToken> {
        self.live.as_ref().map(|live| &live.ended)
    }

    fn credential(&self) -> Option<&Credential> {
        self.live.as_ref().map(|live| &live.credential)
    }
}
