//! The mode in which a trusted proxy names people.

use server::store::people::PeopleChange;

use crate::support::http::Request;
use crate::support::people;
use crate::support::rill::Rill;

/// Requests of tests come from 127.0.0.1.
fn file(trusted: &str) -> String {
    format!(
        "[access]\nmode = \"proxy\"\n[access.proxy]\nuser_header = \"X-Forwarded-User\"\n\
         groups_header = \"X-Forwarded-Groups\"\nadmin_groups = [\"ops\"]\ntrusted = [\"{trusted}\"]"
    )
}

fn named(path: &str, user: &str) -> Request {
    Request::get(path).header("x-forwarded-user", user)
}

#[tokio::test]
async fn a_person_is_whom_the_trusted_proxy_names() {
    let rill = Rill::with_file(&file("127.0.0.1"), &[]).await;
    assert_eq!(
        rill.send(&Request::get("/account")).await.status,
        401,
        "nobody is named"
    );
    for user in ["ann@example.com", "Ann@Example.com", "bob"] {
        assert_eq!(
            rill.send(&named("/account", user)).await.status,
            200,
            "{user}"
        );
    }
    let people = rill.state.store.people().await.expect("people");
    let names: Vec<&str> = people.iter().map(|person| person.email.as_str()).collect();
    assert_eq!(names, ["ann@example.com", "bob"], "each once");
    // Names that are none, or look like another person's.
    for user in ["", " ", "a b", "b\u{43e}b", "bob\u{200b}"] {
        let request = Request::get("/account").header("x-forwarded-user", user);
        assert_eq!(rill.send(&request).await.status, 403, "{user:?}");
    }
    assert_eq!(
        rill.send(&named("/people", "ann@example.com")).await.status,
        403
    );
    let admin =
        |groups: &str| named("/people", "ann@example.com").header("x-forwarded-groups", groups);
    assert_eq!(rill.send(&admin("users, ops")).await.status, 200);
    assert_eq!(rill.send(&admin("users, opsx")).await.status, 403);
    // A password in front of the proxy may be passed on.
    let basic = named("/account", "bob").header("authorization", "Basic Ym9iOmJvYg==");
    assert_eq!(rill.send(&basic).await.status, 200);

    let bob = people[1].id.clone();
    let disabled = PeopleChange::SetDisabled {
        person: bob,
        disabled: true,
    };
    people::change(&rill, disabled).await;
    assert_eq!(rill.send(&named("/account", "bob")).await.status, 403);
}

#[tokio::test]
async fn nobody_else_may_name_a_person() {
    let rill = Rill::with_file(&file("10.0.0.0/8"), &[]).await;
    for path in ["/account", "/", "/api/models", "/v1/models", "/people"] {
        assert_eq!(rill.send(&Request::get(path)).await.status, 401, "{path}");
        assert_eq!(
            rill.send(&named(path, "ann@example.com")).await.status,
            403,
            "{path}"
        );
        let groups = Request::get(path).header("x-forwarded-groups", "ops");
        assert_eq!(rill.send(&groups).await.status, 403, "{path}");
    }
    assert_eq!(rill.state.store.people().await.expect("people"), []);
}

#[tokio::test]
async fn a_proxy_that_passes_the_header_of_the_client_on_beside_its_own_is_refused() {
    let rill = Rill::with_file(&file("127.0.0.1"), &[]).await;
    let two = format!(
        "GET /account HTTP/1.1\r\nhost: {}\r\nx-forwarded-user: root\r\nx-forwarded-user: ann\r\n\r\n",
        rill.address
    );
    let answer = crate::support::http::send_bytes(rill.address, two.as_bytes()).await;
    assert_eq!(answer.expect("an answer").status, 403);
}
