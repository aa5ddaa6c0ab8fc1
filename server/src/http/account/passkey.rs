//! Passkeys: adding them on the page of the account, and signing in with one. `navigator.credentials` needs a script,
//! which is one small file.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE};
use axum::response::{IntoResponse, Response};

use super::form::{Form, return_path};
use super::html::{Html, time};
use super::profile::button;
use super::sign_in::{refused_sign_in, signed_in_at};
use super::{never_stored, refusal};
use crate::access::{ATTEMPT_LIVES, Caller, Refused, has_passkeys};
use crate::http::cookies::PASSKEY;
use crate::http::error::AppError;
use crate::http::state::AppState;
use crate::store::people::StoredPasskey;

/// The script.
pub(super) const SCRIPT: &str = include_str!("passkey.js");

/// `GET /account.js`
pub(super) async fn script() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, SCRIPT).into_response()
}

/// `POST /account/passkey/start`: what the browser needs to make a passkey.
pub(super) async fn begin_adding(
    State(state): State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<Response, AppError> {
    let form = Form::read_of(&state, &caller, request).await?;
    let begun = state.access.begin_passkey(&caller, &form.address).await;
    Ok(options(begun))
}

/// `POST /signin/passkey/start`: what the browser needs to ask for a passkey.
pub(super) async fn begin(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, AppError> {
    let form = Form::read(&state, request).await?;
    let begun = state
        .access
        .begin_passkey_sign_in(&form.address, &form.actor);
    let (begun, secret) = match begun {
        Ok((begun, secret)) => (Ok(begun), Some(secret)),
        Err(refused) => (Err(refused), None),
    };
    let mut response = options(begun);
    if let Some(secret) = secret {
        let cookie = PASSKEY.set(&secret, state.access.settings(), ATTEMPT_LIVES);
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `POST /signin/passkey`
pub(super) async fn sign_in(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, AppError> {
    let settings = state.access.settings();
    let begun = PASSKEY.get(request.headers(), settings).map(str::to_owned);
    let form = Form::read(&state, request).await?;
    let next = return_path(form.get("next")).to_owned();
    let signed_in = state
        .access
        .sign_in_by_passkey(
            &form.address,
            form.get("credential"),
            begun.as_deref(),
            &form.actor,
            form.secret.as_deref(),
        )
        .await;
    let mut response = match signed_in {
        Ok(secret) => signed_in_at(&state, &secret, &next),
        Err(refused) => refused_sign_in(&state, &next, &form, &refused),
    };
    let headers = response.headers_mut();
    headers.append(SET_COOKIE, PASSKEY.remove(settings));
    Ok(response)
}

/// Options for the browser, or why there are none.
fn options(begun: Result<String, Refused>) -> Response {
    let mut response = match begun {
        Ok(json) => ([(CONTENT_TYPE, "application/json")], json).into_response(),
        Err(refused) => {
            let (status, sentence) = refusal(&refused);
            (status, sentence).into_response()
        }
    };
    never_stored(&mut response);
    debug_assert_ne!(response.status(), StatusCode::UNAUTHORIZED);
    response
}

/// The form for signing in with a passkey. The script shows it where the browser has passkeys.
pub(super) fn sign_in_form(address: &str, next: &str) -> Html {
    Html::new().when(has_passkeys(address), || {
        Html::new()
            .raw("<form method=\"post\" action=\"/signin/passkey\" data-passkey=\"get\" hidden><input type=\"hidden\" name=\"next\" value=\"")
            .text(next)
            .raw("\"><input type=\"hidden\" name=\"credential\"><button class=\"quiet\">Sign in with a passkey</button><p class=\"hint\" role=\"status\"></p></form>")
    })
}

/// The passkeys of a person, with a button to add one.
pub(super) fn section(passkeys: &[StoredPasskey], address: &str) -> Html {
    let row = |passkey: &StoredPasskey| {
        Html::new()
            .raw("<li><div><strong>")
            .text(&passkey.name)
            .raw("</strong><br><small>added ")
            .add(time(passkey.created_at))
            .add(match passkey.seen_at {
                Some(seen) => Html::new().raw(", last used ").add(time(seen)),
                None => Html::new().raw(", never used"),
            })
            .raw("</small></div>")
            .add(button("/account", "remove-passkey", &passkey.id, "Remove"))
            .raw("</li>")
    };
    Html::new()
        .raw("<section aria-labelledby=\"passkeys\"><h2 id=\"passkeys\">Passkeys</h2><p class=\"hint\">Sign in with your fingerprint, your face, or the lock of your device instead of a password.</p><ul class=\"rows\">")
        .each(passkeys, row)
        .raw("</ul>")
        .add(match has_passkeys(address) {
            true => Html::new().raw("<form method=\"post\" action=\"/account\" data-passkey=\"create\" data-start=\"/passkey/start\" hidden><input type=\"hidden\" name=\"do\" value=\"add-passkey\"><input type=\"hidden\" name=\"credential\"><button>Add a passkey</button><p class=\"hint\" role=\"status\"></p></form><noscript><p class=\"hint\">Adding one needs JavaScript.</p></noscript>"),
            false => Html::new().raw("<p class=\"hint\">Passkeys need a server with a name: browsers have none for an address of numbers.</p>"),
        })
        .raw("</section>")
}
