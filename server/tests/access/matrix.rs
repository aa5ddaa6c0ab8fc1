//! Every route, asked by every kind of caller. The table comes from the router itself, so no route is missing.

use server::access::{Role, Scope};
use server::http::{Needs, RouteInfo, route_table};
use server::store::now;
use server::store::people::PeopleChange;

use crate::support::http::Request;
use crate::support::people::{self, TestPerson};
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::saying;

/// A path of the route, with ids that exist nowhere.
fn path_of(route: &RouteInfo) -> String {
    let id = "0190a0b0-0000-7000-8000-000000000000";
    route
        .path
        .replace("{id}", id)
        .replace("{secret}", id)
        .replace("{*id}", "model")
        .replace("{*file}", "none.css")
        .replace("{*unknown}", "nothing-here")
}

/// The requests to a route.
fn requests(rill: &Rill, route: &RouteInfo) -> Vec<Request> {
    let request = |method: &&str| {
        let request = Request::new(method, &path_of(route));
        if *method == "GET" {
            return request;
        }
        request
            .header("content-type", "application/json")
            .header("origin", &format!("http://{}", rill.address))
            .body("{}")
    };
    route.methods.iter().map(request).collect()
}

/// A provider of OpenID Connect that does not answer, so that its routes are in the table.
const OPENID: &str =
    "[access.openid]\nissuer = \"http://127.0.0.1:9\"\nclient_id = \"rill\"\nallow = \"all\"";

/// Whether a route refuses everybody whom the provider has not just sent, see `openid.rs`.
fn is_for_provider(route: &RouteInfo) -> bool {
    route.path == "/signin/openid/return"
}

async fn with_accounts() -> Rill {
    Rill::with_file(OPENID, &["--access=accounts"]).await
}

const PROXY: &str = "[access]\nmode = \"proxy\"\n[access.proxy]\nuser_header = \"X-User\"\ntrusted = [\"10.0.0.0/8\"]";

/// Whether a route is answered without anybody being signed in, or how it is refused.
fn is_refused_as_nobody(
    route: &RouteInfo,
    method: &str,
    status: u16,
    location: Option<&str>,
) -> bool {
    let is_page =
        method == "GET" && !route.path.starts_with("/api/") && !route.path.starts_with("/v1/");
    match status {
        401 => !is_page,
        303 => is_page && location.is_some_and(|to| to.starts_with("/signin?next=")),
        _ => false,
    }
}

#[tokio::test]
async fn nobody_reaches_anything_that_belongs_to_somebody() {
    for rill in [with_accounts().await, Rill::with_file(PROXY, &[]).await] {
        let table = route_table(&rill.state);
        assert!(table.len() > 25, "routes are missing: {}", table.len());
        for route in &table {
            for (method, request) in route.methods.iter().zip(requests(&rill, route)) {
                let answer = rill.send(&request).await;
                let (status, to) = (answer.status, answer.header("location"));
                if is_for_provider(route) {
                    assert!(matches!(status, 403 | 429), "{route:?}: {status}");
                } else if route.path == "/signin/openid" {
                    assert_eq!(status, 502, "the provider does not answer");
                } else if route.needs == Needs::Nothing {
                    assert!(matches!(status, 200 | 404 | 415), "{route:?}: {status}");
                } else if rill.state.access.settings().user_header.is_some() {
                    assert_eq!(status, 401, "{route:?}");
                } else {
                    let is_refused = is_refused_as_nobody(route, method, status, to);
                    assert!(is_refused, "{method} {route:?}: {status}");
                }
            }
        }
    }
}

/// The kinds of callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Disabled,
    Expired,
    /// A cookie and a key that were never given out.
    Invented,
    Member,
    Admin,
    /// A key with every scope, and keys without one of them.
    Key,
    KeyOfAdmin,
    KeyWithout(Scope),
    /// The key of a person who was disabled.
    KeyOfDisabled,
}

const KINDS: [Kind; 11] = [
    Kind::Disabled,
    Kind::Expired,
    Kind::Invented,
    Kind::Member,
    Kind::Admin,
    Kind::Key,
    Kind::KeyOfAdmin,
    Kind::KeyWithout(Scope::Chat),
    Kind::KeyWithout(Scope::Models),
    Kind::KeyWithout(Scope::Read),
    Kind::KeyOfDisabled,
];

/// How a route answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    LetIn,
    NotSignedIn,
    NotAllowed,
}

fn expected(needs: Needs, kind: Kind) -> Expected {
    use Expected::{LetIn, NotAllowed, NotSignedIn};
    let is_key = matches!(kind, Kind::Key | Kind::KeyOfAdmin | Kind::KeyWithout(_));
    match (needs, kind) {
        (Needs::Nothing, _) => LetIn,
        (_, Kind::Disabled | Kind::Expired | Kind::Invented | Kind::KeyOfDisabled) => NotSignedIn,
        (Needs::Person(scope) | Needs::Key(scope), Kind::KeyWithout(missing))
            if scope == missing =>
        {
            NotAllowed
        }
        (Needs::Person(_), _) => LetIn,
        (Needs::Key(_), _) if is_key => LetIn,
        (Needs::Key(_), _) => NotSignedIn,
        (Needs::Session | Needs::Admin, _) if is_key => NotAllowed,
        (Needs::Session, _) | (Needs::Admin, Kind::Admin) => LetIn,
        (Needs::Admin, _) => NotAllowed,
    }
}

struct People {
    member: TestPerson,
    admin: TestPerson,
    disabled: TestPerson,
}

/// The header by which a caller of this kind is let in, of a new session each time: some routes end it.
async fn header(rill: &Rill, people: &People, kind: Kind) -> (&'static str, String) {
    let cookie = |value| ("cookie", value);
    let key = |value| ("authorization", value);
    match kind {
        Kind::Member => cookie(people::session(rill, &people.member).await),
        Kind::Admin => cookie(people::session(rill, &people.admin).await),
        Kind::Expired => cookie(people::session_until(rill, &people.admin, now() - 1).await),
        Kind::Invented => cookie(format!("rill={:064x}", rand::random::<u128>())),
        Kind::Disabled => {
            let header = people::session(rill, &people.disabled).await;
            set_disabled(rill, &people.disabled, true).await;
            set_disabled_back(rill, &people.disabled).await;
            cookie(header)
        }
        Kind::Key => {
            let session = people::session(rill, &people.member).await;
            key(people::key(rill, &session, &Scope::ALL).await)
        }
        Kind::KeyOfAdmin => {
            let session = people::session(rill, &people.admin).await;
            key(people::key(rill, &session, &Scope::ALL).await)
        }
        Kind::KeyWithout(missing) => {
            let scopes: Vec<Scope> = Scope::ALL.into_iter().filter(|it| *it != missing).collect();
            let session = people::session(rill, &people.member).await;
            key(people::key(rill, &session, &scopes).await)
        }
        Kind::KeyOfDisabled => {
            let session = people::session(rill, &people.disabled).await;
            let header = people::key(rill, &session, &Scope::ALL).await;
            set_disabled(rill, &people.disabled, true).await;
            key(header)
        }
    }
}

async fn set_disabled(rill: &Rill, person: &TestPerson, disabled: bool) {
    let person = person.id.clone();
    people::change(rill, PeopleChange::SetDisabled { person, disabled }).await;
}

/// Enabled again, a person must sign in again.
async fn set_disabled_back(rill: &Rill, person: &TestPerson) {
    set_disabled(rill, person, false).await;
}

#[tokio::test]
async fn every_route_lets_in_whom_the_table_says_and_nobody_else() {
    let rill = with_accounts().await;
    let people = People {
        member: people::add(&rill, "member", Role::Member).await,
        admin: people::add(&rill, "admin", Role::Admin).await,
        disabled: people::add(&rill, "disabled", Role::Admin).await,
    };
    for route in &route_table(&rill.state) {
        for kind in KINDS {
            for (method, request) in route.methods.iter().zip(requests(&rill, route)) {
                let (name, value) = header(&rill, &people, kind).await;
                let answer = rill.send(&request.header(name, &value)).await;
                let (status, to) = (answer.status, answer.header("location"));
                let case = format!("{method} {route:?} by {kind:?}: {status}");
                match expected(route.needs, kind) {
                    Expected::LetIn if is_for_provider(route) => {
                        assert!(matches!(status, 403 | 429), "{case}");
                    }
                    Expected::LetIn => assert!(!matches!(status, 401 | 403 | 405), "{case}"),
                    Expected::NotAllowed => assert_eq!(status, 403, "{case}"),
                    Expected::NotSignedIn => {
                        assert!(is_refused_as_nobody(route, method, status, to), "{case}");
                    }
                }
                if kind == Kind::KeyOfDisabled {
                    set_disabled_back(&rill, &people.disabled).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn alone_on_this_machine_one_may_do_everything() {
    let upstream = ScriptedUpstream::playing(vec![saying("hello")]).await;
    let rill = Rill::before(&upstream).await;
    for route in &route_table(&rill.state) {
        for request in requests(&rill, route) {
            let status = rill.send(&request).await.status;
            assert!(!matches!(status, 401 | 403 | 405), "{route:?}: {status}");
        }
    }
}

#[tokio::test]
async fn the_table_names_every_method_of_a_route() {
    let rill = with_accounts().await;
    let admin = people::add(&rill, "admin", Role::Admin).await;
    for route in &route_table(&rill.state) {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let request = Request::new(method, &path_of(route))
                .header("origin", &format!("http://{}", rill.address));
            let request = match route.needs {
                Needs::Key(_) => {
                    let session = people::session(&rill, &admin).await;
                    request.header(
                        "authorization",
                        &people::key(&rill, &session, &Scope::ALL).await,
                    )
                }
                _ => request.header("cookie", &people::session(&rill, &admin).await),
            };
            let status = rill.send(&request).await.status;
            let is_file = route.path.ends_with("{*file}") || route.path.ends_with("{*unknown}");
            if !is_file {
                let is_named = route.methods.contains(&method);
                assert_eq!(status != 405, is_named, "{method} {route:?}: {status}");
            }
        }
    }
}
