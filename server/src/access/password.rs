//! Passwords: which are good enough, and their hashes by Argon2id.
//!
//! Hashing takes tens of milliseconds and 19 MiB on purpose, so it runs on a thread for blocking work, and only two
//! run at once. An account that does not exist is checked against a hash as well, so that the answer takes as long.

use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

/// The fewest characters of a password.
pub(crate) const SHORTEST: usize = 12;
/// The longest password, in bytes. Its hash takes no longer, but a form has to end somewhere.
const LONGEST: usize = 1024;
/// The fewest different characters.
const DIFFERENT: usize = 5;
/// The most hashes at once.
const AT_ONCE: usize = 2;

const COMMON: &str = include_str!("common_passwords.txt");

static HASHING: Semaphore = Semaphore::const_new(AT_ONCE);
/// The hash of no password, for accounts without one.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash_now(&crate::access::secret::new_secret()));

/// Why a password cannot be chosen, as a sentence; `Ok` if it can. `name` is the name of the account.
pub(crate) fn check(password: &str, name: &str) -> Result<(), &'static str> {
    let plain: String = password.nfkc().collect::<String>().to_lowercase();
    if plain.chars().count() < SHORTEST {
        return Err(
            "A password needs at least 12 characters. A few words in a row are easy to remember.",
        );
    }
    if password.len() > LONGEST {
        return Err("A password has at most 1024 bytes.");
    }
    let mut different: Vec<char> = plain.chars().collect();
    different.sort_unstable();
    different.dedup();
    // Digits and signs around a common password do not help much.
    let core = plain.trim_matches(|c: char| !c.is_alphabetic());
    let is_common = COMMON
        .lines()
        .any(|common| common == plain || (common == core && plain.len() < core.len() + 6));
    let local = name.split('@').next().unwrap_or_default();
    let is_name = plain == name || (local.len() >= 4 && core == local);
    if different.len() < DIFFERENT || is_common || is_name {
        return Err("This password is among the first that would be guessed: choose another one.");
    }
    Ok(())
}

/// The hash of a password, in the PHC format.
pub(crate) async fn hash(password: SecretString) -> String {
    on_a_thread(move || hash_now(password.expose_secret())).await
}

/// Whether the password has this hash. Without a hash it takes as long, and the answer is no.
pub(crate) async fn verify(password: SecretString, hash: Option<String>) -> bool {
    on_a_thread(move || {
        let known = hash.as_deref().unwrap_or(&NOBODY);
        let is_right = PasswordHash::new(known).is_ok_and(|known| {
            let password: String = password.expose_secret().nfkc().collect();
            Argon2::default()
                .verify_password(password.as_bytes(), &known)
                .is_ok()
        });
        is_right && hash.is_some()
    })
    .await
}

/// Makes the hash for accounts that do not exist, so that the first sign-in takes no longer than others.
pub(crate) fn prepare() {
    tokio::task::spawn_blocking(|| LazyLock::force(&NOBODY));
}

async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let _turn = HASHING.acquire().await.expect("it is never closed");
    tokio::task::spawn_blocking(work)
        .await
        .expect("hashing does not panic")
}

fn hash_now(password: &str) -> String {
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).expect("16 bytes are a salt");
    let password: String = password.nfkc().collect();
    Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .expect("the parameters are the recommended ones")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_and_not_among_the_first_guesses() {
        for wrong in [
            "",
            "short",
            "elevenchars",
            "passwordpassword",
            "PasswordPassword",
            "passwordpassword1",
            "1q2w3e4r5t6y",
            "aaaaaaaaaaaaaaaa",
            "abababababababab",
            "ann.smith@example.com",
            "ann.smith1234",
            "ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ",
        ] {
            assert!(check(wrong, "ann.smith@example.com").is_err(), "{wrong}");
        }
        assert!(check(&"ab cd".repeat(300), "ann").is_err());
        for right in [
            "tidal window forks",
            "correct horse battery staple 7 gates",
            "twelve chars",
            "долгий пароль",
        ] {
            assert_eq!(check(right, "ann.smith@example.com"), Ok(()), "{right}");
        }
    }

    #[tokio::test]
    async fn only_the_same_password_has_the_hash() {
        let known = hash("tidal window forks".into()).await;
        assert!(known.starts_with("$argon2id$"), "{known}");
        assert_ne!(
            known,
            hash("tidal window forks".into()).await,
            "a salt each"
        );
        assert!(verify("tidal window forks".into(), Some(known.clone())).await);
        assert!(!verify("tidal window fork".into(), Some(known)).await);
        assert!(!verify("anything at all".into(), None).await);
        assert!(!verify("anything at all".into(), Some("no hash".into())).await);
    }
}
