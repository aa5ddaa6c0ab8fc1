//! Presets, and the settings that a conversation keeps.

use serde_json::{Value, json};

use crate::support::conversations::{begin, call, id, last, message};
use crate::support::http::Request;
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts;
use crate::support::soon;

async fn rill() -> (ScriptedUpstream, Rill) {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("Yes.")]).await;
    let rill = Rill::before(&upstream).await;
    (upstream, rill)
}

async fn presets(rill: &Rill, name: &str, arguments: &Value) -> (u16, Value) {
    let answer = soon(rill.send(&Request::post(&format!("/api/presets/{name}"), arguments))).await;
    (answer.status, soon(answer.json()).await)
}

async fn names(rill: &Rill) -> Vec<String> {
    let (_, list) = presets(rill, "list", &json!({})).await;
    let list = list.as_array().expect("a list").clone();
    let name = |preset: &Value| preset["name"].as_str().map(str::to_owned);
    list.iter().filter_map(name).collect()
}

#[tokio::test]
async fn presets_are_saved_renamed_and_deleted() {
    let (_upstream, rill) = rill().await;
    let save = async |preset: Value, replaces: Value| {
        let arguments = json!({ "preset": preset, "replaces": replaces });
        presets(&rill, "save", &arguments).await.0
    };
    assert_eq!(
        save(
            json!({ "name": " Translator ", "system": "Translate." }),
            json!(null)
        )
        .await,
        200
    );
    assert_eq!(
        save(json!({ "name": "Brief", "temperature": 0.5 }), json!(null)).await,
        200
    );
    assert_eq!(names(&rill).await, ["Brief", "Translator"]);
    // A name is the same in capitals, and another name may take its place.
    assert_eq!(save(json!({ "name": "BRIEF" }), json!(null)).await, 200);
    assert_eq!(
        save(json!({ "name": "Into French" }), json!("translator")).await,
        200
    );
    assert_eq!(names(&rill).await, ["BRIEF", "Into French"]);
    for wrong in [
        json!({ "name": "" }),
        json!({ "name": "a", "temperature": 3 }),
        json!({ "name": "a", "max_tokens": 0 }),
        json!({ "name": "a", "unknown": 1 }),
        json!({ "system": "a" }),
    ] {
        assert_eq!(save(wrong.clone(), json!(null)).await, 400, "{wrong}");
    }
    for _ in 0..2 {
        assert_eq!(
            presets(&rill, "delete", &json!({ "name": "brief" }))
                .await
                .0,
            200
        );
    }
    assert_eq!(names(&rill).await, ["Into French"]);
}

#[tokio::test]
async fn a_conversation_has_the_settings_of_its_last_reply_and_so_has_a_copy_of_it() {
    let (_upstream, rill) = rill().await;
    let (conversation, reply) = begin(&rill).await;
    soon(reply.finish()).await;
    let settings = async |id: &Value| {
        let (_, path) = call(&rill, "path", &json!({ "id": id })).await;
        path["settings"].clone()
    };
    assert_eq!(settings(&json!(conversation)).await, json!({}));
    let asked = json!({
        "content": "More?",
        "parent": last(&rill, &conversation).await.id,
        "preset": "Brief",
        "system": "Be brief.",
        "temperature": 0.5,
        "model": "gpt-5-mini",
    });
    soon(
        soon(rill.begin_with(&message(&conversation, &asked)))
            .await
            .finish(),
    )
    .await;
    let expect = json!({
        "preset": "Brief",
        "system": "Be brief.",
        "temperature": 0.5,
        "model": "gpt-5-mini",
    });
    assert_eq!(settings(&json!(conversation)).await, expect);
    let reply = last(&rill, &conversation).await.id;
    let edit = json!({ "id": conversation, "message": reply, "text": "No." });
    let (_, edited) = call(&rill, "edit_reply", &edit).await;
    assert_eq!(settings(&json!(conversation)).await, expect);
    let fork = json!({ "id": conversation, "message": edited, "into": id() });
    let (_, copy) = call(&rill, "fork", &fork).await;
    assert_eq!(settings(&copy).await, expect);
}
