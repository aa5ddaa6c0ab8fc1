//! Who may use the server: the mode of access, people and their roles.
//!
//! Without accounts there is one person, who owns everything, and the server listens on loopback only. With
//! accounts, or behind a proxy that names people, [`Access`] finds the person of a request, and nobody else is
//! let in. A [`Caller`] is made in this module alone, so no other code can name an owner.

mod person;
pub mod settings;

pub use self::person::{Caller, Person, Role, Scope};
pub use self::settings::{AccessSettings, Mode};

/// Finds out who sends a request.
#[derive(Debug)]
pub struct Access {
    settings: AccessSettings,
    /// The caller of every request of the mode `local`.
    local: Caller,
}

impl Access {
    /// The access with these settings.
    #[must_use]
    pub fn new(settings: AccessSettings) -> Self {
        Self {
            settings,
            local: Caller::local(),
        }
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &AccessSettings {
        &self.settings
    }

    /// The only person of the mode `local`; `None` in the other modes, in which each request must be checked.
    #[must_use]
    pub fn only_person(&self) -> Option<&Caller> {
        (self.settings.mode == Mode::Local).then_some(&self.local)
    }
}
