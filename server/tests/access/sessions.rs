//! What ends with a session or a key, how soon, and what goes on.

use app::protocol::saved::{CHANGES_PATH, events_path};
use serde_json::json;
use server::access::{Actor, Role, Scope};
use server::store::now;
use server::store::people::PeopleChange;

use crate::support::conversations::{self, message};
use crate::support::http::{Answer, Request};
use crate::support::people::{self, PASSWORD, TestPerson, cookie_of, form, join};
use crate::support::rill::{Rill, chat, question};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{delta, saying, stream};
use crate::support::{soon, within_a_second};

async fn accounts(upstream: &ScriptedUpstream) -> Rill {
    Rill::with(upstream, &["--access=accounts"]).await
}

/// Reads to the end of an answer. Whether it was cut off.
async fn is_cut(mut answer: Answer) -> bool {
    loop {
        match answer.next_frame().await {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

/// The ways by which a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Revoked,
    RevokedByAnother,
    Disabled,
    Deleted,
    AnotherPassword,
    AnotherRole,
}

async fn end(rill: &Rill, person: &TestPerson, how: End) {
    let id = person.id.clone();
    let all = PeopleChange::EndSessions {
        person: id.clone(),
        except: None,
    };
    let change = match how {
        End::Revoked | End::RevokedByAnother => all,
        End::Disabled => PeopleChange::SetDisabled {
            person: id,
            disabled: true,
        },
        End::Deleted => PeopleChange::Delete { person: id },
        End::AnotherPassword => PeopleChange::SetPassword {
            person: id,
            password: "a hash".to_owned(),
        },
        End::AnotherRole => PeopleChange::SetRole {
            person: id,
            role: "admin".to_owned(),
        },
    };
    if how != End::RevokedByAnother {
        let (access, actor) = (&rill.state.access, Actor::command_line());
        let changed = access.change("ended", &actor, "test", change).await;
        return changed.expect("it is right");
    }
    // As a command does, which knows nothing of the server.
    let settings = rill.state.config.saving.store();
    let store = server::store::open_beside(&settings)
        .await
        .expect("a store");
    let record = server::store::people::AuditRecord {
        at: now(),
        what: "revoked".to_owned(),
        actor: "command line".to_owned(),
        subject: "test".to_owned(),
        address: String::new(),
    };
    store
        .change_people(&change, &record)
        .await
        .expect("it is right");
}

#[tokio::test]
async fn a_session_that_ends_ends_its_streams_within_a_second_and_saved_replies_are_finished() {
    let all = [
        End::Revoked,
        End::RevokedByAnother,
        End::Disabled,
        End::AnotherPassword,
        End::AnotherRole,
        End::Deleted,
    ];
    futures::future::join_all(all.map(check_end)).await;
}

async fn check_end(how: End) {
    let pause = std::time::Duration::from_secs(2);
    let slow = stream()
        .then(&delta("begun"))
        .after(pause, &delta(" and finished"))
        .then("[DONE]");
    let upstream = ScriptedUpstream::playing(vec![slow]).await;
    let rill = accounts(&upstream).await;
    people::add(&rill, "root", Role::Admin).await;
    let ann = people::add(&rill, "ann", Role::Member).await;
    let cookie = people::session(&rill, &ann).await;
    let bob = people::add(&rill, "bob", Role::Member).await;
    let other = people::session(&rill, &bob).await;
    let listen = |cookie: &str| Request::get(CHANGES_PATH).header("cookie", cookie);
    let changes = rill.send(&listen(&cookie)).await;
    let mut of_another = rill.send(&listen(&other)).await;
    let conversation = conversations::id();
    let mut reply = rill
        .send(&message(&conversation, &json!({})).header("cookie", &cookie))
        .await;
    assert_eq!(
        (changes.status, of_another.status, reply.status),
        (200, 200, 200)
    );
    soon(reply.next_frame())
        .await
        .expect("no cut")
        .expect("it begins");
    end(&rill, &ann, how).await;
    assert!(within_a_second(is_cut(changes)).await, "{how:?}");
    assert!(within_a_second(is_cut(reply)).await, "{how:?}");
    let again = rill.send(&listen(&cookie)).await;
    assert_eq!(again.status, 401, "{how:?}");
    // The reply was made to its end. The stream of another person goes on.
    if how != End::Deleted {
        let head = soon(async {
            loop {
                let whole = rill
                    .state
                    .store
                    .get(&ann.id, &conversation)
                    .await
                    .expect("there");
                let last = whole.messages.last().expect("a reply").clone();
                if last.text == "begun and finished" {
                    return last;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        })
        .await;
        assert_eq!(head.text, "begun and finished", "{how:?}");
    }
    let go_on = tokio::time::timeout(std::time::Duration::from_millis(50), async {
        while let Ok(Some(_)) = of_another.next_frame().await {}
    });
    assert!(
        go_on.await.is_err(),
        "{how:?}: another person's stream has ended"
    );
}

#[tokio::test]
async fn a_revoked_key_ends_its_reply_and_what_the_provider_makes_for_it() {
    let upstream = ScriptedUpstream::pausing_after_first_chunk(vec![saying("hello")]).await;
    let rill = accounts(&upstream).await;
    let ann = people::add(&rill, "ann", Role::Member).await;
    let cookie = people::session(&rill, &ann).await;
    let key = people::key(&rill, &cookie, &[Scope::Chat]).await;
    for path in ["/api/chat", "/v1/chat/completions"] {
        let key = people::key(&rill, &cookie, &[Scope::Chat]).await;
        let mut body = question();
        body["model"] = json!("m");
        body["stream"] = json!(path.starts_with("/v1"));
        if path == "/api/chat" {
            body = question();
        }
        let request = Request::post(path, &body).header("authorization", &key);
        let answer = rill.send(&request).await;
        assert_eq!(answer.status, 200, "{path}");
        upstream.has_begun().await;
        let keys = rill.state.store.keys_of(&ann.id).await.expect("keys");
        let id = keys[0].id.clone();
        people::change(
            &rill,
            PeopleChange::RevokeKey {
                person: ann.id.clone(),
                id,
            },
        )
        .await;
        assert!(within_a_second(is_cut(answer)).await, "{path}");
        within_a_second(upstream.is_free()).await;
        assert_eq!(rill.send(&request).await.status, 401, "{path}");
    }
    // Another key of the same person is still good.
    let request = chat(&question()).header("authorization", &key);
    assert_eq!(rill.send(&request).await.status, 200);
}

#[tokio::test]
async fn a_key_is_taken_in_its_header_only() {
    let upstream = ScriptedUpstream::playing(vec![saying("hello")]).await;
    let rill = accounts(&upstream).await;
    let ann = people::add(&rill, "ann", Role::Admin).await;
    let cookie = people::session(&rill, &ann).await;
    let key = people::key(&rill, &cookie, &Scope::ALL).await;
    let bare = key.strip_prefix("Bearer ").expect("a key").to_owned();
    let ask = chat(&question());
    for value in [key.clone(), format!("bearer  {bare}")] {
        let asked = ask.clone().header("authorization", &value);
        rill.begin_with(&asked).await.finish().await;
    }
    let before = upstream.request_count();
    for (name, value) in [
        ("authorization", format!("Basic {bare}")),
        ("authorization", bare.clone()),
        ("authorization", format!("Bearer {}", bare.to_uppercase())),
        ("authorization", "Bearer x".to_owned()),
        ("authorization", format!("Bearer rill_{}", "0".repeat(64))),
        ("x-api-key", bare.clone()),
        (
            "cookie",
            format!("rill={}", bare.trim_start_matches("rill_")),
        ),
        ("x-forwarded-user", "ann@example.com".to_owned()),
        ("remote-user", "ann@example.com".to_owned()),
        ("x-user", "ann@example.com".to_owned()),
    ] {
        let status = rill.send(&ask.clone().header(name, &value)).await.status;
        assert_eq!(status, 401, "{name}");
    }
    let refused = rill.send(&ask).await;
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    for name in ["key", "api_key", "token", "access_token", "authorization"] {
        let path = format!("/api/chat?q=hi&{name}={bare}");
        let request = Request::get(&path).header("accept", "text/event-stream");
        assert_eq!(rill.send(&request).await.status, 401, "{name}");
    }
    assert_eq!(upstream.request_count(), before);
}

#[tokio::test]
async fn a_changed_password_signs_everything_else_out_and_begins_a_new_session_here() {
    let upstream = ScriptedUpstream::playing(vec![saying("hello")]).await;
    let rill = accounts(&upstream).await;
    let here = join(&rill, "ann@example.com", Role::Member).await;
    let fields = [("email", "ann@example.com"), ("password", PASSWORD)];
    let there = cookie_of(&rill.send(&form(rill.address, "/signin", &fields)).await);
    let change = |present: &str, new: &str| {
        let fields = [("do", "password"), ("present", present), ("new", new)];
        form(rill.address, "/account", &fields).header("cookie", &here)
    };
    assert_eq!(
        rill.send(&change("not the password", "another good one"))
            .await
            .status,
        400
    );
    assert_eq!(rill.send(&change(PASSWORD, "too short")).await.status, 400);
    let changed = rill.send(&change(PASSWORD, "another good one")).await;
    assert_eq!(changed.status, 303);
    let new = cookie_of(&changed);
    let home = |cookie: &str| Request::get("/").header("cookie", cookie);
    assert_eq!(rill.send(&home(&here)).await.status, 303);
    assert_eq!(rill.send(&home(&there)).await.status, 303);
    assert_eq!(rill.send(&home(&new)).await.status, 200);
    assert_eq!(
        rill.send(&form(rill.address, "/signin", &fields))
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_in_any_case_some_day() {
    let text = "[access]\nmode = \"accounts\"\nsession_idle = \"600ms\"\nsession_max = \"30d\"";
    let rill = Rill::with_file(text, &[]).await;
    let ann = people::add(&rill, "ann", Role::Member).await;
    let home = |cookie: &str| Request::get("/account").header("cookie", cookie);
    let idle = people::session(&rill, &ann).await;
    let short = people::session_until(&rill, &ann, now() + 300).await;
    for cookie in [&idle, &short] {
        assert_eq!(rill.send(&home(cookie)).await.status, 200);
    }
    let listen = Request::get(CHANGES_PATH).header("cookie", &short);
    let listening = rill.send(&listen).await;
    assert!(soon(is_cut(listening)).await, "at its end");
    assert_eq!(rill.send(&home(&short)).await.status, 303);
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert_eq!(rill.send(&home(&idle)).await.status, 303);
}

#[tokio::test]
async fn two_people_see_their_own_conversations_only() {
    let upstream = ScriptedUpstream::playing(vec![saying("hello")]).await;
    let rill = accounts(&upstream).await;
    let ann = people::add(&rill, "ann", Role::Member).await;
    let bob = people::add(&rill, "bob", Role::Admin).await;
    let (ann, bob) = (
        people::session(&rill, &ann).await,
        people::session(&rill, &bob).await,
    );
    let mut changes = rill
        .send(&Request::get(CHANGES_PATH).header("cookie", &bob))
        .await;
    let conversation = conversations::id();
    let told = message(&conversation, &json!({ "content": "a zebra" })).header("cookie", &ann);
    let reply = rill.begin_with(&told).await.finish().await;
    let generation = reply.generation().to_owned();
    let export = |cookie: &str| Request::get("/api/export").header("cookie", cookie);
    let own = rill.send(&export(&ann)).await.json().await;
    assert_eq!(own["conversations"][0]["id"], json!(conversation));
    let others = rill.send(&export(&bob)).await.json().await;
    assert_eq!(others["conversations"], json!([]));
    let function = |name: &str, arguments: &serde_json::Value, cookie: &str| {
        Request::post(&format!("/api/conversations/{name}"), arguments).header("cookie", cookie)
    };
    let list = rill
        .send(&function("list", &json!({}), &bob))
        .await
        .json()
        .await;
    assert_eq!(list["conversations"], json!([]));
    let hits = rill
        .send(&function("search", &json!({ "query": "zebra" }), &bob))
        .await
        .json()
        .await;
    assert_eq!(hits["hits"], json!([]));

    // What is another person's is answered as what does not exist.
    let whole = rill
        .send(&function("get", &json!({ "id": conversation }), &ann))
        .await
        .json()
        .await;
    let leaf = whole["messages"][1]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let none = conversations::id();
    let requests = |id: &str, generation: &str, leaf: &str| {
        let message = |fields: &serde_json::Value| message(id, fields).header("cookie", &bob);
        let mut all = vec![
            function("get", &json!({ "id": id }), &bob),
            function("path", &json!({ "id": id }), &bob),
            function("rename", &json!({ "id": id, "title": "mine" }), &bob),
            function("pin", &json!({ "id": id, "pinned": true }), &bob),
            function("delete", &json!({ "id": id }), &bob),
            function("restore", &json!({ "id": id }), &bob),
            function("show", &json!({ "id": id, "leaf": leaf }), &bob),
            function("read", &json!({ "id": id }), &bob),
            message(&json!({ "content": null, "regenerate": leaf })),
            message(&json!({ "content": null, "continue": leaf })),
            message(&json!({ "parent": leaf })),
        ];
        for path in [
            format!("/api/conversations/{id}/export"),
            format!("/api/conversations/{id}/export?format=markdown"),
            events_path(generation),
            format!("/c/{id}"),
        ] {
            all.push(Request::get(&path).header("cookie", &bob));
        }
        let stop = app::protocol::saved::generation_path(generation);
        all.push(Request::new("DELETE", &stop).header("cookie", &bob));
        all
    };
    let asked = upstream.request_count();
    let pairs = requests(&conversation, &generation, &leaf)
        .into_iter()
        .zip(requests(&none, &conversations::id(), &conversations::id()));
    for (foreign, missing) in pairs {
        let (foreign_answer, missing_answer) =
            (rill.send(&foreign).await, rill.send(&missing).await);
        assert_eq!(foreign_answer.status, 404, "{foreign:?}");
        assert_eq!(missing_answer.status, 404, "{missing:?}");
        if foreign_answer.header("content-type") == Some("application/json") {
            assert_eq!(
                foreign_answer.json().await,
                missing_answer.json().await,
                "{foreign:?}"
            );
        }
    }
    assert_eq!(upstream.request_count(), asked);
    // Bob's own conversation is the first change that he is told of.
    let own = conversations::id();
    let told = message(&own, &json!({})).header("cookie", &bob);
    rill.begin_with(&told).await.finish().await;
    let first = soon(async {
        loop {
            let frame = changes
                .next_frame()
                .await
                .expect("no cut")
                .expect("a frame");
            let text = String::from_utf8(frame.to_vec()).expect("text");
            if text.contains("event: ") {
                return text;
            }
        }
    })
    .await;
    assert!(
        first.contains(&own) && !first.contains(&conversation),
        "{first}"
    );
}

#[tokio::test]
async fn what_could_not_be_read_after_a_change_is_read_again() {
    let rill = Rill::with_file("[access]\nmode = \"accounts\"", &[]).await;
    let ann = people::add(&rill, "ann", Role::Member).await;
    let cookies = [
        people::session(&rill, &ann).await,
        people::session(&rill, &ann).await,
    ];
    let mut listening = Vec::new();
    for cookie in &cookies {
        let listen = Request::get(CHANGES_PATH).header("cookie", cookie);
        listening.push(rill.send(&listen).await);
    }
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", rill.data.path().join("rill.db").display());
    let mut other = <sqlx::AnyConnection as sqlx::Connection>::connect(&url)
        .await
        .expect("a database");
    let mut run = async |sql: &'static str| {
        sqlx::query(sql)
            .execute(&mut other)
            .await
            .expect("it is right");
    };
    run("pragma foreign_keys = off").await;
    run("alter table sessions rename to elsewhere").await;
    run("update access_epoch set epoch = epoch + 1").await;
    let failed = rill.state.access.refresh().await;
    assert!(failed.is_err(), "the sessions cannot be read");
    run("alter table elsewhere rename to sessions").await;
    // A failure of the store ends no stream; what the change has ended, ends as soon as it can be read.
    for answer in &mut listening {
        let go_on = tokio::time::timeout(std::time::Duration::from_millis(50), async {
            while let Ok(Some(_)) = answer.next_frame().await {}
        });
        assert!(go_on.await.is_err(), "it has ended");
    }
    run("delete from sessions").await;
    let _ = rill.state.access.refresh().await;
    for answer in listening {
        assert!(within_a_second(is_cut(answer)).await);
    }
}
