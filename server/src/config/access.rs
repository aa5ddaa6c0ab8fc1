//! How people are let in: the mode of access, and the trusted proxies.

use std::ops::Range;
use std::time::Duration;

use clap::Args;
use ipnet::IpNet;
use reqwest::header::HeaderName;
use serde::Deserialize;
use toml::Spanned;

use super::Config;
use super::file::Place;
use super::openid::OpenIdSection;
use crate::access::models::ModelRules;
use crate::access::openid::OpenIdSettings;
use crate::access::settings::{IDLE, LONGEST};
use crate::access::{AccessSettings, Mode};

/// How people are let in.
#[derive(Debug, Clone, Default, Args)]
pub struct AccessOptions {
    /// How people are let in: `local` for one person on this machine, `accounts` for people who sign in, `proxy` where
    /// a proxy signs them in [default: local].
    #[arg(
        long = "access",
        env = "RILL_ACCESS",
        value_name = "MODE",
        hide_possible_values = true,
        global = true
    )]
    pub mode: Option<Mode>,

    /// The rest, from the configuration file.
    #[arg(skip)]
    pub file: AccessFile,
}

/// The section `[access]` of the configuration file.
#[derive(Debug, Clone, Default)]
pub struct AccessFile {
    mode: Option<Mode>,
    trusted: Vec<IpNet>,
    user_header: Option<HeaderName>,
    groups_header: Option<HeaderName>,
    admin_groups: Vec<String>,
    idle: Option<Duration>,
    longest: Option<Duration>,
    openid: Option<OpenIdSettings>,
    /// Which models are for some people only.
    pub(super) models: ModelRules,
}

/// The same, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccessSection {
    mode: Option<Mode>,
    session_idle: Option<Spanned<String>>,
    session_max: Option<Spanned<String>>,
    proxy: Option<ProxySection>,
    openid: Option<OpenIdSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProxySection {
    user_header: Option<Spanned<String>>,
    groups_header: Option<Spanned<String>>,
    #[serde(default)]
    admin_groups: Vec<String>,
    #[serde(default)]
    trusted: Vec<Spanned<String>>,
}

impl AccessSection {
    /// The section with its values read.
    pub(super) fn read(self, place: &Place<'_>) -> Result<AccessFile, (Range<usize>, String)> {
        let time = |text: Option<Spanned<String>>| match text {
            None => Ok(None),
            Some(text) => match super::parse_time(text.get_ref()) {
                Ok(time) if !time.is_zero() => Ok(Some(time)),
                _ => Err((text.span(), "write a time as 12h or 30d".to_owned())),
            },
        };
        let header = |text: Option<Spanned<String>>| match text {
            None => Ok(None),
            Some(text) => match text.get_ref().parse::<HeaderName>() {
                Ok(name) if !is_usual(&name) => Ok(Some(name)),
                _ => Err((
                    text.span(),
                    "this cannot be the header of a proxy: name one as X-Forwarded-User".to_owned(),
                )),
            },
        };
        let mut file = AccessFile {
            mode: self.mode,
            idle: time(self.session_idle)?,
            longest: time(self.session_max)?,
            openid: self.openid.map(|openid| openid.read(place)).transpose()?,
            ..AccessFile::default()
        };
        let Some(proxy) = self.proxy else {
            return Ok(file);
        };
        file.user_header = header(proxy.user_header)?;
        file.groups_header = header(proxy.groups_header)?;
        file.admin_groups = proxy.admin_groups;
        for network in proxy.trusted {
            let read = network.get_ref().parse::<IpNet>().or_else(|_| {
                let address = network.get_ref().parse::<std::net::IpAddr>();
                address.map(IpNet::from)
            });
            let read = read.map_err(|_| {
                (
                    network.span(),
                    "write a network as 10.0.0.0/8, or one address".to_owned(),
                )
            })?;
            if read.prefix_len() == 0 {
                return Err((
                    network.span(),
                    "this network is the whole internet, and everybody could name themselves"
                        .to_owned(),
                ));
            }
            file.trusted.push(read.trunc());
        }
        Ok(file)
    }
}

/// Whether browsers and programs send the header themselves.
fn is_usual(name: &HeaderName) -> bool {
    use reqwest::header::{
        ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN, REFERER, USER_AGENT,
    };
    [
        ACCEPT,
        AUTHORIZATION,
        CONTENT_TYPE,
        COOKIE,
        HOST,
        ORIGIN,
        REFERER,
        USER_AGENT,
    ]
    .contains(name)
}

impl Config {
    /// How people are let in.
    #[must_use]
    pub fn mode(&self) -> Mode {
        let file = &self.access.file;
        self.access.mode.or(file.mode).unwrap_or_default()
    }

    /// The settings of access.
    #[must_use]
    pub fn access_settings(&self) -> AccessSettings {
        let file = &self.access.file;
        let name = |header: &Option<HeaderName>| header.as_ref().map(ToString::to_string);
        AccessSettings {
            mode: self.mode(),
            is_https: match &self.public_url {
                Some(public) => public.origin.starts_with("https://"),
                None => self.tls.is_on(),
            },
            base: self.base().to_owned(),
            trusted: file.trusted.clone(),
            user_header: name(&file.user_header),
            groups_header: name(&file.groups_header),
            admin_groups: file.admin_groups.clone(),
            idle: file.idle.unwrap_or(IDLE),
            longest: file.longest.unwrap_or(LONGEST),
            models: file.models.clone(),
            openid: file.openid.clone(),
        }
    }

    /// The scheme of the server's addresses on this machine.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_on() { "https" } else { "http" }
    }

    /// The path below which the server's addresses are, as `/chat`; empty at the root of a host.
    #[must_use]
    pub fn base(&self) -> &str {
        self.public_url.as_ref().map_or("", |public| &public.path)
    }

    /// The address that people open, without a slash at its end.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.public_url {
            Some(public) => public.address(),
            None => format!("{}://{}", self.scheme(), self.listen),
        }
    }

    /// Checks that nobody is let in by a combination of settings.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what to do.
    pub fn check_access(&self) -> Result<(), String> {
        let mode = self.mode();
        let file = &self.access.file;
        self.tls.files()?;
        if !file.models.is_empty() && mode == Mode::Local {
            return Err(
                "[models] of rill.toml limits models to groups of people, so it needs --access accounts or proxy"
                    .to_owned(),
            );
        }
        if !self.listen.ip().is_loopback() && mode == Mode::Local {
            return Err(
                "only loopback addresses (127.0.0.1, [::1]) are served without accounts, since anyone who \
                 reaches another one could spend your key: set --access accounts, or put a proxy with a \
                 password in front and see --public-url"
                    .to_owned(),
            );
        }
        if file.openid.is_some() && mode != Mode::Accounts {
            return Err("[access.openid] of rill.toml needs --access accounts".to_owned());
        }
        if mode == Mode::Local {
            return Ok(());
        }
        match &self.public_url {
            None if !self.listen.ip().is_loopback() => {
                return Err(
                    "name the address that people open by --public-url https://chat.example.com"
                        .to_owned(),
                );
            }
            Some(public) if !public.origin.starts_with("https://") && !public.is_loopback() => {
                return Err(
                    "--public-url must begin with https://, since passwords and sessions are sent to it"
                        .to_owned(),
                );
            }
            _ => {}
        }
        if mode == Mode::Proxy && (file.user_header.is_none() || file.trusted.is_empty()) {
            return Err(
                "--access proxy needs `user_header` and `trusted` in [access.proxy] of rill.toml: the header \
                 in which the proxy names people, and the networks from which it is believed"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::openid::Admit;
    use clap::Parser;

    fn parse(arguments: &[&str], file: &str) -> Result<Config, String> {
        let arguments = std::iter::once("rill").chain(arguments.iter().copied());
        let config = Config::try_parse_from(arguments)
            .map_err(|error| error.to_string())?
            .with_file("rill.toml".as_ref(), file, &|_| None)?;
        config.check_access().map(|()| config)
    }

    const PROXY: &str =
        "[access.proxy]\nuser_header = \"X-Forwarded-User\"\ntrusted = [\"10.0.0.0/8\", \"::1\"]\n";

    #[test]
    fn another_address_than_loopback_is_listened_on_with_accounts_only() {
        let check = |arguments: &[&str], file: &str, words: Option<&str>| {
            let result = parse(arguments, file);
            match (words, result) {
                (None, Ok(_)) => {}
                (Some(words), Err(error)) => assert!(error.contains(words), "{error}"),
                (_, result) => panic!("{arguments:?}: {:?}", result.map(|config| config.mode())),
            }
        };
        let public = "--public-url=https://chat.example.com";
        check(&[], "", None);
        check(&["--listen=[::1]:1"], "", None);
        for open in [
            "--listen=0.0.0.0:3000",
            "--listen=[::]:3000",
            "--listen=192.168.1.2:3000",
        ] {
            check(&[open], "", Some("only loopback"));
            check(&[open, public], "", Some("only loopback"));
            check(
                &[open, "--access=local"],
                "[access]\nmode = \"accounts\"",
                Some("only loopback"),
            );
            check(&[open, "--access=accounts"], "", Some("--public-url"));
            check(&[open, "--access=accounts", public], "", None);
            check(&[open, public], "[access]\nmode = \"accounts\"", None);
            check(&[open, "--access=proxy", public], PROXY, None);
        }
        check(&["--access=accounts"], "", None);
        check(
            &["--access=accounts", "--public-url=http://chat.example.com"],
            "",
            Some("https"),
        );
        check(
            &["--access=accounts", "--public-url=http://127.0.0.1:3000"],
            "",
            None,
        );
        check(&["--access=proxy"], "", Some("user_header"));
        check(
            &["--access=proxy"],
            "[access.proxy]\nuser_header = \"X-User\"",
            Some("trusted"),
        );
        check(&["--access=everybody"], "", Some("invalid value"));
    }

    #[test]
    fn a_mistake_in_the_section_is_told_with_its_line_and_column() {
        let check = |text: &str, place: &str, words: &str| {
            let error = parse(&[], text).map(|_| ()).expect_err(text);
            let place = format!("rill.toml:{place}: ");
            assert!(
                error.starts_with(&place) && error.contains(words),
                "{error}"
            );
        };
        check("[access]\nmode = \"open\"", "2:8", "unknown variant");
        check("[access]\nmodes = \"local\"", "2:1", "unknown field");
        check("[access]\nsession_idle = \"soon\"", "2:16", "12h");
        check("[access]\nsession_max = \"0s\"", "2:15", "12h");
        check(
            "[access.proxy]\ntrusted = [\"10.0.0.0/8\", \"10.0.0.0/33\"]",
            "2:26",
            "network",
        );
        check("[access.proxy]\ntrusted = [\"proxy\"]", "2:12", "network");
        check(
            "[access.proxy]\ntrusted = [\"0.0.0.0/0\"]",
            "2:12",
            "whole internet",
        );
        check("[access.proxy]\nuser_header = \"X User\"", "2:15", "header");
        check("[access.proxy]\nuser_header = \"Host\"", "2:15", "header");
        let openid = |fields: &str| {
            let usual = "issuer = \"https://login.example.com\"\nclient_id = \"rill\"";
            format!("[access.openid]\n{usual}\n{fields}")
        };
        check(&openid("allow = \"everybody\""), "4:9", "unknown variant");
        check(&openid("allow = \"domains\""), "4:9", "`domains`");
        check(
            &openid("allow = \"domains\"\ndomains = [\"a.com\", \"@b.com\"]"),
            "5:21",
            "example.com",
        );
        check(
            &openid("allow = \"groups\"\ngroups = [\"a\"]"),
            "4:9",
            "`groups_claim`",
        );
        check(
            &openid("allow = \"all\"\nrole_claim = \"r\""),
            "5:14",
            "`admins`",
        );
        check(
            &openid("allow = \"all\"\nadmins = [\"r\"]"),
            "2:10",
            "`role_claim`",
        );
        check(
            &openid("allow = \"all\"\nscopes = [\"a b\"]"),
            "5:11",
            "scope",
        );
        check(
            &openid("allow = \"all\"\nclock_skew = \"1h\""),
            "5:14",
            "10m",
        );
        check(
            &openid("allow = \"all\"\nclient_secret = \"x\""),
            "5:1",
            "unknown field",
        );
        check(
            &openid("allow = \"all\"\nclient_secret_env = \"NONE\""),
            "5:21",
            "NONE is not set",
        );
        check(
            &openid("allow = \"all\"\nclient_secret_file = \"/none\""),
            "5:22",
            "cannot be read",
        );
        check(&openid(""), "1:1", "missing field `allow`");
        let issuer = |issuer: &str| {
            format!("[access.openid]\nclient_id = \"rill\"\nallow = \"all\"\nissuer = \"{issuer}\"")
        };
        check(&issuer("login.example.com"), "4:10", "https://");
        check(&issuer("http://login.example.com"), "4:10", "https://");
        check(&issuer("https://login.example.com?x=1"), "4:10", "query");
    }

    #[test]
    fn openid_connect_is_described_field_by_field_and_needs_accounts() {
        let text = r#"
            [access.openid]
            issuer = "http://127.0.0.1:9000/realm"
            client_id = "rill"
            scopes = ["openid", "email", "groups"]
            name = "Example"
            allow = "domains"
            domains = ["Example.com"]
            groups_claim = "groups"
            role_claim = "realm_access.roles"
            admins = ["chat-admin"]
            verified_email = false
            clock_skew = "5s"
        "#;
        let config = parse(&["--access=accounts"], text).expect("a good file");
        let openid = config.access_settings().openid.expect("it is configured");
        assert_eq!(openid.issuer, "http://127.0.0.1:9000/realm");
        assert_eq!(openid.scopes, ["email", "groups"]);
        assert_eq!(openid.admit, Admit::Domains(vec!["example.com".to_owned()]));
        assert!(!openid.needs_verified_email && openid.client_secret.is_none());
        assert_eq!(openid.skew, Duration::from_secs(5));
        assert!(parse(&[], text).is_err_and(|error| error.contains("--access accounts")));
        let least =
            "[access.openid]\nissuer = \"https://x.test\"\nclient_id = \"a\"\nallow = \"invited\"";
        let config = parse(&["--access=accounts"], least).expect("a good file");
        let openid = config.access_settings().openid.expect("it is configured");
        assert_eq!(
            (&*openid.name, openid.needs_verified_email),
            ("x.test", true)
        );
        assert_eq!(openid.scopes, ["email", "profile"]);
    }

    #[test]
    fn a_network_holds_its_addresses_also_as_ipv6_writes_them() {
        let settings = parse(&["--access=proxy"], PROXY)
            .expect("valid")
            .access_settings();
        for (peer, expect) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("::1", true),
            ("11.0.0.1", false),
            ("127.0.0.1", false),
            ("::2", false),
        ] {
            assert_eq!(
                settings.trusts(peer.parse().expect("an address")),
                expect,
                "{peer}"
            );
        }
    }
}
