//! People, their sessions, their keys for programs, invitations, and the record of what was done with them.
//!
//! Each change is one transaction with its record, so nothing is done that the record does not tell. A change that
//! can end a session raises the epoch, which every server that uses the database watches.

mod change;
mod provider;
mod read;
mod usage;

pub use self::change::{
    NewInvitation, NewKey, NewPasskey, NewPerson, NewSession, PeopleChange, ProviderPerson,
};
pub use self::read::{InvitationRow, KeyHolder, SessionHolder};
pub use self::usage::UsageRow;

/// A person as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPerson {
    /// The id.
    pub id: String,
    /// The owner of the person's conversations.
    pub owner: String,
    /// The email, in lower case and NFC.
    pub email: String,
    /// The name that the person chose; it may be empty.
    pub name: String,
    /// `member` or `admin`.
    pub role: String,
    /// The names of groups, as a JSON list.
    pub member_of: String,
    /// The hash of the password, if there is one.
    pub password: Option<String>,
    /// Since when the person may not use the server, if so.
    pub disabled_at: Option<i64>,
    /// When the person was let in.
    pub created_at: i64,
}

/// A session as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// The hash of the secret.
    pub hash: String,
    /// The id, which is no secret.
    pub id: String,
    /// The id of the person.
    pub person: String,
    /// When it began.
    pub created_at: i64,
    /// When it was last used, to about a minute.
    pub seen_at: i64,
    /// When it ends in any case.
    pub expires_at: i64,
    /// From where the person signed in.
    pub address: String,
    /// The browser.
    pub agent: String,
}

/// A key for programs as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// The hash of the secret.
    pub hash: String,
    /// The id, which is no secret.
    pub id: String,
    /// The id of the person.
    pub person: String,
    /// The name that the person gave it.
    pub name: String,
    /// The scopes, as a JSON list.
    pub scopes: String,
    /// When it was made.
    pub created_at: i64,
    /// When it was last used, to about a minute.
    pub seen_at: Option<i64>,
    /// When it ends.
    pub expires_at: Option<i64>,
}

/// A passkey as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPasskey {
    /// The id of the credential, in hexadecimal.
    pub id: String,
    /// The id of the person.
    pub person: String,
    /// What the person knows it by.
    pub name: String,
    /// The public key and what is checked with it, as JSON.
    pub credential: String,
    /// When it was added.
    pub created_at: i64,
    /// When it was last used.
    pub seen_at: Option<i64>,
}

/// One line of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When.
    pub at: i64,
    /// What was done, such as `signed in`.
    pub what: String,
    /// Who did it: an email, or `command line`.
    pub actor: String,
    /// To whom or to what: an email, the name of a key.
    pub subject: String,
    /// From which address; empty on the command line.
    pub address: String,
}
