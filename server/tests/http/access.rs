//! What is refused before a stream begins: wrong hosts, other sites, bodies that are no chat request,
//! paths that do not exist. No refusal costs a request to the upstream, and the next good request
//! works as if nothing had been.

use serde_json::{Value, json};

use crate::support::http::{self, Answer, Request};
use crate::support::rill::{Rill, chat, question};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::{log, scripts, soon};

/// The server under test before an upstream that would answer anything.
struct Guarded {
    upstream: ScriptedUpstream,
    rill: Rill,
}

impl Guarded {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    async fn with(arguments: &[&str]) -> Self {
        let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
        let rill = Rill::with(&upstream, arguments).await;
        Self { upstream, rill }
    }

    /// A good question from the page itself.
    fn own(&self) -> Request {
        chat(&question()).header("origin", &format!("http://{}", self.rill.address))
    }

    /// The request is refused with this status and kind, in the form that the protocol describes.
    async fn refuses(&self, request: &Request, status: u16, kind: &str) {
        let answer = soon(self.rill.send(request)).await;
        let got = answer.status;
        assert_eq!(got, status, "{request:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{request:?}"
        );
        assert_is_closed_to_other_sites(&answer);
        let body = soon(answer.json()).await;
        assert_eq!(body["error"]["kind"], kind, "{request:?}");
        let message = body["error"]["message"].as_str().expect("a message");
        assert!(message.contains(' '), "no sentence: {message}");
        assert!(!message.contains(log::KEY), "{message}");
    }

    /// The request is answered with a stream.
    async fn takes(&self, request: &Request) {
        let answer = soon(self.rill.send(request)).await;
        assert_eq!(answer.status, 200, "{request:?}");
        assert_is_closed_to_other_sites(&answer);
        soon(answer.body()).await.expect("a whole stream");
    }

    /// Nothing so far has reached the upstream, and a good request does.
    async fn is_unharmed(&self) {
        assert_eq!(self.upstream.request_count(), 0, "a refusal cost a request");
        self.takes(&self.own()).await;
        assert_eq!(self.upstream.request_count(), 1);
    }
}

fn assert_is_closed_to_other_sites(answer: &Answer) {
    let opened = answer
        .headers
        .iter()
        .find(|(name, _)| name.starts_with("access-control-"));
    assert_eq!(opened, None);
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
}

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
async fn a_body_that_is_not_said_to_be_json_is_refused() {
    let guarded = Guarded::start().await;
    for media_type in [
        "text/plain",
        "text/plain; charset=application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
        "application/jsonp",
        "application/json-seq",
        "",
    ] {
        let request = guarded.own().header("content-type", media_type);
        guarded
            .refuses(&request, 415, "unsupported_media_type")
            .await;
    }
    guarded
        .refuses(
            &guarded.own().without("content-type"),
            415,
            "unsupported_media_type",
        )
        .await;
    guarded.is_unharmed().await;
    for media_type in ["application/json; charset=utf-8", "Application/JSON"] {
        guarded
            .takes(&guarded.own().header("content-type", media_type))
            .await;
    }
}

/// A good question, with spaces behind it up to this size.
fn question_of_size(bytes: usize) -> Vec<u8> {
    let mut body = question().to_string().into_bytes();
    body.resize(bytes, b' ');
    body
}

#[tokio::test]
async fn a_body_of_more_than_a_mebibyte_is_refused() {
    const LIMIT: usize = 1024 * 1024;
    let guarded = Guarded::start().await;
    for size in [LIMIT + 1, 10 * LIMIT] {
        let request = guarded.own().body(question_of_size(size));
        guarded.refuses(&request, 413, "too_large").await;
    }
    // Without a length in advance it is counted.
    let body = question_of_size(LIMIT + 1);
    let mut chunked = format!("{:x}\r\n", body.len()).into_bytes();
    chunked.extend_from_slice(&body);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let request = guarded
        .own()
        .header("transfer-encoding", "chunked")
        .body(chunked);
    guarded.refuses(&request, 413, "too_large").await;
    guarded.is_unharmed().await;
    guarded
        .takes(&guarded.own().body(question_of_size(LIMIT)))
        .await;
}

#[tokio::test]
async fn a_body_that_is_no_chat_request_is_refused() {
    let guarded = Guarded::start().await;
    let message = r#"{"role":"user","content":"hi"}"#;
    let with = |fields: &str| format!(r#"{{"messages":[{message}],{fields}}}"#);
    let messages = |messages: &str| format!(r#"{{"messages":{messages}}}"#);
    let bodies = [
        String::new(),
        " ".into(),
        "null".into(),
        "[]".into(),
        "{}".into(),
        "true".into(),
        "[".repeat(200_000),
        r#"{"messages":"#.repeat(50_000),
        messages("[]"),
        messages("null"),
        messages("{}"),
        messages(r#""hi""#),
        messages("[null]"),
        messages("[1]"),
        messages(r#"[{"role":"user"}]"#),
        messages(r#"[{"content":"hi"}]"#),
        messages(r#"[{"role":"user","content":1}]"#),
        messages(r#"[{"role":"user","content":null}]"#),
        messages(r#"[{"role":"user","content":["hi"]}]"#),
        messages(r#"[{"role":"tool","content":"hi"}]"#),
        messages(r#"[{"role":"user","content":"hi","name":"x"}]"#),
        messages(r#"[{"role":"user","content":"\ud83d"}]"#),
        messages(message),
        messages(&format!("[{message}")),
        format!(r#"{{"messages":[{message}]"#),
        format!(r#"{{"messages":[{message}]}} trailing"#),
        with(r#""temperature":"hot""#),
        with(r#""temperature":-0.1"#),
        with(r#""temperature":2.5"#),
        with(r#""temperature":1e999"#),
        with(r#""max_tokens":0"#),
        with(r#""max_tokens":-1"#),
        with(r#""max_tokens":1.5"#),
        with(r#""max_tokens":"10""#),
        with(r#""reasoning_effort":"max""#),
        with(r#""model":5"#),
        with(r#""messages":[]"#),
        with(r#""stream":false"#),
        with(r#""tools":[]"#),
        with(r#""user":"x""#),
        with(r#""arg":1"#),
    ];
    for body in bodies {
        guarded
            .refuses(&guarded.own().body(body), 400, "bad_request")
            .await;
    }
    guarded
        .refuses(
            &guarded.own().body(b"{\"messages\":\"\xff\"}"),
            400,
            "bad_request",
        )
        .await;
    guarded.is_unharmed().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_harms_nobody() {
    let guarded = Guarded::start().await;
    let body = question().to_string();
    let request = guarded
        .own()
        .header("content-length", &(body.len() + 10).to_string());
    let address = guarded.rill.address;
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("a connection");
    tokio::io::AsyncWriteExt::write_all(&mut stream, &request.to_bytes(address))
        .await
        .expect("written");
    drop(stream);
    let request = guarded.own().header("content-length", "many");
    let answer = soon(http::send(address, &request))
        .await
        .expect("an answer");
    assert_eq!(answer.status, 400);
    guarded.is_unharmed().await;
}

#[tokio::test]
async fn no_client_chooses_the_upstream_or_its_key_by_a_field() {
    let guarded = Guarded::start().await;
    for field in [
        "base_url",
        "api_base",
        "endpoint",
        "proxy",
        "api_key",
        "url",
        "headers",
        "extra_headers",
    ] {
        let mut body = question();
        body[field] = Value::from("http://evil.test");
        guarded.refuses(&chat(&body), 400, "bad_request").await;
    }
    guarded.is_unharmed().await;
}

#[tokio::test]
async fn no_client_chooses_the_upstream_or_its_key_by_a_header_or_the_query() {
    let guarded = Guarded::start().await;
    let mut request = Request::post(
        "/api/chat?endpoint=http://evil.test&api_key=evil&model=evil",
        &question(),
    );
    for name in [
        "x-base-url",
        "x-portkey-custom-host",
        "x-lobe-chat-auth",
        "x-forwarded-host",
        "x-forwarded-user",
        "remote-user",
        "x-api-key",
        "api-key",
        "openai-organization",
        "openai-project",
        "cookie",
        "forwarded",
    ] {
        request = request.header(name, "evil");
    }
    guarded
        .takes(&request.header("authorization", "Bearer evil"))
        .await;
    let exchange = &guarded.upstream.exchanges()[0];
    assert_eq!(exchange.request_line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(
        exchange.header("authorization"),
        Some(format!("Bearer {}", log::KEY).as_str())
    );
    assert!(!format!("{exchange:?}").contains("evil"), "{exchange:?}");
}

#[tokio::test]
async fn a_form_that_there_is_none_of_is_refused() {
    let guarded = Guarded::start().await;
    for accept in [
        "text/html",
        "image/*",
        "application/xml, text/html",
        "text/event-stream;q=0",
        "text/event-streams",
        "*/*;q=0",
    ] {
        guarded
            .refuses(
                &guarded.own().header("accept", accept),
                406,
                "not_acceptable",
            )
            .await;
    }
    guarded.is_unharmed().await;
    for accept in [
        "text/event-stream",
        "*/*",
        "text/*",
        "TEXT/EVENT-STREAM",
        "text/html, text/event-stream;q=0.5",
        "application/json;q=0.9,*/*;q=0.1",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ] {
        guarded.takes(&guarded.own().header("accept", accept)).await;
    }
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
async fn the_chat_takes_get_and_post_only() {
    let guarded = Guarded::start().await;
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        guarded
            .refuses(
                &Request::new(method, "/api/chat"),
                405,
                "method_not_allowed",
            )
            .await;
    }
    let answer = soon(guarded.rill.send(&Request::new("PUT", "/api/chat"))).await;
    assert_eq!(answer.header("allow"), Some("POST,GET,HEAD"));
    guarded
        .refuses(&Request::get("/api/chat"), 406, "not_acceptable")
        .await;
    let answer = soon(guarded.rill.send(&Request::new("CONNECT", "evil.test:80"))).await;
    assert!((400..500).contains(&answer.status), "{}", answer.status);
    guarded.is_unharmed().await;
}

#[tokio::test]
async fn an_unknown_path_for_programs_is_answered_with_json() {
    let guarded = Guarded::start().await;
    for path in [
        "/api",
        "/api/",
        "/api/none",
        "/api/chat/",
        "/api/chat/x",
        "/api/chat;x=1",
        "/api/cors/http:%2f%2fevil.test",
        "/api/proxy",
        "/api/proxy?url=http://evil.test",
        "/api/cors/data:text%2fhtml;base64,eA==",
        "/api/webdav/..%2f",
        "/v1/none",
    ] {
        guarded.refuses(&Request::get(path), 404, "not_found").await;
        guarded
            .refuses(&Request::post(path, &question()), 404, "not_found")
            .await;
    }
    guarded.is_unharmed().await;
}

#[tokio::test]
async fn another_spelling_of_the_chat_is_not_the_chat() {
    let guarded = Guarded::start().await;
    for path in [
        "/API/CHAT",
        "/api//chat",
        "//api/chat",
        "/api/./chat",
        "/api/x/../chat",
        "/api%2fchat",
        "/%61pi/chat",
    ] {
        let answer = soon(guarded.rill.send(&Request::post(path, &question()))).await;
        assert!(
            matches!(answer.status, 404 | 405),
            "{path}: {}",
            answer.status
        );
    }
    guarded.is_unharmed().await;
}

#[tokio::test]
async fn no_file_outside_the_site_is_served() {
    let guarded = Guarded::start().await;
    for path in [
        "/.env",
        "/.git/config",
        "/Cargo.toml",
        "/target/",
        "/target/debug/rill",
        "/proc/self/environ",
        "/server/Cargo.toml",
        "/../Cargo.toml",
        "/../../Cargo.toml",
        "/pkg/../../../Cargo.toml",
        "/pkg/../../etc/passwd",
        "/pkg/../../../../../../../../etc/passwd",
        "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/pkg/%2e%2e%2f%2e%2e%2fCargo.toml",
        "/pkg/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/..%5c..%5cCargo.toml",
        "/pkg/..\\..\\Cargo.toml",
        "/%00",
        "/pkg/%00",
        "/pkg/rill.js%00.txt",
        "//etc/passwd",
        "/pkg//etc/passwd",
        "/pkg/C:%5cwindows",
        "/pkg/C:/windows/win.ini",
        "/pkg/",
        "/webapi/proxy",
        "/metrics",
        "/debug/pprof/",
    ] {
        let answer = soon(guarded.rill.send(&Request::get(path))).await;
        assert!(
            matches!(answer.status, 400 | 404),
            "{path}: {}",
            answer.status
        );
        let body =
            String::from_utf8_lossy(&soon(answer.body()).await.expect("a body")).into_owned();
        for secret in ["root:", "[workspace", "[package", "PATH="] {
            assert!(!body.contains(secret), "{path} gave {secret}");
        }
    }
    guarded.is_unharmed().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_or_is_no_text_is_refused() {
    let guarded = Guarded::start().await;
    let page = Request::get("/healthz");
    let many = (0..200).fold(page.clone(), |request, number| {
        request.header(&format!("x-{number}"), "a")
    });
    let cases = [
        ("200 headers", many),
        (
            "a header of 128 KiB",
            page.clone().header("x-long", &"a".repeat(128 * 1024)),
        ),
        (
            "a cookie of 1 MiB",
            page.clone().header("cookie", &"a".repeat(1024 * 1024)),
        ),
        (
            "a target of 100 KiB",
            Request::get(&format!("/{}", "a".repeat(100 * 1024))),
        ),
        ("a space before the colon", page.clone().header("x-a ", "b")),
        (
            "an unknown transfer encoding",
            chat(&question()).header("transfer-encoding", "xchunked"),
        ),
        (
            "two transfer encodings",
            chat(&question()).header("transfer-encoding", "chunked, identity"),
        ),
    ];
    for (what, request) in cases {
        let answer = soon(guarded.rill.send(&request)).await;
        assert!(
            matches!(answer.status, 400 | 414 | 431 | 501),
            "{what}: {}",
            answer.status
        );
        soon(answer.until_closed()).await;
    }
    guarded.is_unharmed().await;
}

#[tokio::test]
async fn bytes_that_are_no_text_in_a_header_harm_nobody() {
    let guarded = Guarded::start().await;
    let mut bytes = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-request-id: ".to_vec();
    bytes.extend_from_slice(b"\xc3\xa9\xff\r\n\r\n");
    let answer = soon(http::send_bytes(guarded.rill.address, &bytes))
        .await
        .expect("an answer");
    assert!(matches!(answer.status, 200 | 400), "{}", answer.status);
    for name in ["accept", "origin", "sec-fetch-site", "content-type"] {
        let head =
            format!("POST /api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n{name}: ");
        let bytes = [head.as_bytes(), b"\xff\xfe\r\n\r\n"].concat();
        let answer = soon(http::send_bytes(guarded.rill.address, &bytes))
            .await
            .expect("an answer");
        assert!(
            (400..500).contains(&answer.status),
            "{name}: {}",
            answer.status
        );
    }
    guarded.is_unharmed().await;
}

#[tokio::test]
async fn a_second_request_hidden_in_a_body_is_not_answered() {
    let guarded = Guarded::start().await;
    let hidden = format!(
        "0\r\n\r\nPOST /api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{}",
        question().to_string().len(),
        question()
    );
    let head = "POST /api/none HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let length = hidden.len();
    for framing in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"),
        format!("content-length: {length}\r\ncontent-length: 0\r\n"),
        format!("content-length: 0\r\ncontent-length: {length}\r\n"),
    ] {
        let bytes = format!("{head}{framing}\r\n{hidden}");
        let answer = soon(http::send_bytes(guarded.rill.address, bytes.as_bytes()))
            .await
            .expect("an answer");
        assert!(
            (400..500).contains(&answer.status),
            "{framing}: {}",
            answer.status
        );
        soon(answer.until_closed()).await;
    }
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
