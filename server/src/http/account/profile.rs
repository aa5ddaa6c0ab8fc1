//! The page of the own account: profile, password, signed-in devices and keys for programs.

use std::time::Duration;

use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;

use super::form::{Form, address_of, see_other};
use super::html::{Html, alert, frame, status, time};
use super::sign_in::{signed_in_at, with_retry_after};
use super::{page_with_script, passkey, refusal};
use crate::access::{Caller, Mode, Refused, Role, Scope};
use crate::http::error::AppError;
use crate::http::state::AppState;
use crate::store::people::{PeopleChange, StoredKey, StoredSession};

/// The query of the page.
#[derive(Deserialize)]
pub(super) struct Done {
    done: Option<String>,
}

/// What the page says above its sections.
#[derive(Default)]
struct Notice<'a> {
    done: &'a str,
    wrong: &'a str,
    /// A new key, which is shown this once.
    key: &'a str,
}

/// `GET /account`
pub(super) async fn show(
    State(state): State<AppState>,
    Query(Done { done }): Query<Done>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, AppError> {
    let done = match done.as_deref() {
        Some("name") => "Your name is changed.",
        Some("password") => "Your password is changed. Other devices are signed out.",
        Some("session") => "Signed out there.",
        Some("key") => "The key is revoked.",
        Some("passkey") => "The passkey is added.",
        Some("no-passkey") => "The passkey is removed.",
        _ => "",
    };
    let notice = Notice {
        done,
        ..Notice::default()
    };
    let address = address_of(&state, &headers);
    let html = account_page(&state, &caller, &address, notice).await?;
    Ok(page_with_script(&state, StatusCode::OK, html))
}

/// `POST /account`
pub(super) async fn change(
    State(state): State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<Response, AppError> {
    let form = Form::read_of(&state, &caller, request).await?;
    match run(&state, &caller, &form).await {
        Ok(Outcome::Done(done)) => Ok(see_other(&format!("/account?done={done}"))),
        Ok(Outcome::NewSession(secret)) => {
            Ok(signed_in_at(&state, &secret, "/account?done=password"))
        }
        Ok(Outcome::NewKey(key)) => {
            let notice = Notice {
                key: &key,
                ..Notice::default()
            };
            let html = account_page(&state, &caller, &form.address, notice).await?;
            Ok(page_with_script(&state, StatusCode::OK, html))
        }
        Err(refused) => {
            let (status, sentence) = refusal(&refused);
            let notice = Notice {
                wrong: &sentence,
                ..Notice::default()
            };
            let html = account_page(&state, &caller, &form.address, notice).await?;
            let response = page_with_script(&state, status, html);
            Ok(with_retry_after(response, &refused))
        }
    }
}

/// What a form of the page has done.
enum Outcome {
    Done(&'static str),
    NewSession(String),
    NewKey(String),
}

async fn run(state: &AppState, caller: &Caller, form: &Form) -> Result<Outcome, Refused> {
    let (access, actor) = (&state.access, &form.actor);
    let (person, email) = (caller.person().id().to_owned(), caller.person().email());
    match form.get("do") {
        "name" => {
            access.rename(caller, form.get("name"), actor).await?;
            Ok(Outcome::Done("name"))
        }
        "password" if access.settings().mode == Mode::Accounts => {
            let (present, new) = (form.secret("present"), form.secret("new"));
            let session = access.change_password(caller, present, new, actor).await?;
            Ok(Outcome::NewSession(session))
        }
        "end" => {
            let id = form.get("id").to_owned();
            let ended = PeopleChange::EndSession { person, id };
            access
                .change("signed a device out", actor, email, ended)
                .await?;
            Ok(Outcome::Done("session"))
        }
        "end-others" => {
            let except = caller.session().map(str::to_owned);
            let ended = PeopleChange::EndSessions { person, except };
            access
                .change("signed all other devices out", actor, email, ended)
                .await?;
            Ok(Outcome::Done("session"))
        }
        "create-key" => {
            let all: Vec<&str> = form.all("scope").collect();
            let scopes: Vec<Scope> = Scope::ALL
                .into_iter()
                .filter(|scope| all.contains(&scope.as_str()))
                .collect();
            let day = Duration::from_secs(24 * 60 * 60);
            let lives = match form.get("lives") {
                "30" => Some(30 * day),
                "90" => Some(90 * day),
                "365" => Some(365 * day),
                "never" => None,
                _ => {
                    return Err(Refused::Sentence(
                        "Choose until when the key is valid.".into(),
                    ));
                }
            };
            let key = access
                .create_key(caller, form.get("name"), &scopes, lives, actor)
                .await?;
            Ok(Outcome::NewKey(key))
        }
        "add-passkey" if access.settings().mode == Mode::Accounts => {
            let name = device(&actor.agent);
            let (address, made) = (&form.address, form.get("credential"));
            access
                .add_passkey(caller, address, made, &name, actor)
                .await?;
            Ok(Outcome::Done("passkey"))
        }
        "remove-passkey" => {
            let id = form.get("id").to_owned();
            let removed = PeopleChange::RemovePasskey { person, id };
            access
                .change("removed a passkey", actor, email, removed)
                .await?;
            Ok(Outcome::Done("no-passkey"))
        }
        "revoke-key" => {
            let id = form.get("id").to_owned();
            let revoked = PeopleChange::RevokeKey { person, id };
            access
                .change("revoked a key", actor, email, revoked)
                .await?;
            Ok(Outcome::Done("key"))
        }
        _ => Err(Refused::NotFound),
    }
}

async fn account_page(
    state: &AppState,
    caller: &Caller,
    address: &str,
    notice: Notice<'_>,
) -> Result<Html, AppError> {
    // The caller was read before the change.
    let person = state.store.person(caller.person().id()).await?;
    let sessions = state.store.sessions_of(&person.id).await?;
    let keys = state.store.keys_of(&person.id).await?;
    let passkeys = state.store.passkeys_of(&person.id).await?;
    let has_sessions = state.access.settings().mode == Mode::Accounts;
    let is_admin = caller.person().role() == Role::Admin;
    let body = Html::new()
        .add(links(is_admin))
        .raw("<h1>Your account</h1>")
        .add(status(notice.done))
        .add(alert(notice.wrong))
        .add(new_key(notice.key))
        .raw("<section aria-labelledby=\"profile\"><h2 id=\"profile\">Profile</h2><p>You are signed in as <strong>")
        .text(&person.email)
        .raw("</strong>")
        .text(if is_admin { ", an admin." } else { "." })
        .raw("</p><form method=\"post\" action=\"/account\"><input type=\"hidden\" name=\"do\" value=\"name\"><label for=\"name\">Name</label><input id=\"name\" name=\"name\" autocomplete=\"name\" maxlength=\"100\" value=\"")
        .text(&person.name)
        .raw("\"><button>Save the name</button></form></section>")
        .when(has_sessions, || {
            Html::new()
                .raw("<section aria-labelledby=\"pw\"><h2 id=\"pw\">Password</h2><form method=\"post\" action=\"/account\"><input type=\"hidden\" name=\"do\" value=\"password\"><label for=\"present\">Present password</label><input id=\"present\" name=\"present\" type=\"password\" autocomplete=\"current-password\" required><label for=\"new\">New password</label><input id=\"new\" name=\"new\" type=\"password\" autocomplete=\"new-password\" required minlength=\"12\"><p class=\"hint\">At least 12 characters. All other devices are signed out.</p><button>Change the password</button></form></section>")
                .add(passkey::section(&passkeys, address))
                .add(devices(&sessions, caller.session(), "/account"))
                .raw("<form method=\"post\" action=\"/account\"><input type=\"hidden\" name=\"do\" value=\"end-others\"><button class=\"quiet\">Sign out all other devices</button></form>")
        })
        .add(key_list(&keys, "/account"))
        .raw("<h3>A new key</h3><form method=\"post\" action=\"/account\"><input type=\"hidden\" name=\"do\" value=\"create-key\"><label for=\"key\">What it is for</label><input id=\"key\" name=\"name\" required maxlength=\"100\"><fieldset><legend>It may</legend><label class=\"choice\"><input type=\"checkbox\" name=\"scope\" value=\"chat\" checked> ask models</label><label class=\"choice\"><input type=\"checkbox\" name=\"scope\" value=\"models\" checked> list models</label><label class=\"choice\"><input type=\"checkbox\" name=\"scope\" value=\"read\"> read your conversations</label></fieldset><label for=\"lives\">Valid for</label><select id=\"lives\" name=\"lives\"><option value=\"30\">30 days</option><option value=\"90\" selected>90 days</option><option value=\"365\">a year</option><option value=\"never\">until it is revoked</option></select><button>Make a key</button></form></section>")
        .when(has_sessions, || {
            Html::new().raw("<form method=\"post\" action=\"/signout\"><button class=\"quiet\">Sign out</button></form><script src=\"/account.js\" defer></script>")
        });
    Ok(frame("Your account", body))
}

/// The links to the other pages.
pub(super) fn links(is_admin: bool) -> Html {
    Html::new()
        .raw("<nav aria-label=\"Pages\"><a href=\"/\">Chats</a><a href=\"/account\">Your account</a>")
        .when(is_admin, || {
            Html::new().raw("<a href=\"/people\">People</a><a href=\"/people/audit\">Record</a>")
        })
        .raw("</nav>")
}

fn new_key(key: &str) -> Html {
    Html::new().when(!key.is_empty(), || {
        Html::new()
            .raw("<div class=\"status\" role=\"status\"><p>This is the new key. Copy it now: it is not shown again.</p><pre><code>")
            .text(key)
            .raw("</code></pre></div>")
    })
}

/// The signed-in devices of a person, each with a button that posts to `action`.
pub(super) fn devices(sessions: &[StoredSession], own: Option<&str>, action: &str) -> Html {
    let row = |session: &StoredSession| {
        let is_own = own == Some(session.id.as_str());
        Html::new()
            .raw("<li><div><strong>")
            .text(&device(&session.agent))
            .raw("</strong>")
            .text(if is_own { " (this one)" } else { "" })
            .raw("<br><small>from ")
            .text(&session.address)
            .raw(", since ")
            .add(time(session.created_at))
            .raw(", last used ")
            .add(time(session.seen_at))
            .raw("</small></div>")
            .add(button(action, "end", &session.id, "Sign out"))
            .raw("</li>")
    };
    Html::new()
        .raw("<section aria-labelledby=\"devices\"><h2 id=\"devices\">Signed-in devices</h2><ul class=\"rows\">")
        .each(sessions, row)
        .raw("</ul></section>")
}

/// The keys of a person. The section stays open.
pub(super) fn key_list(keys: &[StoredKey], action: &str) -> Html {
    let row = |key: &StoredKey| {
        let scopes: Vec<String> = serde_json::from_str(&key.scopes).unwrap_or_default();
        Html::new()
            .raw("<li><div><strong>")
            .text(&key.name)
            .raw("</strong> <small>")
            .text(&scopes.join(", "))
            .raw("<br>made ")
            .add(time(key.created_at))
            .add(match key.expires_at {
                Some(end) => Html::new().raw(", valid until ").add(time(end)),
                None => Html::new(),
            })
            .add(match key.seen_at {
                Some(seen) => Html::new().raw(", last used ").add(time(seen)),
                None => Html::new().raw(", never used"),
            })
            .raw("</small></div>")
            .add(button(action, "revoke-key", &key.id, "Revoke"))
            .raw("</li>")
    };
    Html::new()
        .raw("<section aria-labelledby=\"keys\"><h2 id=\"keys\">Keys for programs</h2><p class=\"hint\">A program sends a key as <code>Authorization: Bearer rill_…</code> to <code>/v1</code> and <code>/api</code>.</p><ul class=\"rows\">")
        .each(keys, row)
        .raw("</ul>")
}

/// A button that does something with one thing.
pub(super) fn button(action: &str, what: &str, id: &str, label: &str) -> Html {
    Html::new()
        .raw("<form method=\"post\" action=\"")
        .text(action)
        .raw("\"><input type=\"hidden\" name=\"do\" value=\"")
        .text(what)
        .raw("\"><input type=\"hidden\" name=\"id\" value=\"")
        .text(id)
        .raw("\"><button class=\"quiet\">")
        .text(label)
        .raw("</button></form>")
}

/// A browser and its system, as far as its header tells.
fn device(agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| {
        let found = names.iter().find(|(mark, _)| agent.contains(mark));
        found.map(|(_, name)| *name)
    };
    let browser = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrom", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "A browser".to_owned(),
    }
}
