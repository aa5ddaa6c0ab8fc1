//! A provider of OpenID Connect over real HTTP, which a test can let do each thing wrongly.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::{RawForm, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKeyId, PrivateSigningKey};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::log::KEY;

/// A running provider. It stops when it is dropped.
pub(crate) struct OpenIdProvider {
    pub(crate) address: SocketAddr,
    pub(crate) script: Arc<Mutex<Script>>,
    serving: JoinHandle<()>,
}

/// What the provider does.
pub(crate) struct Script {
    /// What is different in its description.
    pub(crate) metadata: Map<String, Value>,
    /// What is different in the claims of the ID token; `null` takes a claim away.
    pub(crate) claims: Map<String, Value>,
    /// What the address for people's data answers.
    pub(crate) userinfo: Option<Value>,
    /// The key with which tokens are signed, and those that are published.
    pub(crate) key: CoreEdDsaPrivateSigningKey,
    pub(crate) published: Vec<Value>,
    /// What is different in the header of the ID token.
    pub(crate) header: Map<String, Value>,
    /// A changed signature.
    pub(crate) breaks_signature: bool,
    /// How often the keys were requested.
    pub(crate) key_requests: usize,
    issuer: String,
    /// The codes that were given out and not used, with the query of their requests.
    codes: HashMap<String, HashMap<String, String>>,
}

impl Script {
    /// Publishes the key that signs, in place of all others.
    pub(crate) fn publish(&mut self) {
        let key = serde_json::to_value(self.key.as_verification_key());
        self.published = vec![key.expect("a key is JSON")];
    }

    /// Changes one claim.
    pub(crate) fn claim(&mut self, name: &str, value: Value) {
        self.claims.insert(name.to_owned(), value);
    }
}

/// A new key of this name.
pub(crate) fn new_key(name: &str) -> CoreEdDsaPrivateSigningKey {
    // RFC 8410: what stands before the 32 bytes of a private key.
    let mut der = vec![
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    der.extend(rand::random::<[u8; 32]>());
    let base64 = STANDARD.encode(der);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n");
    let name = JsonWebKeyId::new(name.to_owned());
    CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(name)).expect("a key")
}

impl OpenIdProvider {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::on(listener)
    }

    /// On this socket.
    pub(crate) fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("a bound socket");
        let mut script = Script {
            metadata: Map::new(),
            claims: Map::new(),
            userinfo: None,
            key: new_key("first"),
            published: Vec::new(),
            header: Map::new(),
            breaks_signature: false,
            key_requests: 0,
            issuer: format!("http://{address}"),
            codes: HashMap::new(),
        };
        script.publish();
        let script = Arc::new(Mutex::new(script));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(Arc::clone(&script));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self {
            address,
            script,
            serving,
        }
    }

    /// The section of the configuration for it, with these lines more.
    pub(crate) fn section(&self, more: &str) -> String {
        section(self.address, more)
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("no holder of the lock panics")
    }

    /// Somebody signs in with the request at this address. Returns the query that goes back with the browser.
    pub(crate) fn authorize(&self, url: &str) -> String {
        let (at, query) = url.split_once('?').expect("a query");
        assert_eq!(at, format!("http://{}/authorize", self.address));
        let query: HashMap<String, String> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["client_id"], "rill");
        assert_eq!(query["code_challenge_method"], "S256");
        assert!(query["scope"].split(' ').any(|scope| scope == "openid"));
        let code = format!("{:032x}", rand::random::<u128>());
        let state = query["state"].clone();
        self.script().codes.insert(code.clone(), query);
        format!("code={code}&state={state}")
    }
}

/// The section of the configuration for a provider at this address, with these lines more.
pub(crate) fn section(address: SocketAddr, more: &str) -> String {
    format!(
        "[access.openid]\nissuer = \"http://{address}\"\nclient_id = \"rill\"\nclient_secret_env = \"KEY\"\n\
         name = \"Example\"\n{more}\n"
    )
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

type Shared = State<Arc<Mutex<Script>>>;

fn overlaid(mut value: Value, over: &Map<String, Value>) -> Value {
    let object = value.as_object_mut().expect("an object");
    for (name, value) in over {
        match value {
            Value::Null => object.remove(name),
            value => object.insert(name.clone(), value.clone()),
        };
    }
    value
}

async fn describe(State(script): Shared) -> Json<Value> {
    let script = script.lock().expect("a script");
    let issuer = &script.issuer;
    let description = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/keys"),
        "end_session_endpoint": format!("{issuer}/end"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "EdDSA"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    });
    Json(overlaid(description, &script.metadata))
}

async fn keys(State(script): Shared) -> Json<Value> {
    let mut script = script.lock().expect("a script");
    script.key_requests += 1;
    Json(json!({ "keys": script.published }))
}

async fn userinfo(State(script): Shared, headers: HeaderMap) -> Response {
    let script = script.lock().expect("a script");
    let is_bearer = headers
        .get("authorization")
        .is_some_and(|it| it == "Bearer access");
    match &script.userinfo {
        Some(person) if is_bearer => Json(person.clone()).into_response(),
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn token(State(script): Shared, headers: HeaderMap, RawForm(body): RawForm) -> Response {
    let mut script = script.lock().expect("a script");
    let form: HashMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let refuse =
        |error: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    let client = format!("Basic {}", STANDARD.encode(format!("rill:{KEY}")));
    if headers
        .get("authorization")
        .is_none_or(|it| it != client.as_str())
    {
        return refuse("invalid_client");
    }
    // A code is good once.
    let Some(request) = script.codes.remove(&form["code"]) else {
        return refuse("invalid_grant");
    };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    if challenge != request["code_challenge"] || form["redirect_uri"] != request["redirect_uri"] {
        return refuse("invalid_grant");
    }
    let answer = json!({
        "access_token": "access", "token_type": "Bearer", "expires_in": 60,
        "id_token": id_token(&script, &request["nonce"]),
    });
    Json(answer).into_response()
}

fn id_token(script: &Script, nonce: &str) -> String {
    let now = server::store::now() / 1000;
    let claims = json!({
        "iss": script.issuer, "sub": "subject-1", "aud": "rill", "exp": now + 300, "iat": now,
        "nonce": nonce, "email": "ann@example.com", "email_verified": true, "name": "Ann",
    });
    let claims = overlaid(claims, &script.claims);
    let key = serde_json::to_value(script.key.as_verification_key()).expect("a key is JSON");
    let header = overlaid(json!({ "alg": "EdDSA", "kid": key["kid"] }), &script.header);
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature = script
        .key
        .sign(&CoreJwsSigningAlgorithm::EdDsa, signed.as_bytes());
    let mut signature = signature.expect("it signs");
    if script.breaks_signature {
        signature[0] ^= 1;
    }
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
