//! A server below a path of a host: pages, streams, forms and cookies, behind a proxy that removes the path and behind
//! one that does not.

use serde_json::json;
use server::access::{Actor, Role};

use crate::support::http::{Answer, Request};
use crate::support::people::PASSWORD;
use crate::support::rill::{Rill, chat, question};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::saying;
use crate::support::{conversations, log, soon};

const HOST: &str = "example.com";
const ORIGIN: &str = "https://example.com";

/// A proxy in front of a server: what it makes of the path of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Proxy {
    RemovesPath,
    KeepsPath,
}

struct Proxied {
    rill: Rill,
    proxy: Proxy,
    base: &'static str,
    _upstream: ScriptedUpstream,
}

impl Proxied {
    async fn start(proxy: Proxy, base: &'static str, arguments: &[&str]) -> Self {
        let upstream = ScriptedUpstream::playing(vec![saying("below")]).await;
        let public = format!("--public-url={ORIGIN}{base}/");
        let rill = Rill::with(&upstream, &[&[public.as_str()], arguments].concat()).await;
        Self {
            rill,
            proxy,
            base,
            _upstream: upstream,
        }
    }

    /// The target that the server gets when a browser requests this path below the public one.
    fn target(&self, path: &str) -> String {
        match self.proxy {
            Proxy::RemovesPath => path.to_owned(),
            Proxy::KeepsPath => format!("{}{path}", self.base),
        }
    }

    async fn send(&self, request: Request) -> Answer {
        soon(self.rill.send(&request.header("host", HOST))).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(&self.target(path))).await
    }

    fn post(&self, path: &str, body: &serde_json::Value) -> Request {
        Request::post(&self.target(path), body).header("origin", ORIGIN)
    }

    fn form(&self, path: &str, fields: &[(&str, &str)]) -> Request {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        Request::new("POST", &self.target(path))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", ORIGIN)
            .body(body)
    }
}

async fn text(answer: Answer) -> String {
    String::from_utf8(soon(answer.body()).await.expect("a body")).expect("text")
}

/// Fails if a document has a link, a form or a file that is not below the path.
fn assert_all_is_below(base: &str, html: &str) {
    let mut count = 0;
    for attribute in [
        " href=\"",
        " src=\"",
        " action=\"",
        "import(\"",
        "module_or_path: \"",
    ] {
        for value in html.split(attribute).skip(1) {
            let value = value.split('"').next().expect("a first part");
            count += 1;
            assert!(
                value.starts_with(&format!("{base}/")) || value.starts_with('#'),
                "{attribute}{value}"
            );
        }
    }
    assert!(count > 1, "{html}");
}

#[tokio::test]
async fn the_page_its_streams_and_its_api_are_below_the_path_behind_both_kinds_of_proxy() {
    for proxy in [Proxy::RemovesPath, Proxy::KeepsPath] {
        let proxied = Proxied::start(proxy, "/chat", &[]).await;
        let page = proxied.get("/").await;
        assert_eq!(page.status, 200, "{proxy:?}");
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(
            policy.contains("connect-src https://example.com/chat/;"),
            "{policy}"
        );
        assert!(
            !policy.contains("'self'") && policy.contains("base-uri 'none'"),
            "{policy}"
        );
        let html = text(page).await;
        assert!(
            html.contains("<html lang=\"en\" data-base=\"/chat\">"),
            "{html}"
        );
        assert_all_is_below("/chat", &html);

        let mut reply = proxied.post("/api/chat", &question());
        reply = reply.header("host", HOST);
        let reply = soon(proxied.rill.begin_with(&reply)).await;
        assert_eq!(
            soon(reply.finish()).await.transcript.text,
            "below",
            "{proxy:?}"
        );

        let conversation = conversations::id();
        let path = format!("/api/conversations/{conversation}/messages");
        let said = json!({ "request_id": conversations::id(), "content": log::PROMPT });
        let sent = proxied.send(proxied.post(&path, &said)).await;
        let status = sent.status;
        let sent = text(sent).await;
        assert_eq!(status, 200, "{sent}");
        let shown = proxied.get(&format!("/c/{conversation}?message=x")).await;
        assert_eq!(shown.status, 200, "{proxy:?}");
        let html = text(shown).await;
        assert!(
            html.contains(&format!("href=\"/chat/c/{conversation}\"")),
            "{html}"
        );
        assert_all_is_below("/chat", &html);
        let listed = proxied
            .send(proxied.post("/api/conversations/list", &json!({})))
            .await;
        assert_eq!(listed.status, 200, "{proxy:?}");

        assert_eq!(proxied.get("/v1/models").await.status, 200, "{proxy:?}");
        assert_eq!(proxied.get("/nothing").await.status, 404, "{proxy:?}");
        assert_eq!(proxied.get("/chatter").await.status, 404, "{proxy:?}");
    }
}

#[tokio::test]
async fn the_first_request_of_a_browser_tells_what_the_proxy_does() {
    let check = async |proxy: Proxy, base: &'static str, words: &str| {
        let proxied = Proxied::start(proxy, base, &[]).await;
        // A proxy asks for these by itself, and a person on this machine opens the server's own address.
        for path in ["/healthz", "/readyz"] {
            assert_eq!(proxied.send(Request::get(path)).await.status, 200);
        }
        for path in ["/", base] {
            soon(proxied.rill.send(&Request::get(path))).await;
        }
        proxied.get("/").await;
        let line = soon(log::line_with("path", base)).await;
        assert!(line["message"].contains(words), "{line:?}");
    };
    check(Proxy::RemovesPath, "/removed", "without the path").await;
    check(Proxy::KeepsPath, "/kept", "with the path").await;
}

#[tokio::test]
async fn the_path_without_its_slash_leads_to_the_page() {
    let proxied = Proxied::start(Proxy::KeepsPath, "/chat", &[]).await;
    let check = async |target: &str, status: u16, to: Option<&str>| {
        let answer = proxied.send(Request::get(target)).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (status, to),
            "{target}"
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    };
    check("/chat", 307, Some("/chat/")).await;
    check("/chat?x=1", 307, Some("/chat/?x=1")).await;
    check("/chat/", 200, None).await;
    check("/chat/chat/", 404, None).await;
    check("/chatter", 404, None).await;
}

#[tokio::test]
async fn the_own_address_of_the_server_serves_the_same() {
    let proxied = Proxied::start(Proxy::RemovesPath, "/chat", &[]).await;
    let own = format!("http://{}/chat/", proxied.rill.address);
    for path in ["/", "/chat/"] {
        let page = soon(proxied.rill.send(&Request::get(path))).await;
        assert_eq!(page.status, 200, "{path}");
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.contains(&format!("connect-src {own};")), "{policy}");
        assert_all_is_below("/chat", &text(page).await);
    }
    let asked = soon(proxied.rill.begin_with(&chat(&question()))).await;
    assert_eq!(soon(asked.finish()).await.transcript.text, "below");
}

#[tokio::test]
async fn people_sign_in_below_the_path_and_their_cookie_is_for_it_alone() {
    for proxy in [Proxy::RemovesPath, Proxy::KeepsPath] {
        let proxied = Proxied::start(proxy, "/tools/chat", &["--access=accounts"]).await;
        let home = proxied.get("/c/0190a0a0-0000-7000-8000-000000000000").await;
        assert_eq!(
            (home.status, home.header("location")),
            (
                303,
                Some("/tools/chat/signin?next=%2Fc%2F0190a0a0%2D0000%2D7000%2D8000%2D000000000000")
            )
        );
        let actor = Actor::command_line();
        let access = &proxied.rill.state.access;
        let invited = access.invite(&actor, "ann@example.com", Role::Admin);
        let path = format!("/invite/{}", invited.await.expect("a link"));
        let door = proxied.get(&path).await;
        assert_eq!(door.status, 200);
        assert_all_is_below("/tools/chat", &text(door).await);
        let joined = proxied.form(&path, &[("name", "Ann"), ("password", PASSWORD)]);
        let joined = proxied.send(joined).await;
        assert_eq!(
            (joined.status, joined.header("location")),
            (303, Some("/tools/chat/"))
        );
        let cookie = joined.header("set-cookie").expect("a cookie").to_owned();
        assert!(
            cookie.starts_with("__Secure-rill=") && cookie.contains("; Path=/tools/chat/; "),
            "{cookie}"
        );
        let cookie = cookie.split(';').next().expect("a first part");

        for page in ["/account", "/people", "/people/audit", "/"] {
            let request = Request::get(&proxied.target(page)).header("cookie", cookie);
            let answer = proxied.send(request).await;
            assert_eq!(answer.status, 200, "{page}");
            let policy = answer.header("content-security-policy").expect("a policy");
            assert!(!policy.contains("'self'"), "{page}: {policy}");
            assert_all_is_below("/tools/chat", &text(answer).await);
        }
        let invite = proxied
            .form(
                "/people",
                &[("email", "bob@example.com"), ("role", "member")],
            )
            .header("cookie", cookie);
        let shown = text(proxied.send(invite).await).await;
        assert!(
            shown.contains("https://example.com/tools/chat/invite/"),
            "{shown}"
        );
        let out = proxied.form("/signout", &[]).header("cookie", cookie);
        let out = proxied.send(out).await;
        assert_eq!(out.header("location"), Some("/tools/chat/signin"));
        assert!(
            out.header("set-cookie")
                .is_some_and(|cookie| cookie.contains("; Path=/tools/chat/; "))
        );
    }
}

#[tokio::test]
async fn at_the_root_of_a_host_nothing_names_a_path() {
    let upstream = ScriptedUpstream::playing(vec![saying("root")]).await;
    let rill = Rill::with(&upstream, &["--public-url=https://example.com"]).await;
    let page = soon(rill.send(&Request::get("/").header("host", HOST))).await;
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("connect-src 'self';"), "{policy}");
    assert!(!text(page).await.contains("data-base"));
}
