//! The settings of access, which the configuration builds.

use std::net::IpAddr;
use std::time::Duration;

use clap::ValueEnum;
use ipnet::IpNet;
use serde::Deserialize;

use super::models::ModelRules;
use super::openid::OpenIdSettings;

/// How people are let in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One person, without signing in. The server listens on loopback only.
    #[default]
    Local,
    /// People with accounts, who sign in.
    Accounts,
    /// A proxy signs people in and names them in a header.
    Proxy,
}

/// The settings of access.
#[derive(Debug, Clone)]
pub struct AccessSettings {
    /// How people are let in.
    pub mode: Mode,
    /// Whether people open the server by HTTPS, so that cookies are sent by HTTPS only.
    pub is_https: bool,
    /// The path below which the server is, as `/chat`; empty at the root of a host.
    pub base: String,
    /// The networks of trusted proxies, whose headers are believed.
    pub trusted: Vec<IpNet>,
    /// The header in which a trusted proxy names the person, in lower case.
    pub user_header: Option<String>,
    /// The header in which a trusted proxy lists the person's groups, separated by commas.
    pub groups_header: Option<String>,
    /// The groups whose members are admins.
    pub admin_groups: Vec<String>,
    /// The time after which a session ends that is not used.
    pub idle: Duration,
    /// The time after which every session ends.
    pub longest: Duration,
    /// Which models are for some people only.
    pub models: ModelRules,
    /// Signing in by OpenID Connect.
    pub openid: Option<OpenIdSettings>,
}

/// The default of [`AccessSettings::idle`].
pub const IDLE: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// The default of [`AccessSettings::longest`].
pub const LONGEST: Duration = Duration::from_secs(90 * 24 * 60 * 60);

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            mode: Mode::Local,
            is_https: false,
            base: String::new(),
            trusted: Vec::new(),
            user_header: None,
            groups_header: None,
            admin_groups: Vec::new(),
            idle: IDLE,
            longest: LONGEST,
            models: ModelRules::default(),
            openid: None,
        }
    }
}

impl AccessSettings {
    /// Whether this peer is a trusted proxy.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted.iter().any(|network| network.contains(&peer))
    }
}
