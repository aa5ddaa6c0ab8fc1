//! Who may use the server: the mode of access, people, and what lets them in.
//!
//! Without accounts there is one person, who owns everything, and the server listens on loopback only. With
//! accounts, or behind a proxy that names people, [`Access`] finds the person of a request, and nobody else is
//! let in. A [`Caller`] is made in this module alone, so no other code can name an owner.

mod accounts;
pub mod command;
mod email;
mod guesses;
mod live;
pub mod models;
pub mod openid;
mod passkeys;
mod password;
mod person;
mod secret;
pub mod settings;

use std::sync::Arc;

pub(crate) use self::accounts::NewSignIn;
pub use self::accounts::{Actor, LINK_LIVES, Refused, WRONG};
use self::guesses::Guesses;
use self::live::LiveCredentials;
pub use self::openid::ATTEMPT_LIVES;
use self::openid::OpenId;
use self::passkeys::Passkeys;
pub use self::passkeys::has_passkeys;
pub use self::person::{Caller, Person, Role, Scope};
pub use self::settings::{AccessSettings, Mode};
use crate::store::Store;

/// Finds out who sends a request, and changes accounts.
pub struct Access {
    settings: AccessSettings,
    store: Arc<Store>,
    /// The caller of every request of the mode `local`.
    local: Caller,
    live: LiveCredentials,
    guesses: Guesses,
    openid: Option<OpenId>,
    passkeys: Passkeys,
}

impl Access {
    /// The access with these settings.
    #[must_use]
    pub fn new(settings: AccessSettings, store: Arc<Store>) -> Self {
        if settings.mode == Mode::Accounts {
            password::prepare();
        }
        Self {
            openid: settings.openid.clone().map(OpenId::new),
            settings,
            store,
            local: Caller::local(),
            live: LiveCredentials::default(),
            guesses: Guesses::default(),
            passkeys: Passkeys::default(),
        }
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &AccessSettings {
        &self.settings
    }

    /// What to do where nobody can sign in yet.
    pub async fn missing_admin(&self) -> Option<&'static str> {
        let has_admin =
            self.settings.mode != Mode::Accounts || self.store.has_admin().await.ok()?;
        (!has_admin).then_some(
            "nobody can sign in yet: run `rill user invite EMAIL --admin` and open the link that it prints",
        )
    }

    /// The only person of the mode `local`; `None` in the other modes, in which each request must be checked.
    #[must_use]
    pub fn only_person(&self) -> Option<&Caller> {
        (self.settings.mode == Mode::Local).then_some(&self.local)
    }
}
