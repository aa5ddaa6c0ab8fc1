//! The access layer: hosts, origins, other sites, and the headers that guard the page.

use serde_json::json;

use crate::support::guarded::{Guarded, assert_is_closed_to_other_sites};
use crate::support::http::{self, Request};
use crate::support::rill::{chat, question};
use crate::support::{log, soon};

#[tokio::test]
async fn only_loopback_hosts_are_served() {
    let guarded = Guarded::start().await;
    let port = guarded.rill.address.port();
    for host in [
        "evil.test",
        "evil.test:80",
        "127.0.0.1.evil.test",
        "localhost.evil.test",
        "localhost@evil.test",
        "192.168.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "2130706433",
        "[::ffff:8.8.8.8]",
        "",
    ] {
        let request = chat(&question()).header("host", host);
        guarded.refuses(&request, 421, "wrong_host").await;
        guarded
            .refuses(&Request::get("/").header("host", host), 421, "wrong_host")
            .await;
    }
    guarded
        .refuses(
            &Request::new("POST", "http://evil.test/api/chat"),
            421,
            "wrong_host",
        )
        .await;
    guarded.is_unharmed().await;
    for host in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]", "127.0.0.2"] {
        guarded
            .takes(&chat(&question()).header("host", &format!("{host}:{port}")))
            .await;
    }
}

#[tokio::test]
async fn a_request_with_two_hosts_or_none_is_refused() {
    let guarded = Guarded::start().await;
    for head in [
        "host: localhost\r\nhost: evil.test\r\n",
        "host: evil.test\r\nhost: localhost\r\n",
        "",
    ] {
        let bytes = format!("GET /healthz HTTP/1.1\r\n{head}\r\n");
        let answer = soon(http::send_bytes(guarded.rill.address, bytes.as_bytes()))
            .await
            .expect("an answer");
        assert!(
            matches!(answer.status, 400 | 421),
            "{head:?}: {}",
            answer.status
        );
    }
    guarded.is_unharmed().await;
}

#[tokio::test]
async fn only_the_own_origin_may_ask() {
    let guarded = Guarded::start().await;
    let port = guarded.rill.address.port();
    for origin in [
        "https://attacker.example",
        "null",
        "http://127.0.0.1:4000",
        "http://127.0.0.1",
        &format!("http://localhost:{port}"),
        &format!("https://127.0.0.1:{port}"),
        &format!("http://127.0.0.1:{port}.evil.test"),
        &format!("http://127.0.0.1:{port}@evil.test"),
        &format!("http://evil.test/http://127.0.0.1:{port}"),
    ] {
        guarded
            .refuses(
                &chat(&question()).header("origin", origin),
                403,
                "not_allowed",
            )
            .await;
        // The trick that needs no preflight: the body is JSON all the same.
        let simple = chat(&question())
            .header("origin", origin)
            .header("content-type", "text/plain");
        guarded.refuses(&simple, 403, "not_allowed").await;
        guarded
            .refuses(
                &Request::get("/api/chat").header("origin", origin),
                403,
                "not_allowed",
            )
            .await;
        guarded
            .refuses(
                &Request::get("/api/none").header("origin", origin),
                403,
                "not_allowed",
            )
            .await;
    }
    guarded.is_unharmed().await;
    guarded.takes(&chat(&question())).await;
    let local = guarded.own().header("host", &format!("localhost:{port}"));
    guarded
        .takes(&local.header("origin", &format!("http://localhost:{port}")))
        .await;
}

#[tokio::test]
async fn behind_a_proxy_its_address_may_ask_too() {
    let guarded = Guarded::with(&["--public-url", "https://chat.example.com"]).await;
    let proxied = chat(&question()).header("host", "chat.example.com");
    let other = proxied.clone().header("origin", "http://chat.example.com");
    guarded.refuses(&other, 403, "not_allowed").await;
    let elsewhere = proxied.clone().header("host", "chat.example.org");
    guarded.refuses(&elsewhere, 421, "wrong_host").await;
    guarded.is_unharmed().await;
    guarded
        .takes(&proxied.header("origin", "https://chat.example.com"))
        .await;
}

#[tokio::test]
async fn what_another_site_caused_is_refused_even_with_an_own_origin() {
    let guarded = Guarded::start().await;
    for site in ["cross-site", "same-site", "something-new"] {
        for request in [
            chat(&question()),
            guarded.own(),
            Request::get("/api/chat?q=hi"),
            Request::get("/api/none"),
        ] {
            guarded
                .refuses(&request.header("sec-fetch-site", site), 403, "not_allowed")
                .await;
        }
        let navigation = Request::get("/api/chat?q=hi")
            .header("sec-fetch-site", site)
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document");
        guarded.refuses(&navigation, 403, "not_allowed").await;
    }
    guarded.is_unharmed().await;
    for site in ["same-origin", "none"] {
        guarded
            .takes(&guarded.own().header("sec-fetch-site", site))
            .await;
    }
}

#[tokio::test]
async fn a_link_on_another_site_may_open_the_page_but_not_frame_it() {
    let guarded = Guarded::start().await;
    let link = Request::get("/")
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "navigate");
    let opened = soon(
        guarded
            .rill
            .send(&link.clone().header("sec-fetch-dest", "document")),
    )
    .await;
    assert_eq!(opened.status, 200);
    guarded
        .refuses(&link.header("sec-fetch-dest", "iframe"), 403, "not_allowed")
        .await;
    let script = Request::get("/")
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "no-cors");
    guarded
        .refuses(
            &script.header("sec-fetch-dest", "script"),
            403,
            "not_allowed",
        )
        .await;
}

#[tokio::test]
async fn a_preflight_opens_nothing() {
    let guarded = Guarded::start().await;
    let preflight = Request::new("OPTIONS", "/api/chat")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type")
        .header("access-control-request-private-network", "true");
    let foreign = preflight
        .clone()
        .header("origin", "https://attacker.example");
    guarded.refuses(&foreign, 403, "not_allowed").await;
    let own = preflight.header("origin", &format!("http://{}", guarded.rill.address));
    guarded.refuses(&own, 405, "method_not_allowed").await;
    guarded.is_unharmed().await;
}

#[tokio::test]
async fn the_checks_come_in_the_order_of_the_protocol() {
    let guarded = Guarded::start().await;
    let foreign = chat(&json!("no chat"))
        .header("origin", "https://attacker.example")
        .header("accept", "image/png");
    guarded
        .refuses(
            &foreign.clone().header("host", "evil.test"),
            421,
            "wrong_host",
        )
        .await;
    guarded.refuses(&foreign.clone(), 403, "not_allowed").await;
    guarded
        .refuses(&foreign.without("origin"), 406, "not_acceptable")
        .await;
    guarded.is_unharmed().await;
}

#[tokio::test]
async fn the_page_is_guarded_by_its_headers() {
    let guarded = Guarded::start().await;
    let mut nonces = Vec::new();
    for _ in 0..2 {
        let answer = soon(
            guarded
                .rill
                .send(&Request::get("/").header("sec-fetch-site", "none")),
        )
        .await;
        assert_eq!(answer.status, 200);
        assert_is_closed_to_other_sites(&answer);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let policy = answer
            .header("content-security-policy")
            .expect("a policy")
            .to_owned();
        for part in [
            "default-src 'none'",
            "'wasm-unsafe-eval'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{part} in {policy}");
        }
        for part in ["'unsafe-inline'", "'unsafe-eval'", "*", "http:", "https:"] {
            assert!(!policy.contains(part), "{part} in {policy}");
        }
        let (_, nonce) = policy.split_once("'nonce-").expect("a nonce");
        let (nonce, _) = nonce.split_once('\'').expect("the nonce's end");
        assert!(nonce.len() >= 16, "{nonce}");
        let page = String::from_utf8(soon(answer.body()).await.expect("a page")).expect("text");
        for script in page.split("<script").skip(1) {
            let tag = &script[..script.find('>').expect("the tag's end")];
            assert!(
                tag.contains(&format!("nonce=\"{nonce}\"")),
                "a script without the nonce: {tag}"
            );
        }
        assert!(!page.contains(log::KEY), "the key is in the page");
        nonces.push(nonce.to_owned());
    }
    assert_ne!(nonces[0], nonces[1], "a nonce is used once");
    guarded.is_unharmed().await;
}
