//! The models of the OpenAI-compatible API: each is requested from its upstream, or refused.

use serde_json::json;

use super::{PATHS, body};
use crate::support::http::Request;
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self};
use crate::support::soon;

#[tokio::test]
async fn a_model_that_may_not_be_asked_is_not_found_and_costs_nothing() {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let file = format!(
        "[[upstream]]\nname = \"a\"\nbase_url = \"{}\"\nmodels = [\"m\"]\n",
        upstream.base_url()
    );
    let rill = Rill::with_file(&file, &[]).await;
    for path in PATHS {
        for model in ["gpt-5-pro", "a/gpt-5-pro", "M", "m ", "m/", "a/"] {
            let mut body = body();
            body["model"] = model.into();
            let answer = soon(rill.send(&Request::post(path, &body))).await;
            assert_eq!(answer.status, 404, "{model}");
            let body = soon(answer.json()).await;
            assert_eq!(body["error"]["code"], "model_not_found", "{model}");
            assert_eq!(body["error"]["type"], "invalid_request_error");
        }
    }
    assert_eq!(upstream.request_count(), 0);
    for model in ["m", "a/m"] {
        let mut body = body();
        body["model"] = model.into();
        let answer = soon(rill.send(&Request::post(PATHS[0], &body))).await;
        assert_eq!(answer.status, 200, "{model}");
    }
}

/// Two upstreams of OpenAI's kind that both have the model `y`, and one of Anthropic's.
async fn three(first: &ScriptedUpstream, second: &ScriptedUpstream) -> Rill {
    let file = format!(
        r#"
        [[upstream]]
        name = "a"
        base_url = "{}"
        key_env = "KEY"
        models = ["x", "y"]
        [[upstream]]
        name = "b"
        base_url = "{}"
        headers = {{ "x-team" = "7" }}
        [[upstream]]
        name = "claude"
        kind = "messages"
        models = ["claude-x"]
        "#,
        first.base_url(),
        second.base_url()
    );
    Rill::with_file(&file, &[]).await
}

#[tokio::test]
async fn each_model_is_asked_at_its_upstream_by_its_name_there() {
    let first = ScriptedUpstream::playing(vec![scripts::saying("one")]).await;
    let list = json!({"object": "list", "data": [{"id": "y", "object": "model", "owned_by": "me"}, {"id": "z"}]});
    let second =
        ScriptedUpstream::playing(vec![scripts::json(&list), scripts::saying("two")]).await;
    let rill = three(&first, &second).await;
    let listed = soon(soon(rill.send(&Request::get("/v1/models"))).await.json()).await;
    let ids: Vec<_> = listed["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|m| &m["id"])
        .collect();
    assert_eq!(ids, ["x", "a/y", "b/y", "z"]);
    assert_eq!(
        listed["data"][2],
        json!({"id": "b/y", "object": "model", "owned_by": "me"})
    );
    let one = soon(
        soon(rill.send(&Request::get("/v1/models/b%2Fy")))
            .await
            .json(),
    )
    .await;
    assert_eq!(one["id"], "b/y");
    assert_eq!(
        soon(rill.send(&Request::get("/v1/models/none")))
            .await
            .status,
        404
    );
    let chosen = soon(soon(rill.send(&Request::get("/api/models"))).await.json()).await;
    assert_eq!(chosen["default"], "x");
    assert_eq!(
        chosen["models"][4],
        json!({"id": "claude-x", "upstream": "claude"})
    );

    for (model, upstream, name) in [
        ("a/y", &first, "y"),
        ("b/y", &second, "y"),
        ("z", &second, "z"),
    ] {
        let mut body = body();
        body["model"] = model.into();
        soon(
            soon(rill.send(&Request::post(PATHS[0], &body)))
                .await
                .body(),
        )
        .await
        .expect("an answer");
        let exchange = upstream.exchanges().pop().expect("an exchange");
        body["model"] = name.into();
        assert_eq!(exchange.body, body);
    }
    let exchange = second.exchanges().pop().expect("an exchange");
    assert_eq!(
        (exchange.header("x-team"), exchange.header("authorization")),
        (Some("7"), None)
    );
}

#[tokio::test]
async fn a_model_that_does_not_speak_this_api_is_refused_with_what_does() {
    let first = ScriptedUpstream::playing(vec![scripts::saying("one")]).await;
    let rill = three(&first, &first).await;
    let mut body = body();
    body["model"] = "claude-x".into();
    for path in PATHS {
        let answer = soon(rill.send(&Request::post(path, &body))).await;
        assert_eq!(answer.status, 400);
        let body = soon(answer.json()).await;
        let message = body["error"]["message"].as_str().expect("a message");
        assert!(message.contains("POST /api/chat"), "{message}");
    }
    assert_eq!(first.request_count(), 0);
}
