//! Models that only some groups may use.

use serde_json::{Value, json};
use server::access::{Role, Scope};

use crate::support::http::Request;
use crate::support::people;
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::saying;

fn file(upstream: &ScriptedUpstream, default: &str) -> String {
    format!(
        "model = \"{default}\"\n[access]\nmode = \"accounts\"\n[groups]\nresearch = [\"Ann@example.com\"]\n\
         [models]\nclosed = [\"research\"]\n[[upstream]]\nname = \"lab\"\nbase_url = \"{}\"\nkey_env = \"KEY\"\n\
         models = [\"open\", \"closed\"]",
        upstream.base_url()
    )
}

/// What a person is answered to each way to ask for a model, or to have it listed.
async fn answers(rill: &Rill, name: &str) -> (Vec<u16>, Vec<String>, Value) {
    let person = people::add(rill, name, Role::Member).await;
    let cookie = people::session(rill, &person).await;
    let key = people::key(rill, &cookie, &Scope::ALL).await;
    let by_page = |request: Request| request.header("cookie", &cookie);
    let by_key = |request: Request| request.header("authorization", &key);
    let messages = json!([{ "role": "user", "content": "Hi" }]);
    let mut asked = Vec::new();
    for model in ["closed", "lab/closed"] {
        let body = json!({ "model": model, "messages": messages });
        asked.push(by_key(Request::post("/v1/chat/completions", &body)));
        asked.push(by_page(Request::post("/api/chat", &body)));
    }
    let body = json!({ "model": "CLOSED", "messages": messages });
    asked.push(by_key(Request::post("/v1/chat/completions", &body)));
    let body = json!({ "model": "closed", "input": "Hi" });
    asked.push(by_key(Request::post("/v1/responses", &body)));
    asked.push(by_key(Request::get("/v1/models/closed")));
    let stream = Request::get("/api/chat?q=Hi&model=closed").header("accept", "text/event-stream");
    asked.push(by_page(stream));
    let conversation = server::store::new_id();
    let path = format!("/api/conversations/{conversation}/messages");
    let body = json!({ "request_id": server::store::new_id(), "content": "Hi", "model": "closed" });
    asked.push(by_page(Request::post(&path, &body)));
    let mut statuses = Vec::new();
    for request in asked {
        let answer = rill
            .send(&request.header("origin", &format!("http://{}", rill.address)))
            .await;
        statuses.push(answer.status);
    }
    let listed = rill
        .send(&by_key(Request::get("/v1/models")))
        .await
        .json()
        .await;
    let listed = listed["data"].as_array().expect("a list").iter();
    let listed = listed.map(|model| model["id"].as_str().expect("a name").to_owned());
    let page = rill
        .send(&by_page(Request::get("/api/models")))
        .await
        .json()
        .await;
    (statuses, listed.collect(), page)
}

#[tokio::test]
async fn a_model_of_a_group_is_neither_listed_nor_askable_by_others() {
    let upstream = ScriptedUpstream::playing(vec![saying("hello")]).await;
    let rill = Rill::with_file(&file(&upstream, "closed"), &[]).await;
    let (asked, listed, page) = answers(&rill, "bob").await;
    assert_eq!(asked, [404, 400, 404, 400, 404, 404, 404, 400, 400]);
    assert_eq!(listed, ["open"]);
    assert_eq!(page["models"].as_array().map(Vec::len), Some(1), "{page}");
    assert_eq!(
        page["default"], "open",
        "not the one that the person may not use"
    );
    assert_eq!(upstream.request_count(), 0);
    let (asked, listed, page) = answers(&rill, "ann").await;
    // The upstream knows no model in other letters.
    assert_eq!(asked, [200, 200, 200, 200, 404, 200, 200, 200, 200]);
    assert_eq!(listed.len(), 2);
    assert_eq!(page["default"], "closed");
    assert!(upstream.request_count() > 0);
}

#[tokio::test]
async fn a_closed_model_is_refused_with_the_words_for_one_that_does_not_exist() {
    let upstream = ScriptedUpstream::playing(vec![saying("hello")]).await;
    let rill = Rill::with_file(&file(&upstream, "open"), &[]).await;
    let bob = people::add(&rill, "bob", Role::Admin).await;
    let cookie = people::session(&rill, &bob).await;
    let refusal = async |model: &str| {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "Hi" }] });
        let request = Request::post("/api/chat", &body).header("cookie", &cookie);
        let answer = rill.send(&request).await;
        (answer.status, answer.json().await["error"]["kind"].clone())
    };
    assert_eq!(refusal("closed").await, (400, json!("model_not_found")));
}
