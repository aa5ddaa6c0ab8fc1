//! Invitations, signing in and out, and what guessing costs.

use std::time::Duration;

use server::access::{Actor, Role};
use server::store::now;
use server::store::people::{AuditRecord, NewInvitation, PeopleChange};

use crate::support::http::{Answer, Request};
use crate::support::people::{PASSWORD, cookie_of, form, join};
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::saying;

async fn accounts(arguments: &[&str]) -> Rill {
    let upstream = ScriptedUpstream::playing(vec![saying("hello")]).await;
    let all = [&["--access=accounts"], arguments].concat();
    Rill::with(&upstream, &all).await
}

async fn text(answer: Answer) -> String {
    String::from_utf8(answer.body().await.expect("a body")).expect("text")
}

async fn sign_in(rill: &Rill, email: &str, password: &str) -> Answer {
    let fields = [
        ("email", email),
        ("password", password),
        ("next", "/account"),
    ];
    rill.send(&form(rill.address, "/signin", &fields)).await
}

#[tokio::test]
async fn a_person_is_invited_joins_signs_out_and_signs_in_again() {
    let rill = accounts(&[]).await;
    let first = text(rill.send(&Request::get("/signin")).await).await;
    assert!(first.contains("rill user invite"), "not set up: {first}");
    let cookie = join(&rill, "Ann@Example.com", Role::Admin).await;
    let account = rill
        .send(&Request::get("/account").header("cookie", &cookie))
        .await;
    assert_eq!(account.status, 200);
    assert!(text(account).await.contains("ann@example.com"));

    let out = form(rill.address, "/signout", &[]).header("cookie", &cookie);
    let out = rill.send(&out).await;
    assert_eq!((out.status, out.header("location")), (303, Some("/signin")));
    assert!(
        out.header("set-cookie")
            .is_some_and(|cookie| cookie.contains("Max-Age=0"))
    );
    let after = rill
        .send(&Request::get("/account").header("cookie", &cookie))
        .await;
    assert_eq!(
        (after.status, after.header("location")),
        (303, Some("/signin?next=%2Faccount"))
    );

    let signed_in = sign_in(&rill, " ANN@example.com", PASSWORD).await;
    assert_eq!(
        (signed_in.status, signed_in.header("location")),
        (303, Some("/account"))
    );
    assert_ne!(cookie_of(&signed_in), cookie, "a session of its own");
    let home = Request::get("/").header("cookie", &cookie_of(&signed_in));
    assert_eq!(rill.send(&home).await.status, 200);
}

#[tokio::test]
async fn the_cookie_of_a_public_server_is_for_its_host_by_https_alone() {
    let rill = accounts(&["--public-url=https://chat.example.com"]).await;
    let actor = Actor::command_line();
    let access = &rill.state.access;
    let invited = access.invite(&actor, "ann@example.com", Role::Member);
    let path = format!("/invite/{}", invited.await.expect("a link"));
    let joined = form(rill.address, &path, &[("password", PASSWORD)])
        .header("host", "chat.example.com")
        .header("origin", "https://chat.example.com");
    let joined = rill.send(&joined).await;
    let cookie = joined.header("set-cookie").expect("a cookie");
    for part in [
        "__Host-rill=",
        "; HttpOnly",
        "; Secure",
        "; SameSite=Lax",
        "; Path=/",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    // A cookie that another host of the domain could set is not looked at.
    let plain = cookie_of(&joined).replace("__Host-rill", "rill");
    for (cookie, status) in [(cookie_of(&joined), 200), (plain, 303)] {
        let home = Request::get("/")
            .header("host", "chat.example.com")
            .header("cookie", &cookie);
        assert_eq!(rill.send(&home).await.status, status);
    }
}

#[tokio::test]
async fn a_session_that_was_there_before_is_not_the_one_after() {
    let rill = accounts(&[]).await;
    join(&rill, "ann@example.com", Role::Member).await;
    let fixed = format!("rill={}", "a".repeat(64));
    let fields = [("email", "ann@example.com"), ("password", PASSWORD)];
    let request = form(rill.address, "/signin", &fields).header("cookie", &fixed);
    let first = cookie_of(&rill.send(&request).await);
    assert_ne!(first, fixed);
    let home = |cookie: &str| Request::get("/").header("cookie", cookie);
    assert_eq!(
        rill.send(&home(&fixed)).await.status,
        303,
        "the one from before"
    );
    let request = form(rill.address, "/signin", &fields).header("cookie", &first);
    let second = cookie_of(&rill.send(&request).await);
    assert_eq!(
        rill.send(&home(&first)).await.status,
        303,
        "it was replaced"
    );
    assert_eq!(rill.send(&home(&second)).await.status, 200);
}

#[tokio::test]
async fn a_failed_sign_in_looks_the_same_whatever_was_wrong() {
    let rill = accounts(&[]).await;
    join(&rill, "root@example.com", Role::Admin).await;
    join(&rill, "gone@example.com", Role::Member).await;
    let gone = rill
        .state
        .store
        .person_by_email("gone@example.com")
        .await
        .expect("there");
    let disabled = PeopleChange::SetDisabled {
        person: gone.id,
        disabled: true,
    };
    let actor = Actor::command_line();
    let changed = rill
        .state
        .access
        .change("disabled", &actor, "gone", disabled);
    changed.await.expect("disabled");
    let mut pages = Vec::new();
    for (email, password) in [
        ("root@example.com", "not the password"),
        ("nobody@example.com", PASSWORD),
        ("gone@example.com", PASSWORD),
        ("", ""),
    ] {
        let answer = sign_in(&rill, email, password).await;
        assert_eq!(answer.status, 401, "{email}");
        assert!(answer.header("set-cookie").is_none());
        pages.push(text(answer).await.replace(&format!("\"{email}\""), "\"…\""));
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:?}");
}

#[tokio::test]
async fn after_five_failures_an_address_waits_and_the_person_elsewhere_does_not() {
    let text = "[access]\nmode = \"accounts\"\n[access.proxy]\ntrusted = [\"127.0.0.0/8\"]";
    let rill = Rill::with_file(text, &[]).await;
    let from = |address: &str, password: &str| {
        let fields = [("email", "ann@example.com"), ("password", password)];
        form(rill.address, "/signin", &fields).header("x-forwarded-for", address)
    };
    join(&rill, "ann@example.com", Role::Member).await;
    assert_eq!(rill.send(&from("192.0.2.1", PASSWORD)).await.status, 303);
    for _ in 0..5 {
        // What the client says of itself stands before what the proxy adds.
        let forged = format!("203.0.113.{}, 198.51.100.7", rand::random::<u8>());
        assert_eq!(
            rill.send(&from(&forged, "not the password")).await.status,
            401
        );
    }
    for password in ["not the password", PASSWORD] {
        let refused = rill.send(&from("198.51.100.7", password)).await;
        assert_eq!(refused.status, 429);
        let wait = refused
            .header("retry-after")
            .and_then(|wait| wait.parse::<u64>().ok());
        assert!(
            wait.is_some_and(|wait| (800..=900).contains(&wait)),
            "{wait:?}"
        );
    }
    // A guesser with many addresses waits as well, and the person at a known one does not.
    assert_eq!(rill.send(&from("198.51.100.8", PASSWORD)).await.status, 429);
    assert_eq!(rill.send(&from("192.0.2.1", PASSWORD)).await.status, 303);
}

#[tokio::test]
async fn a_form_that_no_page_of_this_server_sent_is_refused() {
    let rill = accounts(&[]).await;
    let cookie = join(&rill, "ann@example.com", Role::Admin).await;
    let fields = [("email", "ann@example.com"), ("password", PASSWORD)];
    for path in ["/signin", "/signout", "/account", "/people"] {
        let right = form(rill.address, path, &fields).header("cookie", &cookie);
        for (request, expect) in [
            (right.clone().without("origin"), 403),
            (right.clone().header("origin", "https://evil.test"), 403),
            (right.clone().header("origin", "null"), 403),
            (right.clone().header("sec-fetch-site", "cross-site"), 403),
            (right.clone().header("sec-fetch-site", "same-site"), 403),
            (right.clone().header("content-type", "text/plain"), 415),
            (
                right.clone().header("content-type", "multipart/form-data"),
                415,
            ),
            (right.clone().without("content-type"), 415),
        ] {
            let answer = rill.send(&request).await;
            assert_eq!(answer.status, expect, "{path}: {request:?}");
            assert!(answer.header("set-cookie").is_none());
        }
    }
    let home = Request::get("/").header("cookie", &cookie);
    assert_eq!(rill.send(&home).await.status, 200, "still signed in");
}

#[tokio::test]
async fn after_signing_in_a_page_of_this_server_is_shown() {
    let rill = accounts(&[]).await;
    join(&rill, "ann@example.com", Role::Member).await;
    for (next, expect) in [
        (
            "/c/0190a0b0-0000-7000-8000-000000000000",
            "/c/0190a0b0-0000-7000-8000-000000000000",
        ),
        ("//evil.test/", "/"),
        ("/\\evil.test", "/"),
        ("https://evil.test/", "/"),
        ("/x\r\nset-cookie: rill=1", "/"),
    ] {
        let fields = [
            ("email", "ann@example.com"),
            ("password", PASSWORD),
            ("next", next),
        ];
        let answer = rill.send(&form(rill.address, "/signin", &fields)).await;
        assert_eq!(answer.header("location"), Some(expect), "{next}");
    }
    let shown = rill
        .send(&Request::get("/signin?next=%2F%2Fevil.test"))
        .await;
    assert!(!text(shown).await.contains("evil.test"));
}

#[tokio::test]
async fn a_link_works_once_and_for_a_day() {
    let rill = accounts(&[]).await;
    let actor = Actor::command_line();
    let link = rill
        .state
        .access
        .invite(&actor, "ann@example.com", Role::Member)
        .await;
    let path = format!("/invite/{}", link.expect("a link"));
    let shown = rill.send(&Request::get(&path)).await;
    assert_eq!(shown.status, 200, "looking uses nothing up");
    let weak = form(rill.address, &path, &[("password", "passwordpassword")]);
    assert_eq!(rill.send(&weak).await.status, 400);
    let right = form(rill.address, &path, &[("password", PASSWORD)]);
    assert_eq!(rill.send(&right).await.status, 303);
    for request in [right, Request::get(&path)] {
        let answer = rill.send(&request).await;
        assert_eq!(answer.status, 410);
        assert!(text(answer).await.contains("used already"));
    }
    // The same email again, another spelling of it, and one that looks like it.
    for double in [
        "ann@example.com",
        "ANN@EXAMPLE.COM",
        "\u{430}nn@example.com",
    ] {
        let refused = rill.state.access.invite(&actor, double, Role::Member).await;
        assert!(refused.is_err(), "{double}");
    }
    for unknown in ["0".repeat(64), "x".to_owned(), "%00".to_owned()] {
        let answer = rill
            .send(&Request::get(&format!("/invite/{unknown}")))
            .await;
        assert_eq!(answer.status, 404);
    }
    let day = i64::try_from(Duration::from_secs(24 * 60 * 60).as_millis()).expect("short");
    let invitations = [now() - 1, now() + day];
    for (number, (expires_at, status)) in invitations.into_iter().zip([410, 200]).enumerate() {
        let secret = format!("{number:064x}");
        let record = AuditRecord {
            at: now(),
            what: "tested".into(),
            actor: "test".into(),
            subject: "test".into(),
            address: String::new(),
        };
        let invite = PeopleChange::Invite(NewInvitation {
            hash: sha2::Digest::finalize(sha2::Digest::chain_update(
                <sha2::Sha256 as sha2::Digest>::new(),
                &secret,
            ))
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
            email: format!("{number}@example.com"),
            likeness: format!("{number}@example.com"),
            role: "member".into(),
            person: None,
            expires_at,
        });
        rill.state
            .store
            .change_people(&invite, &record)
            .await
            .expect("invited");
        let answer = rill.send(&Request::get(&format!("/invite/{secret}"))).await;
        assert_eq!(answer.status, status, "{number}");
    }
}

#[tokio::test]
async fn the_pages_of_accounts_load_nothing_but_their_style_and_two_of_them_one_script() {
    let rill = accounts(&[]).await;
    let cookie = join(&rill, "ann@example.com", Role::Admin).await;
    for path in ["/signin", "/account", "/people", "/people/audit"] {
        let request = Request::get(path);
        let request = if path == "/signin" {
            request
        } else {
            request.header("cookie", &cookie)
        };
        let answer = rill.send(&request).await;
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer
            .header("content-security-policy")
            .unwrap_or_default()
            .to_owned();
        let has_script = matches!(path, "/signin" | "/account");
        let begin = match has_script {
            true => "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'",
            false => "default-src 'none'; style-src 'self'",
        };
        assert!(policy.starts_with(begin), "{policy}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        let mut html = text(answer).await;
        if has_script {
            html = html.replacen("<script src=\"/account.js\" defer></script>", "", 1);
        }
        for absent in ["<script", "wasm", "style=", "http://", "https://"] {
            assert!(!html.contains(absent), "{absent} in {path}");
        }
    }
    assert_eq!(rill.send(&Request::get("/account.css")).await.status, 200);
}

#[tokio::test]
async fn of_two_who_open_one_link_at_once_one_gets_in() {
    let rill = accounts(&[]).await;
    let actor = Actor::command_line();
    let link = rill
        .state
        .access
        .invite(&actor, "ann@example.com", Role::Member)
        .await;
    let path = format!("/invite/{}", link.expect("a link"));
    let join = form(rill.address, &path, &[("password", PASSWORD)]);
    let answers = futures::future::join_all((0..4).map(|_| rill.send(&join))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 410, 410, 410]);
    assert_eq!(rill.state.store.people().await.expect("people").len(), 1);
}

#[tokio::test]
async fn an_admin_lets_people_in_and_puts_them_out() {
    let rill = accounts(&[]).await;
    let admin = join(&rill, "root@example.com", Role::Admin).await;
    let post = async |path: &str, fields: &[(&str, &str)]| {
        let request = form(rill.address, path, fields).header("cookie", &admin);
        rill.send(&request).await
    };
    let link = |page: &str| {
        let start = page.find("/invite/").expect("a link");
        page[start..start + "/invite/".len() + 64].to_owned()
    };
    let invited = post(
        "/people",
        &[("email", "Bob@example.com"), ("role", "member")],
    )
    .await;
    assert_eq!(invited.status, 200);
    let path = link(&text(invited).await);
    let joined = form(
        rill.address,
        &path,
        &[("password", PASSWORD), ("name", "<b>Bob</b>")],
    );
    let bob = cookie_of(&rill.send(&joined).await);
    let page = async |path: &str| {
        text(
            rill.send(&Request::get(path).header("cookie", &admin))
                .await,
        )
        .await
    };
    let people = page("/people").await;
    assert!(
        people.contains("&lt;b&gt;Bob&lt;/b&gt;") && !people.contains("<b>Bob"),
        "{people}"
    );
    let id = rill
        .state
        .store
        .person_by_email("bob@example.com")
        .await
        .expect("there")
        .id;
    let of_bob = format!("/people/{id}");
    assert!(page(&of_bob).await.contains("Signed-in devices"));
    let home = Request::get("/").header("cookie", &bob);
    for (what, then) in [("disable", 303), ("enable", 303)] {
        assert_eq!(post(&of_bob, &[("do", what)]).await.status, 303, "{what}");
        assert_eq!(rill.send(&home).await.status, then, "{what}: signed out");
    }
    let reset = post(&of_bob, &[("do", "reset")]).await;
    let reset = form(
        rill.address,
        &link(&text(reset).await),
        &[("password", "another good one")],
    );
    assert_eq!(rill.send(&reset).await.status, 303);
    for (fields, status) in [
        (vec![("do", "admin")], 303),
        (vec![("do", "member")], 303),
        (vec![("do", "delete")], 400),
        (vec![("do", "delete"), ("email", "root@example.com")], 400),
        (vec![("do", "delete"), ("email", "bob@example.com")], 303),
        (vec![("do", "enable")], 404),
        (vec![("do", "nonsense")], 404),
    ] {
        assert_eq!(post(&of_bob, &fields).await.status, status, "{fields:?}");
    }
    let own = rill
        .state
        .store
        .person_by_email("root@example.com")
        .await
        .expect("there")
        .id;
    // Nobody else is left, so the only admin may go as well, but not become a member.
    let second = join(&rill, "eve@example.com", Role::Member).await;
    let only = post(&format!("/people/{own}"), &[("do", "member")]).await;
    assert_eq!(only.status, 400);
    assert!(text(only).await.contains("only admin"));
    assert_eq!(
        rill.send(&Request::get("/people").header("cookie", &second))
            .await
            .status,
        403
    );
    let audit = page("/people/audit").await;
    for what in [
        "invited",
        "joined",
        "disabled",
        "deleted",
        "bob@example.com",
        "root@example.com",
    ] {
        assert!(audit.contains(what), "{what}: {audit}");
    }
}
