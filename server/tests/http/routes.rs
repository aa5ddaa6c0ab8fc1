//! Methods and paths: what no route takes is refused, and no file outside the site is served.

use crate::support::guarded::Guarded;
use crate::support::http::Request;
use crate::support::rill::question;
use crate::support::soon;

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
