//! People with accounts, as tests need them: added, signed in, and with keys.

use std::net::SocketAddr;

use server::access::{Actor, Role, Scope};
use server::store::people::{AuditRecord, NewPerson, NewSession, PeopleChange};
use server::store::{new_id, now};
use sha2::{Digest, Sha256};

use super::http::{Answer, Request};
use super::rill::Rill;

/// A password that is good enough.
pub(crate) const PASSWORD: &str = "tidal window forks";

/// A person of a server.
#[derive(Debug, Clone)]
pub(crate) struct TestPerson {
    pub(crate) id: String,
    pub(crate) email: String,
}

fn record() -> AuditRecord {
    AuditRecord {
        at: now(),
        what: "tested".to_owned(),
        actor: "test".to_owned(),
        subject: "test".to_owned(),
        address: "127.0.0.1".to_owned(),
    }
}

/// Makes a change of people.
pub(crate) async fn change(rill: &Rill, change: PeopleChange) {
    let changed = rill.state.store.change_people(&change, &record()).await;
    changed.expect("a change that is right");
    rill.state.access.refresh().await.expect("it is read");
}

/// Adds a person without a password.
pub(crate) async fn add(rill: &Rill, name: &str, role: Role) -> TestPerson {
    let person = TestPerson {
        id: new_id(),
        email: format!("{name}@example.com"),
    };
    let new = NewPerson {
        id: person.id.clone(),
        email: person.email.clone(),
        likeness: person.email.clone(),
        name: name.to_owned(),
        role: role.as_str().to_owned(),
    };
    change(rill, PeopleChange::Add(new)).await;
    person
}

/// Signs a person in, and returns the header with the cookie. The session ends at this time.
pub(crate) async fn session_until(rill: &Rill, person: &TestPerson, expires_at: i64) -> String {
    let secret = format!("{:064x}", rand::random::<u128>());
    let hash = Sha256::digest(secret.as_bytes());
    let session = NewSession {
        hash: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        id: new_id(),
        person: person.id.clone(),
        expires_at,
        agent: "a test".to_owned(),
        replaces: None,
        id_token: None,
    };
    change(rill, PeopleChange::SignIn(session)).await;
    format!("rill={secret}")
}

/// Signs a person in for an hour.
pub(crate) async fn session(rill: &Rill, person: &TestPerson) -> String {
    session_until(rill, person, now() + 3_600_000).await
}

/// Makes a key with these scopes, and returns the header with it.
pub(crate) async fn key(rill: &Rill, cookie: &str, scopes: &[Scope]) -> String {
    let secret = cookie.split_once('=').expect("a cookie").1;
    let caller = rill.state.access.by_session(secret).await.expect("read");
    let caller = caller.expect("a session");
    let actor = Actor::command_line();
    let key = rill
        .state
        .access
        .create_key(&caller, "test", scopes, None, &actor);
    format!("Bearer {}", key.await.expect("a key"))
}

/// A form that the own page of this server sends.
pub(crate) fn form(address: SocketAddr, path: &str, fields: &[(&str, &str)]) -> Request {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    Request::new("POST", path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", &format!("http://{address}"))
        .body(body)
}

/// The cookie that an answer sets.
pub(crate) fn cookie_of(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie").expect("a cookie");
    cookie.split(';').next().unwrap_or_default().to_owned()
}

/// Lets a person in by an invitation, and returns the cookie.
pub(crate) async fn join(rill: &Rill, email: &str, role: Role) -> String {
    let actor = Actor::command_line();
    let invited = rill.state.access.invite(&actor, email, role);
    let path = format!("/invite/{}", invited.await.expect("a link"));
    let fields = [("name", "Somebody"), ("password", PASSWORD)];
    let answer = rill.send(&form(rill.address, &path, &fields)).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    cookie_of(&answer)
}
