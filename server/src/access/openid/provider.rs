//! The provider: what it publishes about itself, and what it says about a person.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClaimName, CoreClaimType,
    CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm,
    CoreResponseMode, CoreResponseType, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreSubjectIdentifierType, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessToken, AdditionalProviderMetadata, AuthType, AuthorizationCode, ClaimsVerificationError,
    Client, ClientId, ClientSecret, CsrfToken, DiscoveryError, EmptyExtraTokenFields,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IdToken, IdTokenClaims, IdTokenFields,
    IssuerUrl, JsonWebKeySet, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier,
    ProviderMetadata, RedirectUrl, RequestTokenError, Scope, StandardErrorResponse,
    StandardTokenResponse, SubjectIdentifier, TokenResponse, UserInfoClaims,
};
use reqwest::Url;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::attempt::Attempt;
use super::claims::{Identity, OtherClaims};
use super::failure::{Failure, printable};
use super::settings::OpenIdSettings;
use crate::access::email::AccountName;

mod http;

use self::http::{HttpFailure, ProviderHttp};

/// How long a description is used before it is requested again.
const DESCRIBED: Duration = Duration::from_secs(60 * 60);

/// What a provider says about itself beyond what the crate reads.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct MoreMetadata {
    /// Whether the return address always names the issuer (RFC 9207).
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    /// Where a browser ends its session (RP-initiated logout).
    end_session_endpoint: Option<Url>,
}

impl AdditionalProviderMetadata for MoreMetadata {}

type Metadata = ProviderMetadata<
    MoreMetadata,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type Token = IdToken<
    OtherClaims,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

type Tokens = StandardTokenResponse<
    IdTokenFields<
        OtherClaims,
        EmptyExtraTokenFields,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    >,
    CoreTokenType,
>;

type ProviderClient = Client<
    OtherClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

type Claims = IdTokenClaims<OtherClaims, CoreGenderClaim>;

/// The algorithms by which an ID token may be signed: those with a key that only the provider has.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// A description with its keys, and when it was requested.
struct Described {
    metadata: Metadata,
    at: Instant,
}

pub(super) struct Provider {
    settings: OpenIdSettings,
    http: ProviderHttp,
    described: Mutex<Option<Arc<Described>>>,
}

impl Provider {
    pub(super) fn new(settings: OpenIdSettings) -> Self {
        Self {
            settings,
            http: ProviderHttp::default(),
            described: Mutex::default(),
        }
    }

    /// Requests the description, unless it is known.
    pub(super) async fn look(&self) -> Result<(), Failure> {
        self.metadata().await.map(|_| ())
    }

    /// The description of the provider. One that is an hour old is requested again, and used still if that fails.
    async fn metadata(&self) -> Result<Arc<Described>, Failure> {
        let present = self.stored();
        if let Some(present) = present.as_ref().filter(|it| it.at.elapsed() < DESCRIBED) {
            return Ok(Arc::clone(present));
        }
        match (self.discover().await, present) {
            (Ok(new), _) => Ok(new),
            (Err(failure), Some(present)) => {
                tracing::warn!("OpenID Connect: {failure}; an older description is used");
                Ok(present)
            }
            (Err(failure), None) => Err(failure),
        }
    }

    async fn discover(&self) -> Result<Arc<Described>, Failure> {
        let issuer = IssuerUrl::new(self.settings.issuer.clone())
            .map_err(|error| Failure::Description(error.to_string()))?;
        let metadata = Metadata::discover_async(issuer, &self.http).await?;
        Ok(self.store(metadata))
    }

    /// Requests the keys again: the provider has new ones.
    async fn discover_keys(&self, old: &Described) -> Result<Arc<Described>, Failure> {
        let keys = JsonWebKeySet::fetch_async(old.metadata.jwks_uri(), &self.http).await?;
        Ok(self.store(old.metadata.clone().set_jwks(keys)))
    }

    fn stored(&self) -> Option<Arc<Described>> {
        let described = self.described.lock();
        described.expect("no holder of the lock panics").clone()
    }

    fn store(&self, metadata: Metadata) -> Arc<Described> {
        let at = Instant::now();
        let new = Arc::new(Described { metadata, at });
        let described = self.described.lock();
        *described.expect("no holder of the lock panics") = Some(Arc::clone(&new));
        new
    }

    fn client(&self, described: &Described, return_url: &str) -> Result<ProviderClient, Failure> {
        let secret = self.settings.client_secret.as_ref();
        let secret = secret.map(|secret| ClientSecret::new(secret.expose_secret().to_owned()));
        let methods = described
            .metadata
            .token_endpoint_auth_methods_supported()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let by_post = methods.contains(&CoreClientAuthMethod::ClientSecretPost)
            && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic);
        let return_url = RedirectUrl::new(return_url.to_owned())
            .map_err(|error| Failure::Description(error.to_string()))?;
        let client = ProviderClient::from_provider_metadata(
            described.metadata.clone(),
            ClientId::new(self.settings.client_id.clone()),
            secret,
        );
        Ok(client
            .set_redirect_uri(return_url)
            .set_auth_type(match by_post {
                true => AuthType::RequestBody,
                false => AuthType::BasicAuth,
            }))
    }

    pub(super) async fn sign_in_url(
        &self,
        attempt: &Attempt,
        return_url: &str,
    ) -> Result<String, Failure> {
        let client = self.client(&*self.metadata().await?, return_url)?;
        let (state, nonce) = (attempt.state(), attempt.nonce());
        let verifier = PkceCodeVerifier::new(attempt.verifier());
        let scopes = self.settings.scopes.iter().cloned().map(Scope::new);
        let (url, ..) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .add_scopes(scopes)
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        Ok(url.into())
    }

    /// Checks the issuer that has sent the browser back, so that the code of one provider is never sent to another.
    pub(super) async fn check_issuer(&self, issuer: Option<&str>) -> Result<(), Failure> {
        let described = self.metadata().await?;
        let more = described.metadata.additional_metadata();
        match issuer {
            Some(issuer) if issuer == self.settings.issuer => Ok(()),
            Some(issuer) => Err(Failure::Issuer(format!(
                "the browser came back from {}",
                printable(issuer)
            ))),
            None if more.authorization_response_iss_parameter_supported => Err(Failure::Issuer(
                "the browser came back without `iss`, which this provider sends".to_owned(),
            )),
            None => Ok(()),
        }
    }

    /// Exchanges the code, and checks all that comes.
    pub(super) async fn identity(
        &self,
        attempt: &Attempt,
        code: String,
        return_url: &str,
    ) -> Result<Identity, Failure> {
        let described = self.metadata().await?;
        let client = self.client(&described, return_url)?;
        let tokens = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| Failure::Description(error.to_string()))?
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier()))
            .request_async(&self.http)
            .await?;
        let token = tokens.id_token().ok_or(Failure::NoToken)?;
        let nonce = Nonce::new(attempt.nonce());
        let claims = match self.verified(&client, token, &nonce) {
            Err(ClaimsVerificationError::SignatureVerification(_)) => {
                let client = self.client(&*self.discover_keys(&described).await?, return_url)?;
                self.verified(&client, token, &nonce)?
            }
            other => other?,
        };
        let is_for_us = |party: &ClientId| party.as_str() == self.settings.client_id;
        if let Some(other) = claims.authorized_party().filter(|party| !is_for_us(party)) {
            let other = printable(other.as_str());
            return Err(Failure::Audience(format!("the token was made for {other}")));
        }
        let person = self.person(&client, &claims, tokens.access_token()).await?;
        self.read(&claims, &person, token)
    }

    fn verified(
        &self,
        client: &ProviderClient,
        token: &Token,
        nonce: &Nonce,
    ) -> Result<Claims, ClaimsVerificationError> {
        let skew = self.settings.skew;
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || (SystemTime::now() - skew).into())
            .set_issue_time_verifier_fn(move |issued| {
                if SystemTime::from(issued) > SystemTime::now() + skew {
                    return Err(format!("the token is of {issued}, which is in the future"));
                }
                Ok(())
            });
        token.claims(&verifier, nonce).cloned()
    }

    /// What the provider tells beside the token, if the token lacks something that is needed.
    async fn person(
        &self,
        client: &ProviderClient,
        claims: &Claims,
        access: &AccessToken,
    ) -> Result<Option<UserInfoClaims<OtherClaims, CoreGenderClaim>>, Failure> {
        let role_claim = self.settings.role_claim.as_ref().map(|(name, _)| name);
        let names = self.settings.groups_claim.iter().chain(role_claim);
        let has_all = claims.email().is_some()
            && names
                .into_iter()
                .all(|name| claims.additional_claims().get(name).is_some());
        if has_all || client.user_info_url().is_none() {
            return Ok(None);
        }
        // Another subject is refused: the answer would be about somebody else.
        let subject: SubjectIdentifier = claims.subject().clone();
        let request = client
            .user_info(access.clone(), Some(subject))
            .map_err(|error| Failure::Description(error.to_string()))?;
        let person = request.request_async(&self.http).await;
        person.map(Some).map_err(|error| {
            Failure::Claim(format!(
                "the provider does not tell about the person: {}",
                printable(&error.to_string())
            ))
        })
    }

    fn read(
        &self,
        claims: &Claims,
        person: &Option<UserInfoClaims<OtherClaims, CoreGenderClaim>>,
        token: &Token,
    ) -> Result<Identity, Failure> {
        let (email, is_verified) = match (claims.email(), person) {
            (Some(email), _) => (Some(email), claims.email_verified()),
            (None, Some(person)) => (person.email(), person.email_verified()),
            (None, None) => (None, None),
        };
        let email = email.ok_or_else(|| {
            Failure::Claim("email is missing: is the scope email allowed there?".to_owned())
        })?;
        let name = AccountName::email(email)
            .ok_or_else(|| Failure::Claim("email is not an email address".to_owned()))?;
        if self.settings.needs_verified_email && is_verified != Some(true) {
            return Err(Failure::Claim(
                "email_verified is not true, see verified_email".to_owned(),
            ));
        }
        let texts = |name: &String| match (claims.additional_claims().get(name), person) {
            (None, Some(person)) => person.additional_claims().texts(name),
            _ => claims.additional_claims().texts(name),
        };
        let groups = self.settings.groups_claim.as_ref().map(texts).transpose()?;
        let is_admin = match &self.settings.role_claim {
            None => None,
            Some((claim, admins)) => Some(texts(claim)?.iter().any(|role| admins.contains(role))),
        };
        let full_name = claims
            .name()
            .or_else(|| person.as_ref().and_then(UserInfoClaims::name))
            .and_then(|name| name.get(None))
            .map(|name| printable(name).chars().take(100).collect());
        Ok(Identity {
            issuer: self.settings.issuer.clone(),
            subject: claims.subject().to_string(),
            email: name.name,
            name: full_name.unwrap_or_default(),
            groups,
            is_admin,
            id_token: token.to_string(),
        })
    }

    pub(super) async fn sign_out_url(&self, id_token: &str, return_url: &str) -> Option<String> {
        let described = self.metadata().await.ok()?;
        let more = described.metadata.additional_metadata();
        let mut url = more.end_session_endpoint.clone()?;
        url.query_pairs_mut()
            .append_pair("id_token_hint", id_token)
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("post_logout_redirect_uri", return_url);
        Some(url.into())
    }
}

impl From<DiscoveryError<HttpFailure>> for Failure {
    fn from(error: DiscoveryError<HttpFailure>) -> Self {
        match error {
            DiscoveryError::Request(error) => Self::Unreachable(error.to_string()),
            DiscoveryError::Validation(text) => Self::Issuer(printable(&text)),
            DiscoveryError::Parse(error) => Self::Description(printable(&error.to_string())),
            other => Self::Description(printable(&other.to_string())),
        }
    }
}

type TokenError = RequestTokenError<HttpFailure, StandardErrorResponse<CoreErrorResponseType>>;

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        match error {
            RequestTokenError::ServerResponse(refusal) => {
                Self::Code(printable(&refusal.to_string()))
            }
            RequestTokenError::Request(error) => Self::Unreachable(error.to_string()),
            RequestTokenError::Parse(error, _) => Self::Claim(format!(
                "the answer is none: {}",
                printable(&error.to_string())
            )),
            RequestTokenError::Other(text) => Self::Code(printable(&text)),
        }
    }
}
