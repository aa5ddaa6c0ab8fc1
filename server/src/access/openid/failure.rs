//! Why somebody could not be signed in by OpenID Connect. The texts are for the log, which an admin reads.

use openidconnect::{ClaimsVerificationError, SignatureVerificationError};

/// The longest text of a provider that is logged, in characters.
const LONGEST: usize = 200;

/// Why somebody could not be signed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The provider does not answer.
    #[error("the provider cannot be reached: {0}")]
    Unreachable(String),
    /// The provider answers, but not as one of OpenID Connect.
    #[error("the provider describes itself wrongly: {0}")]
    Description(String),
    /// The provider is another one than the configuration names.
    #[error("wrong issuer: {0}")]
    Issuer(String),
    /// The browser has no attempt: it did not begin here, or too long ago, or takes no cookies.
    #[error("wrong state: this browser has not begun to sign in")]
    NoAttempt,
    /// The state is that of another attempt.
    #[error("wrong state: it is not the one of this browser's attempt")]
    State,
    /// The attempt was begun too long ago.
    #[error("wrong state: the attempt was begun more than 10 minutes ago")]
    Late,
    /// The browser has returned with this attempt before.
    #[error("wrong state: it was used before")]
    Used,
    /// Too many return.
    #[error("too many people sign in at once")]
    Busy,
    /// The provider refuses.
    #[error("the provider refuses: {0}")]
    Refused(String),
    /// There is no code.
    #[error("the provider sent no code")]
    NoCode,
    /// The provider takes the code for none, or for a used one.
    #[error("the provider does not take the code: {0}")]
    Code(String),
    /// There is no ID token.
    #[error("the provider sent no ID token: is the scope openid allowed there?")]
    NoToken,
    /// The ID token is for another program.
    #[error("wrong audience: {0}")]
    Audience(String),
    /// The ID token is of another attempt.
    #[error("wrong nonce")]
    Nonce,
    /// The ID token has expired, or is from the future.
    #[error("wrong time, so look at the clocks of both servers, or set clock_skew: {0}")]
    Clock(String),
    /// The signature is wrong.
    #[error("wrong signature of the ID token: {0}")]
    Signature(String),
    /// A claim is missing or wrong.
    #[error("wrong claim: {0}")]
    Claim(String),
    /// The person may not come.
    #[error("not admitted: {0}")]
    NotAdmitted(String),
}

/// A text of a provider, in one line.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect()
}

impl From<ClaimsVerificationError> for Failure {
    fn from(error: ClaimsVerificationError) -> Self {
        use ClaimsVerificationError as Error;
        match error {
            Error::Expired(text) | Error::InvalidAuthTime(text) => Self::Clock(printable(&text)),
            Error::InvalidAudience(text) => Self::Audience(printable(&text)),
            Error::InvalidIssuer(text) => Self::Issuer(printable(&text)),
            // The text names both values.
            Error::InvalidNonce(_) => Self::Nonce,
            Error::SignatureVerification(error) => Self::Signature(printable(&match error {
                SignatureVerificationError::NoMatchingKey => {
                    "the provider publishes no key of this name".to_owned()
                }
                other => other.to_string(),
            })),
            other => Self::Claim(printable(&other.to_string())),
        }
    }
}
