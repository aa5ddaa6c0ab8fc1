//! Signing in by a provider of OpenID Connect. It works without a script.

use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::Response;
use serde::Deserialize;

use super::form::{self, Form, return_path, see_other};
use super::html::{Html, alert, door};
use super::sign_in::{signed_in_at, with_retry_after};
use super::{page, refusal};
use crate::access::Caller;
use crate::access::openid::{ATTEMPT_LIVES, Attempt, OpenId, Returned};
use crate::http::cookies::{self, OPENID};
use crate::http::error::AppError;
use crate::http::state::AppState;

/// Where signing in begins.
pub(super) const BEGIN: &str = "/signin/openid";
/// Where the provider sends the browser back to.
pub(super) const RETURN: &str = "/signin/openid/return";

/// The query of the page.
#[derive(Deserialize)]
pub(super) struct Next {
    next: Option<String>,
}

/// `GET /signin/openid`: sends the browser to the provider.
pub(super) async fn begin(
    State(state): State<AppState>,
    Query(Next { next }): Query<Next>,
    request: Request,
) -> Result<Response, AppError> {
    let openid = configured(&state)?;
    let next = return_path(next.as_deref().unwrap_or("/"));
    if request.extensions().get::<Caller>().is_some() {
        return Ok(see_other(next));
    }
    let attempt = Attempt::new(next);
    let return_url = return_url(&state, &request);
    let mut response = match openid.begin(&attempt, &return_url).await {
        Ok(url) => see_other(&url),
        Err(failure) => {
            tracing::warn!("OpenID Connect: {failure}");
            return Ok(not_signed_in(
                &state,
                StatusCode::BAD_GATEWAY,
                NOT_SIGNED_IN,
            ));
        }
    };
    let settings = state.access.settings();
    let cookie = OPENID.set(&attempt.to_cookie(), settings, ATTEMPT_LIVES);
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// `GET /signin/openid/return`: the provider has sent the browser back.
pub(super) async fn finish(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, AppError> {
    configured(&state)?;
    let settings = state.access.settings();
    let headers = request.headers();
    let attempt = OPENID.get(headers, settings).and_then(Attempt::from_cookie);
    let returned = Returned::of_query(request.uri().query().unwrap_or_default());
    let signed_in = state
        .access
        .sign_in_by_openid(
            attempt.as_ref(),
            returned.unwrap_or_default(),
            &return_url(&state, &request),
            &form::actor(&state, &request),
            cookies::session(headers, settings),
        )
        .await;
    let mut response = match signed_in {
        Ok(secret) => {
            let next = attempt.as_ref().map_or("/", Attempt::next);
            signed_in_at(&state, &secret, return_path(next))
        }
        Err(refused) => {
            let (status, sentence) = match refusal(&refused) {
                (StatusCode::BAD_REQUEST, sentence) => (StatusCode::FORBIDDEN, sentence),
                other => other,
            };
            with_retry_after(not_signed_in(&state, status, &sentence), &refused)
        }
    };
    // The attempt is over.
    let headers = response.headers_mut();
    headers.append(SET_COOKIE, OPENID.remove(settings));
    Ok(response)
}

fn configured(state: &AppState) -> Result<&OpenId, AppError> {
    let openid = state.access.openid();
    openid.ok_or_else(|| app::protocol::ErrorKind::NotFound.into())
}

fn return_url(state: &AppState, request: &Request) -> String {
    format!("{}{RETURN}", form::address_of(state, request.headers()))
}

const NOT_SIGNED_IN: &str = "You could not be signed in.";

fn not_signed_in(state: &AppState, status: StatusCode, sentence: &str) -> Response {
    let body = Html::new()
        .add(alert(sentence))
        .raw("<p><a href=\"/signin\">Try again</a>. If it fails again, ask an admin of this server: its log says why.</p>");
    page(state, status, door("Not signed in", body))
}

/// The link on the page for signing in, if there is a provider.
pub(super) fn link(state: &AppState, next: &str) -> Html {
    let Some(openid) = state.access.openid() else {
        return Html::new();
    };
    let next: String =
        percent_encoding::utf8_percent_encode(next, percent_encoding::NON_ALPHANUMERIC).collect();
    Html::new()
        .raw("<p><a class=\"button\" href=\"/signin/openid?next=")
        .text(&next)
        .raw("\">Sign in with ")
        .text(&openid.settings().name)
        .raw("</a></p>")
}

/// Where a browser ends its session with the provider by which the person has signed in.
pub(super) async fn sign_out_url(state: &AppState, form: &Form) -> Option<String> {
    let openid = state.access.openid()?;
    let id_token = state.access.id_token_of(form.secret.as_deref()?).await?;
    let return_url = format!("{}{}", form.address, super::SIGN_IN);
    openid.sign_out_url(&id_token, &return_url).await
}

/// The page that leads on to the provider to sign out there. It does so without a script, and not by a redirect of
/// the form, which the page's policy for forms would stop.
pub(super) fn sign_out_page(state: &AppState, url: &str) -> Response {
    let name = state
        .access
        .openid()
        .map(|openid| openid.settings().name.as_str());
    let name = name.unwrap_or_default();
    let body = Html::new()
        .raw("<meta http-equiv=\"refresh\" content=\"0; url=")
        .text(url)
        .raw("\"><p>You are signed out here. <a href=\"")
        .text(url)
        .raw("\">Sign out of ")
        .text(name)
        .raw(" too</a>, or <a href=\"/signin\">sign in again</a>.</p>");
    page(state, StatusCode::OK, door("Signed out", body))
}
