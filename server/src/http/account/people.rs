//! The pages of admins: people, their sessions and keys, invitations and the record. Conversations are not shown.

use app::protocol::Id;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::form::{Form, see_other};
use super::html::{Html, alert, frame, time};
use super::profile::{button, devices, key_list, links};
use super::{page, refusal, refusal_page};
use crate::access::{Caller, Mode, Refused, Role};
use crate::http::error::AppError;
use crate::http::state::AppState;
use crate::store::now;
use crate::store::people::{InvitationRow, PeopleChange, StoredPerson};

/// The most lines of the record on its page.
const LINES: i64 = 500;

/// `GET /people`
pub(super) async fn list(State(state): State<AppState>) -> Result<Response, AppError> {
    Ok(page(
        &state,
        StatusCode::OK,
        people_page(&state, "", "").await?,
    ))
}

/// `POST /people`: invites somebody.
pub(super) async fn invite(
    State(state): State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<Response, AppError> {
    let form = Form::read_of(&state, &caller, request).await?;
    if state.access.settings().mode != Mode::Accounts {
        return Ok(refusal_page(
            &state,
            StatusCode::NOT_FOUND,
            "Here the proxy lets people in.",
        ));
    }
    let role = match form.get("role") {
        "admin" => Role::Admin,
        _ => Role::Member,
    };
    let invited = state
        .access
        .invite(&form.actor, form.get("email"), role)
        .await;
    Ok(match invited {
        Ok(secret) => {
            let link = format!("{}/invite/{secret}", form.address);
            page(
                &state,
                StatusCode::OK,
                people_page(&state, &link, "").await?,
            )
        }
        Err(refused) => {
            let (status, sentence) = refusal(&refused);
            page(&state, status, people_page(&state, "", &sentence).await?)
        }
    })
}

/// `GET /people/{id}`
pub(super) async fn show(
    State(state): State<AppState>,
    Path(id): Path<Id>,
) -> Result<Response, AppError> {
    person_page(&state, &id, StatusCode::OK, "", "").await
}

/// `POST /people/{id}`
pub(super) async fn change(
    State(state): State<AppState>,
    Path(id): Path<Id>,
    caller: Caller,
    request: Request,
) -> Result<Response, AppError> {
    let form = Form::read_of(&state, &caller, request).await?;
    match run(&state, &id, &form).await {
        Ok(None) if form.get("do") == "delete" => Ok(see_other("/people")),
        Ok(None) => Ok(see_other(&format!("/people/{id}"))),
        Ok(Some(secret)) => {
            let link = format!("{}/invite/{secret}", form.address);
            person_page(&state, &id, StatusCode::OK, &link, "").await
        }
        Err(refused) => {
            let (status, sentence) = refusal(&refused);
            person_page(&state, &id, status, "", &sentence).await
        }
    }
}

/// Does what the form says. Returns the secret of a link, if it is one.
async fn run(state: &AppState, id: &str, form: &Form) -> Result<Option<String>, Refused> {
    let (access, actor) = (&state.access, &form.actor);
    let StoredPerson {
        id: person, email, ..
    } = state.store.person(id).await?;
    let thing = form.get("id").to_owned();
    let (what, change) = match form.get("do") {
        "reset" => return access.reset(actor, &email).await.map(Some),
        "disable" => (
            "disabled",
            PeopleChange::SetDisabled {
                person,
                disabled: true,
            },
        ),
        "enable" => (
            "enabled",
            PeopleChange::SetDisabled {
                person,
                disabled: false,
            },
        ),
        role @ ("admin" | "member") => (
            "changed the role",
            PeopleChange::SetRole {
                person,
                role: role.to_owned(),
            },
        ),
        // The browser has asked for the email again.
        "delete" if form.get("email") == email => ("deleted", PeopleChange::Delete { person }),
        "delete" => {
            return Err(Refused::Sentence(
                "To delete the account, write its email into the field.".to_owned(),
            ));
        }
        "end" => (
            "signed a device out",
            PeopleChange::EndSession { person, id: thing },
        ),
        "revoke-key" => (
            "revoked a key",
            PeopleChange::RevokeKey { person, id: thing },
        ),
        _ => return Err(Refused::NotFound),
    };
    access.change(what, actor, &email, change).await?;
    Ok(None)
}

/// `GET /people/audit`
pub(super) async fn audit(State(state): State<AppState>) -> Result<Response, AppError> {
    let lines = state.store.audit_since(0, LINES).await?;
    let body = Html::new()
        .add(links(true))
        .raw("<h1>Record</h1><p class=\"hint\">The last 500 changes of accounts. <code>rill audit --since 30d</code> prints more.</p><div class=\"wide\"><table><thead><tr><th scope=\"col\">When</th><th scope=\"col\">Who</th><th scope=\"col\">What</th><th scope=\"col\">Whom</th><th scope=\"col\">From</th></tr></thead><tbody>")
        .each(&lines, |line| {
            Html::new()
                .raw("<tr><td>")
                .add(time(line.at))
                .raw("</td><td>")
                .text(&line.actor)
                .raw("</td><td>")
                .text(&line.what)
                .raw("</td><td>")
                .text(&line.subject)
                .raw("</td><td>")
                .text(&line.address)
                .raw("</td></tr>")
        })
        .raw("</tbody></table></div>");
    Ok(page(&state, StatusCode::OK, frame("Record", body)))
}

async fn people_page(state: &AppState, link: &str, wrong: &str) -> Result<Html, AppError> {
    let people = state.store.people().await?;
    let invitations = state.store.open_invitations(now()).await?;
    let invites = state.access.settings().mode == Mode::Accounts;
    let body = Html::new()
        .add(links(true))
        .raw("<h1>People</h1>")
        .add(alert(wrong))
        .add(new_link(link))
        .raw("<ul class=\"rows\">")
        .each(&people, |person| {
            Html::new()
                .raw("<li><div><strong><a href=\"/people/")
                .text(&person.id)
                .raw("\">")
                .text(&person.email)
                .raw("</a></strong> ")
                .text(&person.name)
                .raw("<br><small>")
                .text(&person.role)
                .text(if person.disabled_at.is_some() { ", disabled" } else { "" })
                .raw(", since ")
                .add(time(person.created_at))
                .raw("</small></div></li>")
        })
        .raw("</ul>")
        .when(!invitations.is_empty(), || {
            Html::new()
                .raw("<h2>Invited</h2><ul class=\"rows\">")
                .each(&invitations, |invitation: &InvitationRow| {
                    Html::new()
                        .raw("<li><div><strong>")
                        .text(invitation.email())
                        .raw("</strong><br><small>")
                        .text(if invitation.is_reset() { "sets a new password" } else { invitation.role() })
                        .raw(", until ")
                        .add(time(invitation.times().1))
                        .raw("</small></div></li>")
                })
                .raw("</ul>")
        })
        .when(invites, || {
            Html::new().raw("<section aria-labelledby=\"invite\"><h2 id=\"invite\">Invite somebody</h2><form method=\"post\" action=\"/people\"><label for=\"email\">Email</label><input id=\"email\" name=\"email\" type=\"email\" required><label for=\"role\">Role</label><select id=\"role\" name=\"role\"><option value=\"member\">member</option><option value=\"admin\">admin</option></select><button>Make a link</button></form></section>")
        });
    Ok(frame("People", body))
}

fn new_link(link: &str) -> Html {
    Html::new().when(!link.is_empty(), || {
        Html::new()
            .raw("<div class=\"status\" role=\"status\"><p>Send this link to the person. It works once, for 24 hours, and is not shown again.</p><pre><code>")
            .text(link)
            .raw("</code></pre></div>")
    })
}

async fn person_page(
    state: &AppState,
    id: &str,
    status: StatusCode,
    link: &str,
    wrong: &str,
) -> Result<Response, AppError> {
    let person = state.store.person(id).await?;
    let sessions = state.store.sessions_of(&person.id).await?;
    let keys = state.store.keys_of(&person.id).await?;
    let usage = state.store.usage_of(&person.owner).await?;
    let (input, output) = usage.tokens();
    let used = format!(
        "{} replies in kept conversations, with {input} tokens of input and {output} of output.",
        usage.replies()
    );
    let action: String = format!("/people/{}", person.id);
    let act = |what: &'static str, label: &'static str| button(&action, what, "", label);
    let is_disabled = person.disabled_at.is_some();
    let body = Html::new()
        .add(links(true))
        .raw("<h1>")
        .text(&person.email)
        .raw("</h1>")
        .add(alert(wrong))
        .add(new_link(link))
        .raw("<p>")
        .text(&person.name)
        .text(if person.name.is_empty() { "" } else { ", " })
        .text(&person.role)
        .text(if is_disabled { ", disabled" } else { "" })
        .raw(", since ")
        .add(time(person.created_at))
        .raw("</p><p>")
        .text(&used)
        .raw("</p><div class=\"actions\">")
        .add(if is_disabled { act("enable", "Enable") } else { act("disable", "Disable") })
        .add(match person.role.as_str() {
            "admin" => act("member", "Make a member"),
            _ => act("admin", "Make an admin"),
        })
        .when(state.access.settings().mode == Mode::Accounts, || {
            act("reset", "Link for a new password")
        })
        .raw("</div>")
        .add(devices(&sessions, None, &action))
        .add(key_list(&keys, &action))
        .raw("</section><section aria-labelledby=\"delete\"><h2 id=\"delete\">Delete the account</h2><p>Its conversations are removed for good.</p><form method=\"post\" action=\"")
        .text(&action)
        .raw("\"><input type=\"hidden\" name=\"do\" value=\"delete\"><label for=\"email\">Its email, to be sure</label><input id=\"email\" name=\"email\" autocomplete=\"off\" required><button class=\"danger\">Delete the account</button></form></section>");
    Ok(page(state, status, frame(&person.email, body)))
}
