//! Secrets that let somebody in: sessions, keys for programs, links of invitations.
//!
//! A secret is 256 random bits in hexadecimal. Only its hash is stored. Because secrets are random and long, a fast
//! hash without a salt is enough, and looking a hash up tells nothing about how much of a guess was right.

use sha2::{Digest, Sha256};

/// What a key for programs begins with, so that people and scanners recognize one.
pub(crate) const KEY_PREFIX: &str = "rill_";

/// The length of a secret in hexadecimal.
const LENGTH: usize = 64;

/// A new secret.
pub(crate) fn new_secret() -> String {
    hex(&rand::random::<[u8; 32]>())
}

/// The hash of a text that may be a secret; `None` if it has not the form of one.
pub(crate) fn hash_of(secret: &str) -> Option<String> {
    is_secret(secret).then(|| hex(&Sha256::digest(secret.as_bytes())))
}

/// Whether a text has the form of a secret.
pub(super) fn is_secret(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == LENGTH && text.bytes().all(is_hex)
}

/// The hash of a key for programs; `None` if the text has not the form of one. It is the hash of the whole key, so that
/// the secret in it is no session.
pub(crate) fn hash_of_key(key: &str) -> Option<String> {
    let has_form = key.strip_prefix(KEY_PREFIX).is_some_and(is_secret);
    has_form.then(|| hex(&Sha256::digest(key.as_bytes())))
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |number: u8| char::from(DIGITS[usize::from(number)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_256_random_bits_and_its_hash_is_something_else() {
        let (one, other) = (new_secret(), new_secret());
        assert_ne!(one, other);
        assert_eq!(one.len(), LENGTH);
        let hash = hash_of(&one).expect("a secret");
        assert_ne!(hash, one);
        assert_eq!(hash_of(&one), Some(hash.clone()));
        let key = hash_of_key(&format!("rill_{one}")).expect("a key");
        assert_ne!(key, hash, "a key is no session");
    }

    #[test]
    fn what_is_no_secret_has_no_hash() {
        let secret = new_secret();
        for wrong in [
            "",
            "rill_",
            &secret[1..],
            &format!("{secret}0"),
            &secret
                .to_uppercase()
                .replace(|c: char| c.is_ascii_digit(), "A"),
            &format!("g{}", &secret[1..]),
        ] {
            assert_eq!(hash_of(wrong), None, "{wrong}");
            assert_eq!(hash_of_key(wrong), None, "{wrong}");
        }
        assert_eq!(hash_of_key(&secret), None);
    }
}
