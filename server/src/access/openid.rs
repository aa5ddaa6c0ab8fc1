//! Signing in by OpenID Connect: the code flow with PKCE, against one provider.
//!
//! A browser that begins gets a cookie with a random value. The state, the nonce and the verifier of PKCE are made of
//! it (see `attempt`), so nothing is kept for people who never return, and only the browser that began can finish.
//! What the provider says is checked in `provider`; who may come is decided in `admission`.

mod admission;
mod attempt;
mod claims;
mod failure;
mod provider;
mod settings;
mod sign_in;

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub use self::attempt::{ATTEMPT_LIVES, Attempt};
pub use self::claims::Identity;
pub use self::failure::Failure;
pub use self::settings::{Admit, OpenIdSettings};

use self::provider::Provider;

/// The most states of finished sign-ins that are kept to notice a second use.
const MOST_USED: usize = 10_000;

/// What the provider has sent along with the browser, from the query of the return address.
#[derive(Debug, Default)]
pub struct Returned {
    /// The code, which is exchanged for tokens.
    pub code: Option<String>,
    /// The state of the attempt.
    pub state: Option<String>,
    /// The issuer (RFC 9207).
    pub issuer: Option<String>,
    /// Why the provider refuses.
    pub error: Option<String>,
}

impl Returned {
    /// Reads a query. `None` if it names something twice, so that two readers cannot take different values from it.
    #[must_use]
    pub fn of_query(query: &str) -> Option<Self> {
        let mut returned = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let field = match &*name {
                "code" => &mut returned.code,
                "state" => &mut returned.state,
                "iss" => &mut returned.issuer,
                "error" => &mut returned.error,
                _ => continue,
            };
            if field.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        Some(returned)
    }
}

/// Signs people in by a provider of OpenID Connect.
pub struct OpenId {
    settings: OpenIdSettings,
    provider: Provider,
    /// The states that have come back, until their attempts have expired anyway.
    used: Mutex<HashMap<String, Instant>>,
}

impl OpenId {
    /// With these settings. Nothing is requested yet.
    #[must_use]
    pub fn new(settings: OpenIdSettings) -> Self {
        Self {
            provider: Provider::new(settings.clone()),
            settings,
            used: Mutex::default(),
        }
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &OpenIdSettings {
        &self.settings
    }

    /// Requests the provider's description, so that the log tells early what is wrong.
    ///
    /// # Errors
    /// When the provider cannot be used. The next sign-in tries again.
    pub async fn look(&self) -> Result<(), Failure> {
        self.provider.look().await
    }

    /// Where a browser with this attempt signs in. It is to return to `return_url`.
    ///
    /// # Errors
    /// When the provider cannot be used.
    pub async fn begin(&self, attempt: &Attempt, return_url: &str) -> Result<String, Failure> {
        self.provider.sign_in_url(attempt, return_url).await
    }

    /// Finds out who has signed in, when the browser with this attempt has returned.
    ///
    /// # Errors
    /// The reason, for the log.
    pub async fn finish(
        &self,
        attempt: Option<&Attempt>,
        returned: Returned,
        return_url: &str,
    ) -> Result<Identity, Failure> {
        let attempt = attempt.ok_or(Failure::NoAttempt)?;
        let state = attempt.state();
        if returned.state.as_deref() != Some(state.as_str()) {
            return Err(Failure::State);
        }
        if attempt.is_expired() {
            return Err(Failure::Late);
        }
        self.use_once(state)?;
        self.provider
            .check_issuer(returned.issuer.as_deref())
            .await?;
        if let Some(error) = returned.error {
            return Err(Failure::Refused(failure::printable(&error)));
        }
        let code = returned.code.ok_or(Failure::NoCode)?;
        self.provider.identity(attempt, code, return_url).await
    }

    /// Where the browser ends its session with the provider, if the provider offers that.
    pub async fn sign_out_url(&self, id_token: &str, return_url: &str) -> Option<String> {
        self.provider.sign_out_url(id_token, return_url).await
    }

    fn use_once(&self, state: String) -> Result<(), Failure> {
        let now = Instant::now();
        let mut used = self.used.lock().expect("no holder of the lock panics");
        if used.len() >= MOST_USED {
            used.retain(|_, at| now - *at < ATTEMPT_LIVES + Duration::from_secs(60));
        }
        if used.len() >= MOST_USED {
            return Err(Failure::Busy);
        }
        match used.insert(state, now) {
            None => Ok(()),
            Some(_) => Err(Failure::Used),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_names_something_twice_is_not_read() {
        let check = |query: &str, code: Option<&str>| {
            let returned = Returned::of_query(query);
            assert_eq!(
                returned.map(|it| it.code),
                code.map(|code| Some(code.to_owned())),
                "{query}"
            );
        };
        check("code=a%20b&state=c&iss=https%3A%2F%2Fx", Some("a b"));
        check("code=a&x=1&x=2", Some("a"));
        check("code=a&code=a", None);
        check("code=a&state=b&state=c", None);
        check("code=a&iss=b&iss=b", None);
    }
}
