//! People, their roles, and the caller of a request.

use std::sync::Arc;

use crate::store::LOCAL_OWNER;

/// What a person may do beside using the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Uses the server.
    Member,
    /// Invites people and sees their sessions and keys, but never their conversations.
    Admin,
}

/// What a key for programs may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Asking models.
    Chat,
    /// Listing models.
    Models,
    /// Reading saved conversations.
    Read,
}

/// A person who may use the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The owner of the person's rows in the store.
    owner: String,
    role: Role,
}

impl Person {
    /// The owner of the person's rows in the store.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }
}

/// Who sends a request. It is cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller {
    person: Arc<Person>,
}

impl Caller {
    /// The only person of the mode `local`.
    pub(super) fn local() -> Self {
        Self {
            person: Arc::new(Person {
                owner: LOCAL_OWNER.to_owned(),
                role: Role::Member,
            }),
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
}
