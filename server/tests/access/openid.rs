//! Signing in by OpenID Connect, against a provider that does each thing wrongly.

use std::time::Duration;

use serde_json::{Value, json};
use server::access::Role;
use server::store::people::PeopleChange;
use tokio::net::TcpListener;

use crate::support::http::{Answer, Request};
use crate::support::log;
use crate::support::openid_provider::{OpenIdProvider, Script, new_key, section};
use crate::support::people::{self, cookie_of, form};
use crate::support::rill::Rill;

const TRUSTED: &str = "[access.proxy]\ntrusted = [\"127.0.0.1\"]\n";

async fn rill_with(provider: &OpenIdProvider, more: &str) -> Rill {
    let text = format!("{}{TRUSTED}", provider.section(more));
    let rill = Rill::with_file(&text, &["--access=accounts"]).await;
    people::add(&rill, "root", Role::Admin).await;
    rill
}

async fn text(answer: Answer) -> String {
    String::from_utf8(answer.body().await.expect("a body")).expect("text")
}

/// A browser that signs in.
#[derive(Clone)]
struct Browser {
    /// The address by which failures are counted.
    address: String,
    cookie: String,
}

impl Browser {
    fn new(number: u8) -> Self {
        Self {
            address: format!("192.0.2.{number}"),
            cookie: String::new(),
        }
    }

    async fn get(&self, rill: &Rill, path: &str) -> Answer {
        let request = Request::get(path)
            .header("x-forwarded-for", &self.address)
            .header("cookie", &self.cookie);
        rill.send(&request).await
    }

    /// Begins, and returns the provider's address.
    async fn begin(&mut self, rill: &Rill, next: &str) -> String {
        let path = format!("/signin/openid?next={next}");
        let begun = self.get(rill, &path).await;
        assert_eq!(begun.status, 303);
        self.cookie = cookie_of(&begun);
        begun.header("location").expect("an address").to_owned()
    }

    async fn come_back(&self, rill: &Rill, query: &str) -> Answer {
        self.get(rill, &format!("/signin/openid/return?{query}"))
            .await
    }

    /// Begins, signs in at the provider, and comes back.
    async fn sign_in(&mut self, rill: &Rill, provider: &OpenIdProvider) -> Answer {
        let url = self.begin(rill, "%2Faccount").await;
        self.come_back(rill, &provider.authorize(&url)).await
    }
}

/// The cookie of the session that an answer begins.
fn session_of(answer: &Answer) -> Option<String> {
    let cookie = cookie_of(answer);
    cookie
        .strip_prefix("rill=")
        .filter(|secret| !secret.is_empty())?;
    Some(cookie)
}

async fn account(rill: &Rill, cookie: &str) -> String {
    let request = Request::get("/account").header("cookie", cookie);
    text(rill.send(&request).await).await
}

#[tokio::test]
async fn a_person_of_the_provider_signs_in_and_is_the_same_person_next_time() {
    let provider = OpenIdProvider::start().await;
    let rill = rill_with(&provider, "allow = \"all\"").await;
    let page = text(rill.send(&Request::get("/signin?next=/people")).await).await;
    assert!(
        page.contains("href=\"/signin/openid?next=%2Fpeople\">Sign in with Example<"),
        "{page}"
    );
    let first = Browser::new(1).sign_in(&rill, &provider).await;
    assert_eq!(
        (first.status, first.header("location")),
        (303, Some("/account"))
    );
    let cookie = session_of(&first).expect("a session");
    assert!(account(&rill, &cookie).await.contains("ann@example.com"));
    // The provider's name for the person counts, not the email.
    provider.script().claim("email", json!("ann.b@example.com"));
    let second = Browser::new(1).sign_in(&rill, &provider).await;
    let other = session_of(&second).expect("a session");
    assert_ne!(other, cookie);
    assert!(account(&rill, &other).await.contains("ann@example.com"));
    assert_eq!(rill.state.store.people().await.expect("read").len(), 2);
    let ann = rill
        .state
        .store
        .person_by_email("ann@example.com")
        .await
        .expect("there");
    assert_eq!((&*ann.name, &*ann.role), ("Ann", "member"));
    // A disabled person stays outside.
    let disabled = PeopleChange::SetDisabled {
        person: ann.id,
        disabled: true,
    };
    people::change(&rill, disabled).await;
    refused(&rill, &provider, 2, "is disabled").await;
}

/// Signs in, and checks that it fails for this reason, which only the log tells.
async fn refused(rill: &Rill, provider: &OpenIdProvider, number: u8, words: &str) {
    let mut browser = Browser::new(number);
    let answer = browser.sign_in(rill, provider).await;
    check_refused(&browser, answer, words).await;
}

async fn check_refused(browser: &Browser, answer: Answer, words: &str) {
    assert_eq!(answer.status, 403, "{words}");
    assert_eq!(session_of(&answer), None, "{words}");
    let page = text(answer).await;
    assert!(page.contains("You could not be signed in."), "{page}");
    let line = log::line_where(|line| {
        line.get("address") == Some(&browser.address)
            && line["message"].starts_with("OpenID Connect: ")
    });
    let message = line.await["message"].clone();
    assert!(message.contains(words), "{message}, not: {words}");
    assert!(!page.contains(words), "{page}");
}

#[tokio::test]
async fn each_wrong_thing_of_a_provider_is_named_in_the_log_and_lets_nobody_in() {
    let now = server::store::now() / 1000;
    type Change = Box<dyn Fn(&mut Script)>;
    let claim = |name: &'static str, value: Value| -> Change {
        Box::new(move |script| script.claim(name, value.clone()))
    };
    let cases: Vec<(&str, Change)> = vec![
        ("wrong issuer", claim("iss", json!("https://evil.test"))),
        ("wrong audience", claim("aud", json!("other"))),
        ("wrong audience", claim("aud", json!(["rill", "other"]))),
        ("wrong audience", claim("azp", json!("other"))),
        ("wrong nonce", claim("nonce", json!("0"))),
        ("wrong nonce", claim("nonce", Value::Null)),
        ("clock_skew", claim("exp", json!(now - 120))),
        ("clock_skew", claim("iat", json!(now + 120))),
        ("email_verified", claim("email_verified", json!(false))),
        ("email_verified", claim("email_verified", Value::Null)),
        ("not an email", claim("email", json!("ann"))),
        ("does not tell", claim("email", Value::Null)),
        ("groups is neither", claim("groups", json!(7))),
        ("answer is none", claim("sub", Value::Null)),
        ("answer is none", claim("exp", json!("soon"))),
        (
            "wrong signature",
            Box::new(|script| script.breaks_signature = true),
        ),
        (
            "no key of this name",
            Box::new(|script| script.key = new_key("other")),
        ),
        // A key of the same name.
        (
            "wrong signature",
            Box::new(|script| script.key = new_key("first")),
        ),
        (
            "wrong signature",
            Box::new(|script| {
                script.header.insert("alg".to_owned(), json!("none"));
            }),
        ),
        (
            "wrong signature",
            Box::new(|script| {
                script.header.insert("alg".to_owned(), json!("HS256"));
            }),
        ),
        (
            "does not tell",
            Box::new(|script| {
                script.claim("email", Value::Null);
                script.userinfo = Some(
                    json!({ "sub": "another", "email": "root@example.com", "email_verified": true }),
                );
            }),
        ),
    ];
    let provider = OpenIdProvider::start().await;
    let rill = rill_with(&provider, "allow = \"all\"\ngroups_claim = \"groups\"").await;
    for (number, (words, change)) in (1..).zip(cases) {
        {
            let mut script = provider.script();
            (script.claims, script.header) = Default::default();
            (script.userinfo, script.breaks_signature) = (None, false);
            script.key = new_key("first");
            script.publish();
            script.claim("groups", json!(["staff"]));
        }
        // It knows the key that is published now.
        let before = Browser::new(200 + number % 40)
            .sign_in(&rill, &provider)
            .await;
        assert_eq!(before.status, 303, "before: {words}");
        change(&mut provider.script());
        refused(&rill, &provider, number, words).await;
    }
}

#[tokio::test]
async fn what_comes_back_must_belong_to_an_attempt_of_this_browser() {
    let provider = OpenIdProvider::start().await;
    let rill = rill_with(&provider, "allow = \"all\"").await;
    // Signed in at the provider as somebody else, an attacker hands the address over that leads back.
    let mut attacker = Browser::new(1);
    let url = attacker.begin(&rill, "%2F").await;
    let query = provider.authorize(&url);
    let without = Browser::new(2);
    check_refused(
        &without,
        without.come_back(&rill, &query).await,
        "has not begun",
    )
    .await;
    let mut victim = Browser::new(3);
    let own = victim.begin(&rill, "%2F").await;
    check_refused(
        &victim,
        victim.come_back(&rill, &query).await,
        "wrong state",
    )
    .await;
    // With the state of the victim the code is still that of another.
    let own = provider.authorize(&own);
    let code = query.split('&').next().expect("a code");
    let state = own.split('&').nth(1).expect("a state");
    let mixed = format!("{code}&{state}");
    let mixed = victim.come_back(&rill, &mixed).await;
    assert_eq!((mixed.status, session_of(&mixed)), (403, None));
    // An attempt is good once, and a code is, at the provider.
    let mut browser = Browser::new(4);
    let url = browser.begin(&rill, "%2F").await;
    let query = provider.authorize(&url);
    assert_eq!(browser.come_back(&rill, &query).await.status, 303);
    check_refused(
        &browser,
        browser.come_back(&rill, &query).await,
        "used before",
    )
    .await;
    let mut other = Browser::new(5);
    let url = other.begin(&rill, "%2F").await;
    let (code, state) = (
        query.split('&').next().expect("a code"),
        provider.authorize(&url),
    );
    let replayed = format!("{code}&{}", state.split('&').nth(1).expect("a state"));
    check_refused(
        &other,
        other.come_back(&rill, &replayed).await,
        "invalid_grant",
    )
    .await;
    // What is named twice is not read.
    let mut twice = Browser::new(6);
    let url = twice.begin(&rill, "%2F").await;
    let query = format!("{}&code=x", provider.authorize(&url));
    check_refused(&twice, twice.come_back(&rill, &query).await, "wrong state").await;
    // The provider refuses: the person did not agree.
    let mut denied = Browser::new(7);
    let url = denied.begin(&rill, "%2F").await;
    let query = provider.authorize(&url);
    let state = query.split('&').nth(1).expect("a state");
    let query = format!("error=access_denied&{state}");
    check_refused(
        &denied,
        denied.come_back(&rill, &query).await,
        "access_denied",
    )
    .await;
}

#[tokio::test]
async fn the_return_address_names_the_issuer_where_the_provider_says_so() {
    let provider = OpenIdProvider::start().await;
    let supported = "authorization_response_iss_parameter_supported";
    provider
        .script()
        .metadata
        .insert(supported.to_owned(), json!(true));
    let rill = rill_with(&provider, "allow = \"all\"").await;
    let back = async |number: u8, more: &str| {
        let mut browser = Browser::new(number);
        let url = browser.begin(&rill, "%2F").await;
        let query = format!("{}{more}", provider.authorize(&url));
        let answer = browser.come_back(&rill, &query).await;
        (browser, answer)
    };
    let (browser, answer) = back(1, "").await;
    check_refused(&browser, answer, "without `iss`").await;
    let (browser, answer) = back(2, "&iss=https%3A%2F%2Fevil.test").await;
    check_refused(&browser, answer, "came back from https://evil.test").await;
    let (_, answer) = back(3, &format!("&iss=http://{}", provider.address)).await;
    assert_eq!(answer.status, 303);
}

#[tokio::test]
async fn new_keys_of_the_provider_are_requested_once() {
    let provider = OpenIdProvider::start().await;
    let rill = rill_with(&provider, "allow = \"all\"").await;
    assert_eq!(Browser::new(1).sign_in(&rill, &provider).await.status, 303);
    assert_eq!(Browser::new(1).sign_in(&rill, &provider).await.status, 303);
    assert_eq!(provider.script().key_requests, 1);
    {
        let mut script = provider.script();
        script.key = new_key("second");
        script.publish();
    }
    assert_eq!(Browser::new(1).sign_in(&rill, &provider).await.status, 303);
    assert_eq!(Browser::new(1).sign_in(&rill, &provider).await.status, 303);
    assert_eq!(provider.script().key_requests, 2);
}

#[tokio::test]
async fn clocks_may_differ_by_the_skew() {
    let provider = OpenIdProvider::start().await;
    let rill = rill_with(&provider, "allow = \"all\"\nclock_skew = \"60s\"").await;
    let now = server::store::now() / 1000;
    for (name, time) in [("exp", now - 40), ("iat", now + 40)] {
        provider.script().claim(name, json!(time));
        assert_eq!(
            Browser::new(1).sign_in(&rill, &provider).await.status,
            303,
            "{name}"
        );
        provider.script().claims.clear();
    }
}

#[tokio::test]
async fn only_whom_the_configuration_admits_comes_in() {
    let provider = OpenIdProvider::start().await;
    let rill = rill_with(&provider, "allow = \"invited\"").await;
    refused(&rill, &provider, 1, "neither an invitation nor an account").await;
    let actor = server::access::Actor::command_line();
    let invited = rill
        .state
        .access
        .invite(&actor, "Ann@example.com", Role::Admin);
    let link = format!("/invite/{}", invited.await.expect("a link"));
    assert_eq!(Browser::new(2).sign_in(&rill, &provider).await.status, 303);
    let ann = rill
        .state
        .store
        .person_by_email("ann@example.com")
        .await
        .expect("there");
    assert_eq!(ann.role, "admin", "as invited");
    let used = text(rill.send(&Request::get(&link)).await).await;
    assert!(used.contains("used already"), "{used}");
    // Whoever gets the email later is somebody else.
    provider.script().claim("sub", json!("subject-2"));
    refused(&rill, &provider, 3, "by another name").await;
    provider
        .script()
        .claim("email", json!("a\u{43d}n@example.com"));
    refused(&rill, &provider, 4, "neither an invitation").await;

    let domains = rill_with(
        &provider,
        "allow = \"domains\"\ndomains = [\"example.com\"]",
    )
    .await;
    provider.script().claims.clear();
    assert_eq!(
        Browser::new(5).sign_in(&domains, &provider).await.status,
        303
    );
    provider.script().claim("sub", json!("subject-2"));
    provider
        .script()
        .claim("email", json!("ann@example.com.evil.test"));
    refused(&domains, &provider, 6, "is not one of `domains`").await;
    // Cyrillic а.
    provider
        .script()
        .claim("email", json!("\u{430}nn@example.com"));
    refused(&domains, &provider, 7, "looks the same").await;
}

#[tokio::test]
async fn groups_and_roles_follow_the_claims_at_each_sign_in() {
    let provider = OpenIdProvider::start().await;
    let more = "allow = \"groups\"\ngroups = [\"chat\"]\ngroups_claim = \"groups\"\nrole_claim = \"access.roles\"\nadmins = [\"boss\"]";
    let rill = rill_with(&provider, more).await;
    let of_person = async || {
        let ann = rill
            .state
            .store
            .person_by_email("ann@example.com")
            .await
            .expect("there");
        (ann.role, ann.member_of)
    };
    provider.script().claim("groups", json!(["chat", "staff"]));
    provider
        .script()
        .claim("access", json!({ "roles": ["boss"] }));
    let first = Browser::new(1).sign_in(&rill, &provider).await;
    assert_eq!(
        of_person().await,
        ("admin".to_owned(), r#"["chat","staff"]"#.to_owned())
    );
    let cookie = session_of(&first).expect("a session");
    let people = Request::get("/people").header("cookie", &cookie);
    assert_eq!(rill.send(&people).await.status, 200);
    // The provider takes the role away: the session with it ends.
    provider.script().claim("access", json!({ "roles": [] }));
    let second = Browser::new(1).sign_in(&rill, &provider).await;
    assert_eq!(of_person().await.0, "member");
    assert_eq!(rill.send(&people).await.status, 303);
    let people = Request::get("/people").header("cookie", &session_of(&second).expect("a session"));
    assert_eq!(rill.send(&people).await.status, 403);
    provider.script().claim("groups", json!(["staff"]));
    refused(&rill, &provider, 2, "is in none of `groups`").await;
    // Claims may be where only people's data is.
    provider.script().claims.clear();
    provider.script().userinfo =
        Some(json!({ "sub": "subject-1", "groups": "chat", "access": { "roles": "boss" } }));
    assert_eq!(Browser::new(3).sign_in(&rill, &provider).await.status, 303);
    assert_eq!(
        of_person().await,
        ("admin".to_owned(), r#"["chat"]"#.to_owned())
    );
}

#[tokio::test]
async fn a_provider_that_is_down_holds_nothing_up_and_is_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    drop(listener);
    let text_of = section(address, "allow = \"all\"");
    let rill = Rill::with_file(&text_of, &["--access=accounts"]).await;
    people::add(&rill, "root", Role::Admin).await;
    assert_eq!(rill.send(&Request::get("/signin")).await.status, 200);
    let begun = rill.send(&Request::get("/signin/openid")).await;
    assert_eq!(begun.status, 502);
    assert!(text(begun).await.contains("You could not be signed in."));
    let provider = OpenIdProvider::on(TcpListener::bind(address).await.expect("the same port"));
    let answer = Browser::new(1).sign_in(&rill, &provider).await;
    assert_eq!(answer.status, 303);
    // Another provider than the configured one.
    let wrong = OpenIdProvider::start().await;
    wrong
        .script()
        .metadata
        .insert("issuer".to_owned(), json!("https://evil.test"));
    let rill = rill_with(&wrong, "allow = \"all\"").await;
    assert_eq!(rill.send(&Request::get("/signin/openid")).await.status, 502);
    let failure = rill.state.access.openid().expect("configured").look().await;
    assert!(
        failure
            .expect_err("it is another")
            .to_string()
            .starts_with("wrong issuer")
    );
}

#[tokio::test]
async fn signing_in_leads_to_a_page_of_this_server_and_replaces_the_session() {
    let provider = OpenIdProvider::start().await;
    let rill = rill_with(&provider, "allow = \"all\"").await;
    for next in [
        "https%3A%2F%2Fevil.test",
        "%2F%2Fevil.test",
        "%2F%5Cevil.test",
        "%2Fapi%2Fexport",
    ] {
        let mut browser = Browser::new(1);
        let url = browser.begin(&rill, next).await;
        let back = browser.come_back(&rill, &provider.authorize(&url)).await;
        assert_eq!(
            (back.status, back.header("location")),
            (303, Some("/")),
            "{next}"
        );
    }
    // Nor may the cookie lead elsewhere.
    let mut browser = Browser::new(1);
    let url = browser.begin(&rill, "%2Faccount").await;
    browser.cookie = browser.cookie.replace("%2Faccount", "%2F%2Fevil%2Etest");
    let back = browser.come_back(&rill, &provider.authorize(&url)).await;
    assert_eq!(back.header("location"), Some("/"));
    let first = session_of(&back).expect("a session");
    // A session that the browser had before is over.
    let mut browser = Browser::new(1);
    let url = browser.begin(&rill, "%2F").await;
    browser.cookie = format!("{first}; {}", browser.cookie);
    let back = browser.come_back(&rill, &provider.authorize(&url)).await;
    let second = session_of(&back).expect("a session");
    let status = async |cookie: &str| {
        let request = Request::get("/account").header("cookie", cookie);
        rill.send(&request).await.status
    };
    assert_eq!((status(&first).await, status(&second).await), (303, 200));
}

#[tokio::test]
async fn signing_out_ends_the_session_with_the_provider_too() {
    let provider = OpenIdProvider::start().await;
    let rill = rill_with(&provider, "allow = \"all\"").await;
    let signed_in = Browser::new(1).sign_in(&rill, &provider).await;
    let cookie = session_of(&signed_in).expect("a session");
    let out = form(rill.address, "/signout", &[]).header("cookie", &cookie);
    let out = rill.send(&out).await;
    assert_eq!((out.status, session_of(&out)), (200, None));
    let page = text(out).await;
    let end = format!(
        "content=\"0; url=http://{}/end?id_token_hint=ey",
        provider.address
    );
    assert!(page.contains(&end), "{page}");
    let back = format!(
        "post_logout_redirect_uri=http%3A%2F%2F127.0.0.1%3A{}%2Fsignin",
        rill.address.port()
    );
    assert!(page.contains(&back), "{page}");
    let account = rill
        .send(&Request::get("/account").header("cookie", &cookie))
        .await;
    assert_eq!(account.status, 303);
}

#[tokio::test]
async fn failures_are_slowed_down_and_recorded() {
    let provider = OpenIdProvider::start().await;
    let rill = rill_with(&provider, "allow = \"all\"").await;
    let browser = Browser::new(1);
    for _ in 0..5 {
        assert_eq!(browser.come_back(&rill, "code=a&state=b").await.status, 403);
    }
    let slowed = browser.come_back(&rill, "code=a&state=b").await;
    assert_eq!(slowed.status, 429);
    let wait: u64 = slowed
        .header("retry-after")
        .expect("a time")
        .parse()
        .expect("seconds");
    assert!(
        Duration::from_secs(wait) <= Duration::from_secs(900),
        "{wait}"
    );
    let records = rill.state.store.audit_since(0, 100).await.expect("read");
    let failures = records
        .iter()
        .filter(|it| it.what == "failed to sign in by OpenID Connect");
    assert_eq!(failures.count(), 5);
}
