//! An attempt to sign in, which a cookie of the browser holds for a few minutes.
//!
//! The values that must match later are hashes of its secret with different prefixes, so that none tells another: the
//! state and the nonce are seen by the provider, the verifier of PKCE by nobody until the code is exchanged.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::access::secret::{hex, is_secret, new_secret};
use crate::store::now;

/// How long somebody may take to sign in at the provider.
pub const ATTEMPT_LIVES: Duration = Duration::from_secs(10 * 60);

/// An attempt to sign in.
#[derive(Clone)]
pub struct Attempt {
    secret: String,
    begun_at: i64,
    /// The path of this server to return to at the end.
    next: String,
}

impl Attempt {
    /// A new attempt, which leads to this path.
    #[must_use]
    pub fn new(next: &str) -> Self {
        Self {
            secret: new_secret(),
            begun_at: now(),
            next: next.to_owned(),
        }
    }

    /// The value of the cookie.
    #[must_use]
    pub fn to_cookie(&self) -> String {
        let next =
            percent_encoding::utf8_percent_encode(&self.next, percent_encoding::NON_ALPHANUMERIC);
        format!("{}.{}.{next}", self.secret, self.begun_at)
    }

    /// The attempt in the value of a cookie. The path may be anything that the browser sent.
    #[must_use]
    pub fn from_cookie(value: &str) -> Option<Self> {
        let mut parts = value.splitn(3, '.');
        let (secret, begun_at, next) = (parts.next()?, parts.next()?, parts.next()?);
        let next = percent_encoding::percent_decode_str(next)
            .decode_utf8()
            .ok()?;
        is_secret(secret).then_some(Self {
            secret: secret.to_owned(),
            begun_at: begun_at.parse().ok()?,
            next: next.into_owned(),
        })
    }

    /// The path to return to.
    #[must_use]
    pub fn next(&self) -> &str {
        &self.next
    }

    /// The state, which comes back with the browser.
    #[must_use]
    pub fn state(&self) -> String {
        self.derived("state")
    }

    /// The nonce, which comes back in the ID token.
    pub(super) fn nonce(&self) -> String {
        self.derived("nonce")
    }

    /// The verifier of PKCE.
    pub(super) fn verifier(&self) -> String {
        self.derived("verifier")
    }

    pub(super) fn is_expired(&self) -> bool {
        let age = now().saturating_sub(self.begun_at);
        age > i64::try_from(ATTEMPT_LIVES.as_millis()).expect("minutes are short")
    }

    fn derived(&self, purpose: &str) -> String {
        hex(&Sha256::digest(format!("{purpose}:{}", self.secret)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_comes_back_in_a_cookie_and_its_values_differ() {
        let attempt = Attempt::new("/c/1?x=ä.b;c=\"d\"");
        let cookie = attempt.to_cookie();
        assert!(
            cookie
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".%".contains(&byte)),
            "{cookie}"
        );
        let read = Attempt::from_cookie(&cookie).expect("an attempt");
        assert_eq!(read.next(), attempt.next());
        assert_eq!(read.state(), attempt.state());
        assert!(!read.is_expired());
        let values = [attempt.state(), attempt.nonce(), attempt.verifier()];
        assert!(values[0] != values[1] && values[1] != values[2] && values[0] != values[2]);
        assert!(values.iter().all(|value| !cookie.contains(value)));
        assert_ne!(Attempt::new("/").state(), attempt.state());
    }

    #[test]
    fn an_old_attempt_has_expired_and_another_text_is_none() {
        let old = format!("{}.{}.%2F", new_secret(), now() - 11 * 60 * 1000);
        assert!(Attempt::from_cookie(&old).expect("an attempt").is_expired());
        for wrong in [
            "",
            "a.b.c",
            "..",
            &new_secret(),
            &format!("{}.x./", new_secret()),
        ] {
            assert!(Attempt::from_cookie(wrong).is_none(), "{wrong}");
        }
    }
}
