//! HTTPS by the server itself, with HTTP/1.1 and HTTP/2.

use std::path::{Path, PathBuf};
use std::time::Duration;

use app::protocol::saved::CHANGES_PATH;
use reqwest::{Certificate, Client, ClientBuilder, StatusCode, Version};
use server::http::tls::Tls;
use tempfile::TempDir;

use crate::support::http::Request;
use crate::support::people;
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::saying;

/// A new certificate for `localhost` in this folder. Returns it in PEM format.
fn certify(folder: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    let made = made.expect("a certificate");
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).expect("written");
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    made.cert.pem()
}

fn files(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("cert.pem"), folder.join("key.pem"))
}

async fn rill_with(folder: &Path, more: &[&str]) -> Rill {
    let upstream = ScriptedUpstream::playing(vec![saying("hello")]).await;
    let (cert, key) = files(folder);
    let flags = [
        format!("--tls-cert={}", cert.display()),
        format!("--tls-key={}", key.display()),
    ];
    let mut all: Vec<&str> = flags.iter().map(String::as_str).collect();
    all.extend(more);
    // The upstream is not asked after this.
    let rill = Rill::with(&upstream, &all).await;
    std::mem::forget(upstream);
    rill
}

/// A client that trusts this certificate alone.
fn client(rill: &Rill, pem: &str, change: impl Fn(ClientBuilder) -> ClientBuilder) -> Client {
    let builder = Client::builder()
        .tls_certs_only([Certificate::from_pem(pem.as_bytes()).expect("a certificate")])
        .resolve("localhost", rill.address)
        .no_proxy()
        .timeout(Duration::from_secs(60));
    change(builder).build().expect("a client")
}

fn url(rill: &Rill, path: &str) -> String {
    format!("https://localhost:{}{path}", rill.address.port())
}

#[tokio::test]
async fn both_protocols_are_served_and_stream() {
    let folder = TempDir::new().expect("a folder");
    let pem = certify(folder.path());
    let rill = rill_with(folder.path(), &[]).await;
    let http2 = client(&rill, &pem, |builder| builder);
    let http1 = client(&rill, &pem, ClientBuilder::http1_only);
    for (client, version) in [(http2, Version::HTTP_2), (http1, Version::HTTP_11)] {
        let alive = client
            .get(url(&rill, "/healthz"))
            .send()
            .await
            .expect("an answer");
        assert_eq!((alive.status(), alive.version()), (StatusCode::OK, version));
        // Browsers name the origin with the scheme.
        let ask = |origin: String| {
            client
                .post(url(&rill, "/api/chat"))
                .header("origin", origin)
                .header("content-type", "application/json")
                .body(r#"{"messages":[{"role":"user","content":"Hi"}]}"#)
                .send()
        };
        let reply = ask(url(&rill, "")).await.expect("an answer");
        assert_eq!(reply.status(), StatusCode::OK);
        let text = reply.text().await.expect("a whole answer");
        assert!(text.contains("event: done"), "{text}");
        let other = ask(url(&rill, "").replace("https:", "http:")).await;
        assert_eq!(other.expect("an answer").status(), StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn many_streams_of_one_connection_go_on_beside_each_other() {
    let folder = TempDir::new().expect("a folder");
    let pem = certify(folder.path());
    let rill = rill_with(folder.path(), &[]).await;
    let client = client(&rill, &pem, |builder| builder);
    let feeds = (0..20).map(|_| {
        let feed = client.get(url(&rill, CHANGES_PATH));
        feed.header("accept", "text/event-stream").send()
    });
    let feeds = futures::future::join_all(feeds).await;
    for feed in &feeds {
        let feed = feed.as_ref().expect("an answer");
        assert_eq!(
            (feed.status(), feed.version()),
            (StatusCode::OK, Version::HTTP_2)
        );
    }
    let alive = client
        .get(url(&rill, "/healthz"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(alive.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart_and_a_wrong_one_is_not() {
    let folder = TempDir::new().expect("a folder");
    let first = certify(folder.path());
    let rill = rill_with(folder.path(), &[]).await;
    let alive = async |pem: &str| {
        let client = client(&rill, pem, |builder| builder);
        client.get(url(&rill, "/healthz")).send().await.is_ok()
    };
    assert!(alive(&first).await);
    let open = client(&rill, &first, |builder| builder);
    let before = open.get(url(&rill, "/healthz")).send().await;
    assert_eq!(before.expect("an answer").status(), StatusCode::OK);
    let second = certify(folder.path());
    let tls = rill.tls.as_ref().expect("it serves HTTPS");
    tls.reload().expect("a good certificate");
    assert!(alive(&second).await && !alive(&first).await);
    // The connection of before is still good.
    let after = open.get(url(&rill, "/healthz")).send().await;
    assert_eq!(after.expect("an answer").status(), StatusCode::OK);
    std::fs::write(folder.path().join("cert.pem"), "none").expect("written");
    tls.reload().expect_err("no certificate");
    assert!(alive(&second).await);
}

#[test]
fn a_missing_or_wrong_file_is_named() {
    let folder = TempDir::new().expect("a folder");
    let check = |file: &str, words: &str| {
        let (cert, key) = files(folder.path());
        let error = Tls::load(cert, key).err().expect("it is wrong");
        let path = folder.path().join(file).display().to_string();
        assert!(error.starts_with(&path) && error.contains(words), "{error}");
    };
    check("cert.pem", "");
    certify(folder.path());
    let (cert, key) = files(folder.path());
    let other = TempDir::new().expect("a folder");
    certify(other.path());
    std::fs::copy(other.path().join("key.pem"), &key).expect("copied");
    check("key.pem", "not the key of");
    std::fs::remove_file(&key).expect("removed");
    check("key.pem", "");
    std::fs::write(&key, "-----BEGIN").expect("written");
    check("key.pem", "");
    certify(folder.path());
    std::fs::write(&cert, "").expect("written");
    check("cert.pem", "no certificate");
}

#[tokio::test]
async fn whoever_speaks_http_or_nothing_holds_nobody_up() {
    let folder = TempDir::new().expect("a folder");
    let pem = certify(folder.path());
    let rill = rill_with(folder.path(), &[]).await;
    let _silent = tokio::net::TcpStream::connect(rill.address)
        .await
        .expect("a connection");
    let plain = crate::support::http::send(rill.address, &Request::get("/")).await;
    assert!(plain.is_err(), "no answer without TLS");
    let client = client(&rill, &pem, |builder| builder);
    let alive = client
        .get(url(&rill, "/healthz"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(alive.status(), StatusCode::OK);
}

#[tokio::test]
async fn sessions_are_for_https_alone() {
    let folder = TempDir::new().expect("a folder");
    let pem = certify(folder.path());
    let rill = rill_with(folder.path(), &["--access=accounts"]).await;
    let actor = server::access::Actor::command_line();
    let role = server::access::Role::Admin;
    let invited = rill
        .state
        .access
        .invite(&actor, "ann@example.com", role)
        .await;
    let link = url(&rill, &format!("/invite/{}", invited.expect("a link")));
    let client = client(&rill, &pem, |builder| {
        builder.redirect(reqwest::redirect::Policy::none())
    });
    let joined = client
        .post(link)
        .header("origin", url(&rill, ""))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("password={}", people::PASSWORD.replace(' ', "+")))
        .send()
        .await
        .expect("an answer");
    assert_eq!(joined.status(), StatusCode::SEE_OTHER);
    let cookie = joined.headers()["set-cookie"].to_str().expect("text");
    assert!(
        cookie.starts_with("__Host-rill=") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().expect("a cookie");
    let account = client
        .get(url(&rill, "/account"))
        .header("cookie", cookie)
        .send();
    assert_eq!(account.await.expect("an answer").status(), StatusCode::OK);
}
