//! The check before every handler: finds out who sends the request, and refuses it if the route needs more.
//!
//! A caller is let in by one of three things: a cookie with a session, a key for programs, or, in the mode `proxy`,
//! the header of a trusted proxy. A request that has a key is judged by the key alone.

use std::sync::Arc;

use app::protocol::ErrorKind;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, HeaderMap};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::cookies;
use super::error::AppError;
use super::limits::Client;
use super::listen::Peer;
use super::openai::OpenAiError;
use super::routes::Needs;
use super::state::AppState;
use super::until_ended::until_ended;
use crate::access::{Access, Caller, Mode, Role};

/// A route's check.
pub(super) struct Checkpoint {
    pub(super) state: AppState,
    /// What a request to the route needs.
    pub(super) needs: Needs,
}

/// Passes a request on with its [`Caller`], or refuses it. An answer that streams ends when the caller's session or
/// key does.
pub(super) async fn authorize(
    State(checkpoint): State<Arc<Checkpoint>>,
    mut request: Request,
    next: Next,
) -> Response {
    let access = &checkpoint.state.access;
    if let Some(caller) = access.only_person() {
        request.extensions_mut().insert(caller.clone());
        return next.run(request).await;
    }
    let peer = request.extensions().get::<Peer>().copied();
    let allowed = match identify(access, peer, request.headers()).await {
        Ok(caller) => check(checkpoint.needs, access.settings().mode, caller),
        // Files are for everybody, also where the identity is wrong.
        Err(_) if checkpoint.needs == Needs::Nothing => Ok(None),
        Err(refusal) => Err(refusal),
    };
    let caller = match allowed {
        Ok(Some(caller)) => caller,
        Ok(None) => return next.run(request).await,
        Err(refusal) => {
            return refuse(&checkpoint.state, request.method(), request.uri(), refusal);
        }
    };
    request.extensions_mut().insert(caller.clone());
    let id = caller.person().id().to_owned();
    request.extensions_mut().insert(Client::Person(id));
    let is_cancelled = matches!(checkpoint.needs, Needs::Person(_) | Needs::Key(_));
    until_ended(&caller, is_cancelled, next.run(request)).await
}

/// Whether the caller has what the route needs.
fn check(needs: Needs, mode: Mode, caller: Option<Caller>) -> Result<Option<Caller>, AppError> {
    let Some(caller) = caller else {
        return match needs {
            Needs::Nothing => Ok(None),
            _ => Err(ErrorKind::NotSignedIn.into()),
        };
    };
    let refused = |sentence: &'static str| Err(AppError::new(ErrorKind::NotAllowed, sentence));
    match needs {
        Needs::Person(scope) | Needs::Key(scope) if !caller.may(scope) => {
            refused("This key may not be used for that: make one with another scope.")
        }
        // A page of another site has the cookie but not the key.
        Needs::Key(_) if mode == Mode::Accounts && !caller.has_key() => {
            Err(ErrorKind::NotSignedIn.into())
        }
        Needs::Session | Needs::Admin if caller.has_key() => {
            refused("A key may not be used for that: sign in instead.")
        }
        Needs::Admin if caller.person().role() != Role::Admin => {
            refused("Only an admin may do that.")
        }
        _ => Ok(Some(caller)),
    }
}

/// Finds out who sends the request. `None`: nobody who is known.
async fn identify(
    access: &Access,
    peer: Option<Peer>,
    headers: &HeaderMap,
) -> Result<Option<Caller>, AppError> {
    if let Some(key) = key_of_a_program(headers) {
        return Ok(access.by_key(key).await?);
    }
    match access.settings().mode {
        Mode::Local => Ok(None),
        Mode::Accounts => match cookies::session(headers, access.settings()) {
            Some(secret) => Ok(access.by_session(secret).await?),
            None => Ok(None),
        },
        Mode::Proxy => by_proxy(access, peer, headers).await,
    }
}

/// The key of `Authorization: Bearer rill_…`, if there is exactly one. Other credentials are not for this server: a proxy
/// in front may ask for them and pass them on.
fn key_of_a_program(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && key.starts_with("rill_")).then_some(key)
}

/// The person whom a trusted proxy names. Another peer that sends the header is refused: it may not pretend to be
/// somebody, nor find out whether it could.
async fn by_proxy(
    access: &Access,
    peer: Option<Peer>,
    headers: &HeaderMap,
) -> Result<Option<Caller>, AppError> {
    let settings = access.settings();
    let names = [&settings.user_header, &settings.groups_header];
    let is_trusted = peer.is_some_and(|Peer(address)| settings.trusts(address));
    if !is_trusted {
        let has_header = names
            .into_iter()
            .flatten()
            .any(|name| headers.contains_key(name));
        if has_header {
            let peer = peer.map(|Peer(address)| address.to_string());
            tracing::warn!(peer, "refused: only a trusted proxy may name a person");
            return Err(AppError::logged(ErrorKind::NotAllowed));
        }
        return Ok(None);
    }
    let one = |name: &Option<String>| -> Result<Option<String>, AppError> {
        let Some(name) = name else {
            return Ok(None);
        };
        let mut values = headers.get_all(name).iter();
        let value = values
            .next()
            .map(|value| String::from_utf8(value.as_bytes().to_vec()));
        match (value, values.next()) {
            (None, _) => Ok(None),
            (Some(Ok(value)), None) => Ok(Some(value)),
            _ => Err(ErrorKind::NotAllowed.into()),
        }
    };
    let Some(user) = one(&settings.user_header)? else {
        return Ok(None);
    };
    let groups = one(&settings.groups_header)?.unwrap_or_default();
    match access.by_proxy(&user, &groups).await? {
        Some(caller) => Ok(Some(caller)),
        None => {
            tracing::warn!("refused: the proxy names a person who may not use this server");
            Err(AppError::logged(ErrorKind::NotAllowed))
        }
    }
}

/// The refusal in the format of the route. Who opens a page and is not signed in is led to the form.
fn refuse(state: &AppState, method: &Method, uri: &Uri, error: AppError) -> Response {
    let mode = state.access.settings().mode;
    let path = uri.path();
    if path.starts_with("/v1/") {
        return OpenAiError::from(error).into_response();
    }
    let is_page = *method == Method::GET && !path.starts_with("/api/");
    if is_page && error.kind() == ErrorKind::NotSignedIn && mode == Mode::Proxy {
        return super::account::refusal_page(
            state,
            StatusCode::UNAUTHORIZED,
            "The proxy in front of this server has not said who you are.",
        );
    }
    if is_page && error.kind() == ErrorKind::NotSignedIn {
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let query: String =
            percent_encoding::utf8_percent_encode(target, percent_encoding::NON_ALPHANUMERIC)
                .collect();
        let mut response =
            Redirect::to(&format!("{}?next={query}", super::account::SIGN_IN)).into_response();
        super::account::never_stored(&mut response);
        return response;
    }
    if is_page && error.kind() == ErrorKind::NotAllowed {
        return super::account::refusal_page(state, StatusCode::FORBIDDEN, error.message());
    }
    error.into_response()
}

/// Handlers get the caller that `authorize` has found.
impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| AppError::from(ErrorKind::NotSignedIn).into_response())
    }
}
