//! Who of a provider's people may come.

use super::claims::Identity;
use super::settings::Admit;

impl Admit {
    /// Whether a person may come. `is_expected` says whether the person was invited or has an account.
    ///
    /// # Errors
    /// A text for the log.
    pub(crate) fn check(&self, identity: &Identity, is_expected: bool) -> Result<(), String> {
        let email = &identity.email;
        match self {
            Self::All => Ok(()),
            Self::Invited if is_expected => Ok(()),
            Self::Invited => Err(format!(
                "{email} has neither an invitation nor an account (rill user invite {email})"
            )),
            Self::Domains(domains) => {
                let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
                if domains.iter().any(|allowed| allowed == domain) {
                    return Ok(());
                }
                Err(format!("the domain of {email} is not one of `domains`"))
            }
            Self::Groups(allowed) => {
                let groups = identity.groups.as_deref().unwrap_or_default();
                if groups.iter().any(|group| allowed.contains(group)) {
                    return Ok(());
                }
                Err(format!("{email} is in none of `groups`"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whom_the_configuration_names_may_come() {
        let check = |admit: &Admit, email: &str, groups: &[&str], is_expected, expect: bool| {
            let identity = Identity {
                issuer: "https://login.example.com".to_owned(),
                subject: "1".to_owned(),
                email: email.to_owned(),
                name: String::new(),
                groups: Some(groups.iter().map(|group| (*group).to_owned()).collect()),
                is_admin: None,
                id_token: String::new(),
            };
            let admitted = admit.check(&identity, is_expected).is_ok();
            assert_eq!(admitted, expect, "{admit:?} {email} {groups:?}");
        };
        check(&Admit::All, "ann@example.com", &[], false, true);
        check(&Admit::Invited, "ann@example.com", &[], false, false);
        check(&Admit::Invited, "ann@example.com", &[], true, true);
        let domains = Admit::Domains(vec!["example.com".to_owned()]);
        check(&domains, "ann@example.com", &[], false, true);
        check(&domains, "ann@evil.example.com", &[], true, false);
        check(&domains, "ann@example.com.evil.test", &[], true, false);
        check(&domains, "example.com", &[], true, false);
        check(&domains, "ann@evil.test@example.com", &[], false, true);
        let groups = Admit::Groups(vec!["staff".to_owned(), "chat".to_owned()]);
        check(&groups, "ann@example.com", &["chat"], false, true);
        check(&groups, "ann@example.com", &["Chat", "chats"], true, false);
        check(&groups, "ann@example.com", &[], true, false);
    }
}
