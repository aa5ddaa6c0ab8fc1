//! Signing in and out, and invitations.

use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::{HeaderName, HeaderValue, RETRY_AFTER, SET_COOKIE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::form::{Form, address_of, return_path, see_other};
use super::html::{Html, alert, door};
use super::{SIGN_IN, page, page_with_script, refusal};
use crate::access::openid::OpenId;
use crate::access::{Caller, Refused};
use crate::http::cookies;
use crate::http::error::{AppError, in_seconds};
use crate::http::state::AppState;
use crate::store::now;
use crate::store::people::PeopleChange;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// The query of the form.
#[derive(Deserialize)]
pub(super) struct Next {
    next: Option<String>,
}

/// `GET /signin`
pub(super) async fn form(
    State(state): State<AppState>,
    Query(Next { next }): Query<Next>,
    request: Request,
) -> Response {
    let next = return_path(next.as_deref().unwrap_or("/")).to_owned();
    if request.extensions().get::<Caller>().is_some() {
        return see_other(&next);
    }
    // An admin may come by the provider.
    let gives_roles = |openid: &OpenId| openid.settings().role_claim.is_some();
    let can_come = state.access.openid().is_some_and(gives_roles);
    match state.store.has_admin().await.map(|has| has || can_come) {
        Ok(true) => {
            let address = address_of(&state, request.headers());
            let html = sign_in_page(&state, &address, &next, "", "");
            page_with_script(&state, StatusCode::OK, html)
        }
        Ok(false) => page(&state, StatusCode::OK, not_set_up()),
        Err(error) => AppError::from(error).into_response(),
    }
}

/// `POST /signin`
pub(super) async fn sign_in(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, AppError> {
    let form = Form::read(&state, request).await?;
    let next = return_path(form.get("next")).to_owned();
    let email = form.get("email");
    let signed_in = state
        .access
        .sign_in(
            email,
            form.secret("password"),
            &form.actor,
            form.secret.as_deref(),
        )
        .await;
    Ok(match signed_in {
        Ok(secret) => signed_in_at(&state, &secret, &next),
        Err(refused) => refused_sign_in(&state, &next, &form, &refused),
    })
}

/// The form again, with the reason.
pub(super) fn refused_sign_in(
    state: &AppState,
    next: &str,
    form: &Form,
    refused: &Refused,
) -> Response {
    let (status, sentence) = match refusal(refused) {
        (StatusCode::BAD_REQUEST, sentence) => (StatusCode::UNAUTHORIZED, sentence),
        other => other,
    };
    let html = sign_in_page(state, &form.address, next, form.get("email"), &sentence);
    with_retry_after(page_with_script(state, status, html), refused)
}

/// `POST /signout`
pub(super) async fn sign_out(
    State(state): State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<Response, AppError> {
    let form = Form::read_of(&state, &caller, request).await?;
    if caller.is_named_by_proxy() {
        let body = Html::new()
            .raw("<p>The proxy in front of this server signs you in, so sign out there.</p>")
            .raw("<p><a href=\"/\">To the chats</a></p>");
        return Ok(page(&state, StatusCode::OK, door("Still signed in", body)));
    }
    let elsewhere = super::openid::sign_out_url(&state, &form).await;
    if let Some(session) = caller.session() {
        let ended = PeopleChange::EndSession {
            person: caller.person().id().to_owned(),
            id: session.to_owned(),
        };
        let email = caller.person().email();
        let signed_out = state
            .access
            .change("signed out", &form.actor, email, ended)
            .await;
        if let Err(refused @ Refused::Failed) = signed_out {
            let (status, sentence) = refusal(&refused);
            return Ok(super::refusal_page(&state, status, &sentence));
        }
    }
    let mut response = match elsewhere {
        Some(url) => super::openid::sign_out_page(&state, &url),
        None => see_other(SIGN_IN),
    };
    let headers = response.headers_mut();
    headers.insert(SET_COOKIE, cookies::SESSION.remove(state.access.settings()));
    // Drafts stay in the browser otherwise, for whoever signs in next.
    headers.insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"storage\""));
    Ok(response)
}

/// `GET /invite/{secret}`
pub(super) async fn invitation(
    State(state): State<AppState>,
    Path(secret): Path<String>,
) -> Response {
    match state.access.invitation(&secret).await {
        Ok(invitation) if invitation.is_open(now()) => {
            let invited = (invitation.email(), invitation.is_reset());
            page(
                &state,
                StatusCode::OK,
                invitation_page(&secret, invited, "", ""),
            )
        }
        Ok(invitation) if invitation.is_used() => {
            no_invitation(&state, StatusCode::GONE, "This link was used already.")
        }
        Ok(_) => no_invitation(&state, StatusCode::GONE, "This link has expired."),
        Err(Refused::NotFound) => no_invitation(
            &state,
            StatusCode::NOT_FOUND,
            "This link is not known here.",
        ),
        Err(refused) => {
            let (status, sentence) = refusal(&refused);
            no_invitation(&state, status, &sentence)
        }
    }
}

/// `POST /invite/{secret}`
pub(super) async fn join(
    State(state): State<AppState>,
    Path(secret): Path<String>,
    request: Request,
) -> Result<Response, AppError> {
    let form = Form::read(&state, request).await?;
    let name = form.get("name");
    let joined = state
        .access
        .join(
            &secret,
            name,
            form.secret("password"),
            &form.actor,
            form.secret.as_deref(),
        )
        .await;
    Ok(match joined {
        Ok(session) => signed_in_at(&state, &session, "/"),
        Err(refused @ Refused::Sentence(_)) => match state.access.invitation(&secret).await {
            Ok(invitation) => {
                let (status, sentence) = refusal(&refused);
                let invited = (invitation.email(), invitation.is_reset());
                page(
                    &state,
                    status,
                    invitation_page(&secret, invited, name, &sentence),
                )
            }
            Err(_) => no_invitation(
                &state,
                StatusCode::NOT_FOUND,
                "This link is not known here.",
            ),
        },
        // Used, expired or unknown: the page of the link says which.
        Err(_) => invitation(State(state), Path(secret)).await,
    })
}

/// The answer that sets the cookie of a new session and leads on.
pub(super) fn signed_in_at(state: &AppState, secret: &str, next: &str) -> Response {
    let mut response = see_other(next);
    let settings = state.access.settings();
    let cookie = cookies::SESSION.set(secret, settings, settings.longest);
    response.headers_mut().insert(SET_COOKIE, cookie);
    response
}

pub(super) fn with_retry_after(mut response: Response, refused: &Refused) -> Response {
    if let Refused::TooMany(wait) = refused {
        response
            .headers_mut()
            .insert(RETRY_AFTER, in_seconds(*wait));
    }
    response
}

fn sign_in_page(state: &AppState, address: &str, next: &str, email: &str, wrong: &str) -> Html {
    let body = Html::new()
        .add(alert(wrong))
        .add(super::openid::link(state, next))
        .raw("<form method=\"post\" action=\"/signin\"><input type=\"hidden\" name=\"next\" value=\"")
        .text(next)
        .raw("\"><label for=\"email\">Email</label><input id=\"email\" name=\"email\" type=\"email\" autocomplete=\"username webauthn\" required value=\"")
        .text(email)
        .raw("\"><label for=\"password\">Password</label><input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required><button>Sign in</button></form>")
        .add(super::passkey::sign_in_form(address, next))
        .raw("<p class=\"hint\">Forgotten? An admin can send you a link to set a new password.</p><script src=\"/account.js\" defer></script>");
    door("Sign in to Rill", body)
}

fn not_set_up() -> Html {
    let body = Html::new().raw(
        "<p>Nobody can sign in here before there is an admin. On the machine of the \
         server, run</p><pre><code>rill user invite you@example.com --admin</code></pre><p>and open the link \
         that it prints.</p>",
    );
    door("Not set up yet", body)
}

fn invitation_page(secret: &str, (email, is_reset): (&str, bool), name: &str, wrong: &str) -> Html {
    let title = if is_reset {
        "Set a new password"
    } else {
        "Welcome to Rill"
    };
    let body = Html::new()
        .raw("<p>")
        .text(if is_reset { "For " } else { "You are invited as " })
        .raw("<strong>")
        .text(email)
        .raw("</strong>.</p>")
        .add(alert(wrong))
        .raw("<form method=\"post\" action=\"/invite/")
        .text(secret)
        .raw("\"><input type=\"hidden\" name=\"email\" autocomplete=\"username\" value=\"")
        .text(email)
        .raw("\">")
        .when(!is_reset, || {
            Html::new()
                .raw("<label for=\"name\">Your name</label><input id=\"name\" name=\"name\" autocomplete=\"name\" maxlength=\"100\" value=\"")
                .text(name)
                .raw("\">")
        })
        .raw("<label for=\"password\">Password</label><input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"new-password\" required minlength=\"12\" aria-describedby=\"rule\"><p class=\"hint\" id=\"rule\">At least 12 characters. A few words in a row are easy to remember.</p><button>")
        .text(if is_reset { "Set the password" } else { "Create the account" })
        .raw("</button></form>");
    door(title, body)
}

fn no_invitation(state: &AppState, status: StatusCode, sentence: &str) -> Response {
    let body = Html::new()
        .add(alert(sentence))
        .raw("<p>Ask an admin of this server for another link, or <a href=\"/signin\">sign in</a> if you have an account.</p>");
    page(state, status, door("No invitation", body))
}
