//! The commands for accounts, by the real program, while a server runs and before one has.

use crate::support::http::{self, Request};
use crate::support::people::{PASSWORD, cookie_of, form};
use crate::support::program::Program;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::saying;

/// Runs a command over the data in this folder. Returns its output.
async fn run(data: &std::path::Path, arguments: &[&str]) -> String {
    let folder = data.to_str().expect("text");
    let all = [arguments, &["--data-dir", folder]].concat();
    let ended = Program::run(&all, &[]).await;
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.log);
    ended.output
}

async fn fails(data: &std::path::Path, arguments: &[&str], words: &str) {
    let folder = data.to_str().expect("text");
    let all = [arguments, &["--data-dir", folder]].concat();
    let ended = Program::run(&all, &[]).await;
    assert_eq!(ended.code, Some(1), "{arguments:?}: {}", ended.output);
    assert!(ended.log.contains(words), "{}", ended.log);
}

/// The path of the link in an output.
fn path_in(output: &str) -> String {
    let start = output.find("/invite/").expect("a link");
    output[start..].lines().next().expect("a line").to_owned()
}

#[tokio::test]
async fn a_server_is_set_up_and_kept_by_commands() {
    let upstream = ScriptedUpstream::playing(vec![saying("hello")]).await;
    let mut program = Program::before(&upstream, &["--access=accounts"]).await;
    program.logs("rill user invite EMAIL --admin").await;
    let (data, address) = (program.data.clone(), program.address);
    let data = data.path();
    let invited = run(data, &["user", "invite", "Ann@example.com", "--admin"]).await;
    let fields = [("password", PASSWORD), ("name", "Ann")];
    let joined = http::send(address, &form(address, &path_in(&invited), &fields))
        .await
        .expect("an answer");
    assert_eq!(joined.status, 303);
    let cookie = cookie_of(&joined);
    let status = async |cookie: &str| {
        let home = Request::get("/account").header("cookie", cookie);
        http::send(address, &home).await.expect("an answer").status
    };
    assert_eq!(status(&cookie).await, 200);

    let list = run(data, &["user", "list"]).await;
    assert!(list.contains("ann@example.com  admin"), "{list}");
    let key = run(
        data,
        &[
            "key",
            "create",
            "ann@example.com",
            "laptop",
            "--scope",
            "models",
        ],
    )
    .await;
    let key = key.trim();
    assert!(key.starts_with("rill_"), "{key}");
    let models = async |key: &str| {
        let request = Request::get("/api/models").header("authorization", &format!("Bearer {key}"));
        http::send(address, &request)
            .await
            .expect("an answer")
            .status
    };
    assert_eq!(models(key).await, 200);
    let keys = run(data, &["key", "list", "ann@example.com"]).await;
    assert!(
        keys.contains("laptop  models") && !keys.contains(key),
        "{keys}"
    );
    let id = keys.split_whitespace().next().expect("an id");
    run(data, &["key", "revoke", "ann@example.com", id]).await;
    soon_is(async || models(key).await, 401).await;

    let sessions = run(data, &["session", "list", "ann@example.com"]).await;
    assert_eq!(sessions.lines().count(), 1, "{sessions}");
    run(data, &["session", "revoke", "ann@example.com"]).await;
    soon_is(async || status(&cookie).await, 303).await;

    // A second person can be disabled, the only admin cannot.
    let invited = run(data, &["user", "invite", "bob@example.com"]).await;
    let joined = form(address, &path_in(&invited), &fields);
    let bob = cookie_of(&http::send(address, &joined).await.expect("an answer"));
    fails(data, &["user", "disable", "ann@example.com"], "only admin").await;
    fails(data, &["user", "delete", "ann@example.com"], "only admin").await;
    run(data, &["user", "disable", "bob@example.com"]).await;
    soon_is(async || status(&bob).await, 303).await;
    run(data, &["user", "enable", "bob@example.com"]).await;
    let reset = run(data, &["user", "reset", "bob@example.com"]).await;
    let answer = http::send(address, &form(address, &path_in(&reset), &fields))
        .await
        .expect("an answer");
    assert_eq!(status(&cookie_of(&answer)).await, 200);
    run(data, &["user", "role", "bob@example.com", "admin"]).await;
    run(
        data,
        &[
            "user",
            "delete",
            "bob@example.com",
            "--export",
            data.join("bob.json").to_str().expect("text"),
        ],
    )
    .await;
    let exported = std::fs::read_to_string(data.join("bob.json")).expect("a file");
    assert!(exported.starts_with("{\"format\":\"rill\""), "{exported}");
    fails(data, &["user", "reset", "bob@example.com"], "no person").await;
    fails(data, &["user", "invite", "nobody"], "not an email").await;

    let audit = run(data, &["audit", "--since", "1h"]).await;
    for line in [
        "command line  invited  ann@example.com",
        "ann@example.com  joined",
        "deleted  bob@example.com",
    ] {
        assert!(audit.contains(line), "{line}: {audit}");
    }
    assert!(
        !audit.contains(PASSWORD) && !audit.contains("rill_"),
        "{audit}"
    );
    let checked = run(data, &["check"]).await;
    assert!(checked.contains("intact"), "{checked}");
    program.terminate();
    let ended = program.end().await;
    assert!(
        !ended.log.contains(PASSWORD) && !ended.log.contains("/invite/"),
        "{}",
        ended.log
    );
}

/// Waits until a status is this one. A server reads several times a second what commands have changed.
async fn soon_is(status: impl AsyncFn() -> u16, expect: u16) {
    crate::support::within_a_second(async {
        while status().await != expect {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_kept_without_accounts_is_adopted_once_and_copied_with_the_people() {
    let upstream = ScriptedUpstream::playing(vec![saying("hello")]).await;
    let program = Program::before(&upstream, &[]).await;
    let (data, address) = (program.data.clone(), program.address);
    let conversation = crate::support::conversations::id();
    let message = crate::support::conversations::message(&conversation, &serde_json::json!({}));
    let answer = http::send(address, &message).await.expect("an answer");
    answer.body().await.expect("a reply");
    program.terminate();
    program.end().await;
    let folder = data.path();
    // Before any server with accounts has run.
    for email in ["ann@example.com", "bob@example.com"] {
        run(folder, &["user", "invite", email, "--admin"]).await;
    }
    fails(folder, &["user", "adopt", "ann@example.com"], "no person").await;
    let links: Vec<String> = {
        let mut links = Vec::new();
        for email in ["ann@example.com", "bob@example.com"] {
            links.push(path_in(
                &run(folder, &["user", "invite", email, "--admin"]).await,
            ));
        }
        links
    };
    let program = Program::over(data.clone(), &upstream, &["--access=accounts"]).await;
    let address = program.address;
    let mut cookies = Vec::new();
    for link in &links {
        let joined = form(address, link, &[("password", PASSWORD)]);
        cookies.push(cookie_of(
            &http::send(address, &joined).await.expect("an answer"),
        ));
    }
    let status = async |cookie: &str| {
        let page = Request::get(&format!("/c/{conversation}")).header("cookie", cookie);
        http::send(address, &page).await.expect("an answer").status
    };
    assert_eq!(
        (status(&cookies[0]).await, status(&cookies[1]).await),
        (404, 404)
    );
    run(folder, &["user", "adopt", "ann@example.com"]).await;
    soon_is(async || status(&cookies[0]).await, 200).await;
    let fields = [("email", "ann@example.com"), ("password", PASSWORD)];
    let again = http::send(address, &form(address, "/signin", &fields))
        .await
        .expect("an answer");
    assert_eq!(
        (status(&cookie_of(&again)).await, status(&cookies[1]).await),
        (200, 404)
    );
    fails(
        folder,
        &["user", "adopt", "bob@example.com"],
        "Another person",
    )
    .await;
    let copy = folder.join("copy");
    std::fs::create_dir(&copy).expect("a folder");
    run(
        folder,
        &["backup", copy.join("rill.db").to_str().expect("text")],
    )
    .await;
    let list = run(&copy, &["user", "list"]).await;
    assert!(
        list.contains("ann@example.com") && list.contains("bob@example.com"),
        "{list}"
    );
    program.terminate();
    program.end().await;
}
