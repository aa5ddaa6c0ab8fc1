//! Emails as the names of accounts: one spelling of each, and none that looks like another.

use unicode_normalization::UnicodeNormalization;
use unicode_security::confusable_detection::skeleton;

/// The longest name of an account, in bytes, as for an email (RFC 5321).
const LONGEST: usize = 254;

/// The name of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountName {
    /// In lower case and NFC.
    pub(crate) name: String,
    /// As Unicode says that it looks. Names that look alike have the same.
    pub(crate) likeness: String,
}

impl AccountName {
    /// An email.
    pub(crate) fn email(text: &str) -> Option<Self> {
        let name = Self::any(text)?;
        let (local, domain) = name.name.split_once('@')?;
        let is_domain = !domain.contains('@') && domain.split('.').all(|label| !label.is_empty());
        (!local.is_empty() && is_domain).then_some(name)
    }

    /// An email, or another name that a proxy gives a person.
    pub(crate) fn any(text: &str) -> Option<Self> {
        let name: String = text.trim().nfc().collect::<String>().to_lowercase();
        // Lower case can undo the normal form.
        let name: String = name.nfc().collect();
        let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !is_invisible(c);
        if name.is_empty() || name.len() > LONGEST || !name.chars().all(is_plain) {
            return None;
        }
        let likeness = skeleton(&name).collect::<String>().to_lowercase();
        Some(Self { name, likeness })
    }
}

/// Characters that show nothing, or change the direction of others.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_has_one_spelling() {
        let check = |text: &str, expect: Option<&str>| {
            let name = AccountName::email(text).map(|name| name.name);
            assert_eq!(name.as_deref(), expect, "{text:?}");
        };
        check("Ann@Example.COM", Some("ann@example.com"));
        check("  ann@example.com\n", Some("ann@example.com"));
        check("JOSE\u{301}@example.com", Some("josé@example.com"));
        check("josé@example.com", Some("josé@example.com"));
        for wrong in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "ann@@example.com",
            "a@b@c",
            "ann@example..com",
            "ann@.com",
            "an n@example.com",
            "ann@example.com\r\nbcc: x@y",
            "ann\u{200b}@example.com",
            "ann\u{202e}@example.com",
            "ann\u{0}@example.com",
        ] {
            check(wrong, None);
        }
        check(&format!("{}@example.com", "a".repeat(243)), None);
    }

    #[test]
    fn emails_that_look_alike_have_one_likeness() {
        let likeness = |text: &str| AccountName::email(text).expect("an email").likeness;
        // Cyrillic а, a full-width a, and a digit for a letter.
        for double in [
            "\u{430}nn@example.com",
            "\u{ff41}nn@example.com",
            "ANN@example.com",
        ] {
            assert_eq!(likeness(double), likeness("ann@example.com"), "{double}");
        }
        assert_eq!(likeness("pau1@example.com"), likeness("paul@example.com"));
        assert_ne!(likeness("ann@example.com"), likeness("anna@example.com"));
    }
}
