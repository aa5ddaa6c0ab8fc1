//! The pages of accounts: signing in, invitations, the own account, and people for admins.
//!
//! They are plain forms that the server renders. They need no script, load no WebAssembly, and have a style of their
//! own. In the mode `local` they do not exist.

mod form;
mod html;
mod openid;
mod passkey;
mod people;
mod profile;
mod sign_in;

use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use self::html::Html;
use super::error::status_of;
use super::routes::Needs::{Admin, Nothing, Session};
use super::routes::Routes;
use super::state::AppState;
use crate::access::{Mode, Refused};
use app::protocol::ErrorKind;

/// The page on which people sign in.
pub(super) const SIGN_IN: &str = "/signin";

const STYLE: &str = concat!(
    include_str!("../../../style/tokens.css"),
    include_str!("account/account.css")
);

/// Adds the pages that the mode has.
pub(super) fn add(routes: Routes, state: &AppState) -> Routes {
    let mode = state.access.settings().mode;
    let routes = match state.access.openid() {
        None => routes,
        Some(_) => routes
            .add(&["GET"], openid::BEGIN, Nothing, get(openid::begin))
            .add(&["GET"], openid::RETURN, Nothing, get(openid::finish)),
    };
    let routes = match mode {
        Mode::Local => return routes,
        Mode::Proxy => routes,
        Mode::Accounts => routes
            .add(
                &["GET", "POST"],
                SIGN_IN,
                Nothing,
                get(sign_in::form).post(sign_in::sign_in),
            )
            .add(
                &["GET", "POST"],
                "/invite/{secret}",
                Nothing,
                get(sign_in::invitation).post(sign_in::join),
            )
            .add(
                &["POST"],
                "/signin/passkey",
                Nothing,
                post(passkey::sign_in),
            )
            .add(
                &["POST"],
                "/signin/passkey/start",
                Nothing,
                post(passkey::begin),
            )
            .add(
                &["POST"],
                "/account/passkey/start",
                Session,
                post(passkey::begin_adding),
            )
            .add(&["GET"], "/account.js", Nothing, get(passkey::script)),
    };
    routes
        .add(&["POST"], "/signout", Session, post(sign_in::sign_out))
        .add(&["GET"], "/account.css", Nothing, get(style))
        .add(
            &["GET", "POST"],
            "/account",
            Session,
            get(profile::show).post(profile::change),
        )
        .add(
            &["GET", "POST"],
            "/people",
            Admin,
            get(people::list).post(people::invite),
        )
        .add(&["GET"], "/people/audit", Admin, get(people::audit))
        .add(
            &["GET", "POST"],
            "/people/{id}",
            Admin,
            get(people::show).post(people::change),
        )
}

async fn style() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/css; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, STYLE).into_response()
}

/// A page. The browser sends the origin with its forms, because the policy of referrers allows it for this server.
fn page(state: &AppState, status: StatusCode, html: Html) -> Response {
    page_under(POLICY, state, status, html)
}

const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; manifest-src 'self'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// The policy of a page with the script for passkeys.
const POLICY_WITH_SCRIPT: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; \
                                  img-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
                                  frame-ancestors 'none'";

/// A page with the script for passkeys.
fn page_with_script(state: &AppState, status: StatusCode, html: Html) -> Response {
    page_under(POLICY_WITH_SCRIPT, state, status, html)
}

fn page_under(policy: &'static str, state: &AppState, status: StatusCode, html: Html) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, policy),
        (REFERRER_POLICY, "same-origin"),
    ];
    let mut response = (status, headers, html.below(state.config.base())).into_response();
    never_stored(&mut response);
    response
}

/// Keeps browsers and proxies from storing a response.
pub(super) fn never_stored(response: &mut Response) {
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
}

/// A page that says why something is refused.
pub(super) fn refusal_page(state: &AppState, status: StatusCode, sentence: &str) -> Response {
    let body = Html::new()
        .raw("<h1>")
        .text("Not allowed")
        .raw("</h1><p>")
        .text(sentence)
        .raw("</p><p><a href=\"/\">")
        .text("To the chats")
        .raw("</a></p>");
    page(state, status, html::frame("Not allowed", body))
}

/// The status and the sentence of a refusal.
fn refusal(refused: &Refused) -> (StatusCode, String) {
    let status = match refused {
        Refused::NotFound => StatusCode::NOT_FOUND,
        Refused::Sentence(_) => StatusCode::BAD_REQUEST,
        Refused::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
        Refused::Failed => status_of(ErrorKind::NotSaved),
    };
    (status, refused.to_string())
}

#[cfg(test)]
mod tests {
    use super::STYLE;

    #[test]
    fn every_token_that_the_style_uses_exists() {
        let used = STYLE.split("var(").skip(1);
        let names: Vec<&str> = used
            .filter_map(|rest| rest.split([')', ',']).next())
            .collect();
        assert!(names.len() > 20, "{names:?}");
        for name in names {
            assert!(STYLE.contains(&format!("{name}:")), "{name}");
        }
    }
}
