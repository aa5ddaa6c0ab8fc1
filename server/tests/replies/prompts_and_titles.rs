//! Prompts and titles, as users of comparable software reported them: the order of roles after a reply without
//! text, and titles with reasoning, tags and other words around them.

use std::collections::BTreeMap;
use std::time::Duration;

use app::protocol::saved::generation_path;
use serde::Deserialize;
use serde_json::{Value, json};
use server::providers::api::Api;

use crate::support::conversations::{begin, call, kept, message};
use crate::support::http::Request;
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self, End, Response};
use crate::support::soon;

/// The roles in a request to the upstream, in order, without instructions.
fn roles(body: &Value) -> Vec<&str> {
    let list = body.get("messages").or(body.get("input"));
    let messages = list.and_then(Value::as_array).expect("messages");
    messages
        .iter()
        .map(|message| message["role"].as_str().expect("a role"))
        .collect()
}

/// Asks twice, the second time below the first reply, which got no text; what the second request had.
async fn ask_below_an_empty_reply(api: Api, first: Response) -> Value {
    let is_silent = first.status == 0 || first.end == End::Hang;
    let upstream = ScriptedUpstream::playing(vec![first, scripts::saying("Yes.")]).await;
    let rill = Rill::of_api(api, &upstream, &["--max-retries=0"]).await;
    let (conversation, mut reply) = begin(&rill).await;
    if is_silent {
        soon(reply.until(|reply| reply.transcript.was_accepted())).await;
        soon(upstream.was_asked()).await;
        let stop = Request::new("DELETE", &generation_path(reply.reply.generation()));
        soon(rill.send(&stop)).await;
    }
    let reply = soon(reply.finish()).await;
    assert_eq!(reply.transcript.text, "");
    let parent = kept(&rill, &conversation).await.leaf;
    let fields = json!({ "parent": parent, "content": "And now?", "system": "Be brief." });
    soon(
        soon(rill.begin_with(&message(&conversation, &fields)))
            .await
            .finish(),
    )
    .await;
    upstream.exchanges()[1].body.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_alternate_after_a_reply_without_text() {
    let failed = || scripts::refusal(500, &json!({"message": "boom"}));
    let empty = || scripts::stream().then(scripts::STOP).then(scripts::DONE);
    for api in [Api::ChatCompletions, Api::Responses, Api::Messages] {
        for first in [
            scripts::silence(),
            scripts::stream().ending(End::Hang),
            failed(),
            empty(),
        ] {
            let body = ask_below_an_empty_reply(api, first).await;
            let roles = roles(&body);
            let turns: Vec<&str> = roles.into_iter().filter(|role| *role != "system").collect();
            assert_eq!(turns, ["user"], "{body}");
            let text = body.to_string();
            assert!(text.contains(crate::support::log::PROMPT), "{body}");
            assert!(
                text.contains("And now?") && text.contains("Be brief."),
                "{body}"
            );
        }
    }
}

/// The title that a conversation gets when the model answers this where it is asked for one.
async fn title_of(answer: &str) -> String {
    let upstream = ScriptedUpstream::playing(vec![
        scripts::saying("Plant them in May."),
        scripts::saying(answer),
    ])
    .await;
    let rill = Rill::with(&upstream, &["--titles=on"]).await;
    let conversation = server::store::new_id();
    let question = json!({ "content": "How do I grow tomatoes?" });
    soon(
        soon(rill.begin_with(&message(&conversation, &question)))
            .await
            .finish(),
    )
    .await;
    soon(upstream.wait_for(|exchanges| exchanges.len() > 1 && exchanges[1].end.is_some())).await;
    // It is kept a moment after it was answered.
    for _ in 0..20 {
        let title = kept(&rill, &conversation).await.title;
        if title != "How do I grow tomatoes?" {
            return title;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    kept(&rill, &conversation).await.title
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_is_one_line_of_plain_words() {
    #[derive(Deserialize)]
    struct File {
        answers: BTreeMap<String, String>,
    }
    let file: File = serde_json::from_str(include_str!("../conformance/world_titles.json"))
        .expect("answers by their names");
    for (name, answer) in file.answers {
        assert_eq!(title_of(&answer).await, "Growing Tomatoes", "{name}");
    }
    for nothing in ["<think>\nI was cut off", "```json\n{\"title\":", "\"\""] {
        assert_eq!(
            title_of(nothing).await,
            "How do I grow tomatoes?",
            "{nothing}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reasoning_whose_opening_tag_the_template_holds_is_kept_apart() {
    #[derive(Deserialize)]
    struct File {
        pieces: Vec<String>,
    }
    let file: File =
        serde_json::from_str(include_str!("../conformance/world_think_close_only.json"))
            .expect("pieces of an answer");
    let answer = file
        .pieces
        .iter()
        .fold(scripts::stream(), |response, piece| {
            response.after(Duration::from_millis(30), &scripts::delta(piece))
        })
        .then(scripts::STOP)
        .then(scripts::DONE);
    let upstream = ScriptedUpstream::playing(vec![answer]).await;
    let file = format!(
        "[[upstream]]\nname = \"local\"\nbase_url = \"{}\"\nthink_tags = true\n",
        upstream.base_url()
    );
    let rill = Rill::with_file(&file, &[]).await;
    // Also once the habit of the model is known.
    for _ in 0..2 {
        let (conversation, reply) = begin(&rill).await;
        let reply = soon(reply.finish()).await;
        assert_eq!(
            (
                reply.transcript.reasoning.as_str(),
                reply.transcript.text.as_str()
            ),
            ("Okay, the user greets.\n", "Hello!")
        );
        let (_, json) = call(&rill, "get", &json!({ "id": conversation })).await;
        assert_eq!(json["messages"][1]["text"], "Hello!");
    }
}
