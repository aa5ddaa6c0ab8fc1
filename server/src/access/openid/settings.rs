//! The settings of OpenID Connect, which the configuration builds.

use std::time::Duration;

use secrecy::SecretString;

/// Which people of the provider may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admit {
    /// Those who were invited, or have an account with the same email.
    Invited,
    /// Those whose email is of one of these domains, in lower case.
    Domains(Vec<String>),
    /// Those who are in one of these groups.
    Groups(Vec<String>),
    /// Everybody who can sign in there.
    All,
}

/// The settings of OpenID Connect.
#[derive(Debug, Clone)]
pub struct OpenIdSettings {
    /// The provider, exactly as it names itself.
    pub issuer: String,
    /// The name of this server at the provider.
    pub client_id: String,
    /// The secret of this server at the provider, unless it is a public client.
    pub client_secret: Option<SecretString>,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The provider's name on the button.
    pub name: String,
    /// Who may come.
    pub admit: Admit,
    /// The claim with the person's groups.
    pub groups_claim: Option<String>,
    /// The claim that says who is an admin, and its values that do.
    pub role_claim: Option<(String, Vec<String>)>,
    /// Whether the provider must have checked that the email belongs to the person.
    pub needs_verified_email: bool,
    /// How far the provider's clock may be off.
    pub skew: Duration,
}
