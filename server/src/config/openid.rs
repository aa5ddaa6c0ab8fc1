//! The section `[access.openid]`: signing in by a provider of OpenID Connect.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use toml::Spanned;

use super::file::{Place, read_secret};
use crate::access::openid::{Admit, OpenIdSettings};

/// How far the provider's clock may be off by default.
const SKEW: Duration = Duration::from_secs(60);
/// The most that it may be set to.
const MOST_SKEW: Duration = Duration::from_secs(10 * 60);

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenIdSection {
    issuer: Spanned<String>,
    client_id: Spanned<String>,
    client_secret_env: Option<Spanned<String>>,
    client_secret_file: Option<Spanned<PathBuf>>,
    #[serde(default = "usual_scopes")]
    scopes: Vec<Spanned<String>>,
    name: Option<String>,
    allow: Spanned<Allow>,
    #[serde(default)]
    domains: Vec<Spanned<String>>,
    groups_claim: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    role_claim: Option<Spanned<String>>,
    #[serde(default)]
    admins: Vec<String>,
    #[serde(default = "yes")]
    verified_email: bool,
    clock_skew: Option<Spanned<String>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Allow {
    Invited,
    Domains,
    Groups,
    All,
}

fn usual_scopes() -> Vec<Spanned<String>> {
    ["email", "profile"]
        .map(|scope| Spanned::new(0..0, scope.to_owned()))
        .into()
}

fn yes() -> bool {
    true
}

/// A mistake and its range in the text.
type Mistake = (Range<usize>, String);

impl OpenIdSection {
    /// The section with its values read.
    pub(super) fn read(self, place: &Place<'_>) -> Result<OpenIdSettings, Mistake> {
        let url = issuer(&self.issuer)?;
        if self.client_id.get_ref().trim().is_empty() {
            let message = "write the name that the provider gave this server".to_owned();
            return Err((self.client_id.span(), message));
        }
        let admit = self.admit()?;
        let role_claim = match (self.role_claim, self.admins) {
            (None, admins) if admins.is_empty() => None,
            (Some(claim), admins) if !admins.is_empty() => Some((claim.into_inner(), admins)),
            (Some(claim), _) => {
                let message = "name by `admins` the values of the claim that make an admin";
                return Err((claim.span(), message.to_owned()));
            }
            (None, _) => {
                let message = "`admins` needs `role_claim`, the claim that has one of these values";
                return Err((self.issuer.span(), message.to_owned()));
            }
        };
        let mut scopes = Vec::new();
        for scope in self.scopes {
            let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
            if scope.get_ref().is_empty() || !scope.get_ref().bytes().all(is_plain) {
                return Err((scope.span(), "this cannot be a scope".to_owned()));
            }
            // It is always asked for.
            if scope.get_ref() != "openid" {
                scopes.push(scope.into_inner());
            }
        }
        let skew = match self.clock_skew {
            None => SKEW,
            Some(text) => match super::parse_time(text.get_ref()) {
                Ok(skew) if skew <= MOST_SKEW => skew,
                _ => return Err((text.span(), "write a time up to 10m, as 60s".to_owned())),
            },
        };
        let (env, file) = (self.client_secret_env, self.client_secret_file);
        let names = ("client_secret_env", "client_secret_file");
        Ok(OpenIdSettings {
            client_secret: read_secret(env, file, names, place)?,
            name: self
                .name
                .filter(|name| !name.trim().is_empty())
                .unwrap_or_else(|| url.host_str().unwrap_or("OpenID Connect").to_owned()),
            issuer: self.issuer.into_inner(),
            client_id: self.client_id.into_inner(),
            scopes,
            admit,
            groups_claim: self.groups_claim,
            role_claim,
            needs_verified_email: self.verified_email,
            skew,
        })
    }

    fn admit(&self) -> Result<Admit, Mistake> {
        let needs = |what: &str| Err((self.allow.span(), what.to_owned()));
        match *self.allow.get_ref() {
            Allow::Invited => Ok(Admit::Invited),
            Allow::All => Ok(Admit::All),
            Allow::Groups if self.groups.is_empty() || self.groups_claim.is_none() => needs(
                "this needs `groups_claim`, the claim with a person's groups, and `groups`, those that may come",
            ),
            Allow::Groups => Ok(Admit::Groups(self.groups.clone())),
            Allow::Domains if self.domains.is_empty() => {
                needs("name by `domains` those whose emails may come, as [\"example.com\"]")
            }
            Allow::Domains => self
                .domains
                .iter()
                .map(|domain| {
                    let name = domain.get_ref().to_lowercase();
                    let is_domain = !name.is_empty()
                        && !name.contains(['@', '*', '/', ' '])
                        && name.split('.').all(|label| !label.is_empty());
                    let wrong = || (domain.span(), "write a domain as example.com".to_owned());
                    is_domain.then_some(name).ok_or_else(wrong)
                })
                .collect::<Result<_, _>>()
                .map(Admit::Domains),
        }
    }
}

/// Checks the address of the provider. What comes from it decides who is let in, so it must come by HTTPS.
fn issuer(text: &Spanned<String>) -> Result<Url, Mistake> {
    let wrong = |message: &str| Err((text.span(), message.to_owned()));
    let Ok(url) = Url::parse(text.get_ref()) else {
        return wrong("write the provider's issuer as https://login.example.com");
    };
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return wrong("an issuer is an address without a query");
    }
    if url.scheme() != "https" && !(url.scheme() == "http" && super::public_url::is_loopback(&url))
    {
        return wrong("the issuer must begin with https://, since it decides who is let in");
    }
    Ok(url)
}
