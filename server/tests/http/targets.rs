//! Request targets that no browser sends: each gets an answer below 500, and none makes the server panic (which
//! [`Rill`] checks when it is dropped).

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::{scripts, soon};

/// The status of the answer to a request of this method and target. None where the connection is closed
/// without one.
async fn status(rill: &Rill, method: &str, target: &[u8]) -> Option<u16> {
    let mut bytes = format!("{method} ").into_bytes();
    bytes.extend_from_slice(target);
    let host = rill.address;
    bytes.extend_from_slice(
        format!(" HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            .as_bytes(),
    );
    let mut stream = TcpStream::connect(rill.address)
        .await
        .expect("a connection");
    stream.write_all(&bytes).await.expect("written");
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.ok()?;
    let head = std::str::from_utf8(&head).expect("a status line");
    let status = head.strip_prefix("HTTP/1.1 ").expect("a status line");
    Some(status.parse().expect("a status"))
}

async fn before_nobody() -> (ScriptedUpstream, Rill) {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::before(&upstream).await;
    (upstream, rill)
}

const METHODS: [&str; 11] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "QUERY", "get",
];

#[tokio::test]
async fn a_target_without_a_path_is_refused_for_every_method() {
    let (upstream, rill) = before_nobody().await;
    let host = rill.address;
    for method in METHODS {
        for target in [host.to_string(), "localhost".to_owned(), "*".to_owned()] {
            let status = soon(status(&rill, method, target.as_bytes())).await;
            assert!(
                status.is_some_and(|status| (400..500).contains(&status)),
                "{method} {target}: {status:?}"
            );
        }
    }
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn an_absolute_target_is_its_path_and_a_tunnel_is_never_opened() {
    let (_upstream, rill) = before_nobody().await;
    let host = rill.address;
    let check = async |method: &str, target: String, expect: u16| {
        let status = soon(status(&rill, method, target.as_bytes())).await;
        assert_eq!(status, Some(expect), "{method} {target}");
    };
    check("GET", format!("http://{host}/healthz"), 200).await;
    check("GET", format!("http://{host}"), 200).await;
    check("GET", format!("http://{host}?q=1"), 200).await;
    check("GET", "http://evil.test/healthz".into(), 421).await;
    check("CONNECT", "evil.test:443".into(), 421).await;
    for target in [
        host.to_string(),
        format!("http://{host}/"),
        "/".into(),
        "/healthz".into(),
    ] {
        let status = soon(status(&rill, "CONNECT", target.as_bytes())).await;
        assert!(
            matches!(status, Some(400 | 405)),
            "CONNECT {target}: {status:?}"
        );
    }
}

#[tokio::test]
async fn a_name_that_no_file_can_have_is_not_found_for_every_method() {
    let (_upstream, rill) = before_nobody().await;
    let long = "a".repeat(300);
    for folder in ["/", "/pkg/", "/diagram/", "/c/"] {
        for name in ["%00", "a%00b", "\u{80}%00", &long, "%ff"] {
            for method in METHODS {
                let target = format!("{folder}{name}");
                let status = soon(status(&rill, method, target.as_bytes())).await;
                assert!(
                    status.is_some_and(|status| (400..500).contains(&status)),
                    "{method} {target}: {status:?}"
                );
            }
        }
    }
}

/// Targets with sequences that routers, decoders and renderers often handle badly.
fn target() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "/", "//", "/c/", "/api/chat", "/api/conversations/", "/api/generations/", "/v1/models/",
            "/pkg/", "/diagram/", "/image", "/healthz", "?", "?q=", "?src=", "?after=", "&", "=", "#",
            "*", ":", "@", ";", "%", "%2", "%zz", "%00", "%ff", "%2f", "%2e%2e", "..", ".", "\\",
            "http://", "HTTP://", "https:", "file:", "[::1]", "[", "]", "{", "}", "|", "^", "`", "\"",
            "<script>", "localhost", "127.0.0.1", ":80", ":99999", "\u{e9}", "\u{1f600}", "events",
            "messages", "export", "00000000-0000-0000-0000-000000000000",
        ]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(0x21..=0xff_u8, 0..12),
    ];
    prop::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat())
}

#[test]
fn no_target_of_any_method_is_a_failure_of_the_server() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (_upstream, rill) = runtime.block_on(before_nobody());
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 600,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let checked = runner.run(
        &(prop::sample::select(METHODS.to_vec()), target()),
        |(method, target)| {
            let status = runtime.block_on(soon(status(&rill, method, &target)));
            let shown = String::from_utf8_lossy(&target).into_owned();
            prop_assert!(
                status.is_none_or(|status| status < 500),
                "{method} {shown}: {status:?}"
            );
            crate::support::panics::assert_none();
            Ok(())
        },
    );
    let _in_runtime = runtime.enter();
    checked.expect("every target is answered");
    drop(rill);
}
