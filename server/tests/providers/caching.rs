//! Prompt caches of providers: each request of a conversation begins with the bytes of the requests before it,
//! has the fields that make the provider cache them, and reports the tokens that were cached.

use app::protocol::saved::SavedMessage;
use app::protocol::{ChatEvent, Usage};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use server::providers::api::Api;

use crate::support::caching_provider::{CachingProvider, Charge};
use crate::support::conversations::{id, kept, message};
use crate::support::rill::{Reply, Rill, chat, question};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::scripts::{self, Response};
use crate::support::{log, soon};

/// A configuration file with one upstream.
fn file(kind: &str, base_url: &str, more: &str) -> String {
    format!(
        "[[upstream]]\nname = \"x\"\nkind = \"{kind}\"\nbase_url = \"{base_url}\"\nmodels = [\"m\"]\n\
         key_env = \"KEY\"\n{more}\n"
    )
}

/// Says something in a conversation and waits for the reply.
async fn say(rill: &Rill, conversation: &str, fields: &Value) -> Reply {
    let request = message(conversation, fields);
    soon(soon(rill.begin_with(&request)).await.finish()).await
}

fn usage(reply: &Reply) -> Usage {
    let told = reply.events.iter().find_map(|event| match event {
        ChatEvent::Usage(usage) => Some(*usage),
        _ => None,
    });
    told.expect("the usage")
}

/// The id of the reply's message.
fn message_id(reply: &Reply) -> String {
    let start = reply.events.iter().find_map(|event| match event {
        ChatEvent::Start(start) => start.message.clone(),
        _ => None,
    });
    start.expect("a saved reply")
}

/// A question of 300 bytes; no two are alike.
fn question_text(number: usize) -> String {
    format!("question {number:03} ").repeat(30)[..300].to_owned()
}

/// Has a conversation of this many turns. The charge for each, and the id of each reply.
async fn converse(
    provider: &CachingProvider,
    kind: &str,
    cache: &str,
    system: Option<&str>,
    turns: usize,
) -> (Vec<Charge>, Vec<String>, Rill, String) {
    let rill = Rill::with_file(&file(kind, &provider.base_url(), cache), &[]).await;
    let before = provider.charges().len();
    let conversation = id();
    let mut replies: Vec<String> = Vec::new();
    for turn in 0..turns {
        let fields = json!({
            "content": question_text(turn), "parent": replies.last(), "system": system,
        });
        let reply = say(&rill, &conversation, &fields).await;
        assert_eq!(reply.outcome(), "complete", "{:?}", reply.error());
        let charge = provider.charges()[before + turn];
        let told = usage(&reply);
        let count = |tokens: Option<u64>| usize::try_from(tokens.unwrap_or(0)).expect("a count");
        assert_eq!(
            count(told.prompt_tokens),
            charge.input,
            "all tokens of the input"
        );
        assert_eq!(count(told.cached_tokens), charge.read);
        assert_eq!(count(told.cache_write_tokens), charge.written);
        replies.push(message_id(&reply));
    }
    (
        provider.charges()[before..].to_vec(),
        replies,
        rill,
        conversation,
    )
}

fn price(charges: &[Charge]) -> usize {
    charges.iter().map(|charge| charge.price).sum()
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::print_stderr,
    reason = "the figures are of interest in themselves"
)]
async fn twenty_turns_cost_at_most_a_quarter_of_what_they_cost_without_a_cache() {
    let instructions = "Be brief. ".repeat(600);
    for system in [None, Some(instructions.as_str())] {
        for kind in ["messages", "chat-completions"] {
            let provider = CachingProvider::start().await;
            let (charges, ..) = converse(&provider, kind, "", system, 20).await;
            let input: usize = charges.iter().map(|charge| charge.input).sum();
            let (cost, without) = (price(&charges), input * 1000);
            let percent = cost * 100 / without;
            let length = system.map_or(0, str::len);
            eprintln!(
                "{kind}, instructions of {length} bytes: {input} tokens of input in 20 turns cost as \
                 much as {} without a cache, {percent} %",
                cost / 1000
            );
            assert!(cost * 4 <= without, "{cost} of {without}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_from_then_on_and_never_written_twice() {
    let provider = CachingProvider::start().await;
    let instructions = "Be brief. ".repeat(600);
    let (charges, replies, rill, conversation) =
        converse(&provider, "messages", "", Some(&instructions), 12).await;
    for pair in charges.windows(2) {
        assert_eq!(pair[1].read, pair[0].input, "{charges:?}");
        assert_eq!(pair[1].read + pair[1].written, pair[1].input);
    }
    let ask = async |content: &str, parent: Option<&str>| {
        let fields = json!({ "content": content, "parent": parent, "system": instructions });
        say(&rill, &conversation, &fields).await;
        *provider.charges().last().expect("a charge")
    };
    // The last question in other words: all before it is read.
    let edited = ask("In other words", Some(&replies[10])).await;
    assert!(edited.read >= charges[10].input, "{edited:?}");
    assert!(edited.written <= 450, "{edited:?}");
    // An early one, too.
    let early = ask("Quite another thing", Some(&replies[2])).await;
    assert!(early.read >= charges[2].input, "{early:?}");
    // In a new conversation the instructions are read.
    let new = json!({ "content": question_text(99), "system": instructions });
    say(&rill, &id(), &new).await;
    let new = *provider.charges().last().expect("a charge");
    assert!(new.read >= 1500 && new.written <= 100, "{new:?}");
    // Another reply to the last question costs next to nothing.
    let fields = json!({ "content": null, "regenerate": replies[11], "system": instructions });
    say(&rill, &conversation, &fields).await;
    let again = *provider.charges().last().expect("a charge");
    assert_eq!((again.read, again.written), (again.input, 0));
}

/// All marks in a request.
fn marks(body: &Value) -> Vec<Value> {
    let contents = body["messages"].as_array().expect("messages").iter();
    let contents = contents.map(|message| &message["content"]);
    let blocks = std::iter::once(&body["system"])
        .chain(contents)
        .filter_map(Value::as_array)
        .flatten();
    blocks
        .filter_map(|block| block.get("cache_control").cloned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_says_how_long_a_prompt_is_cached() {
    for (cache, expect) in [
        ("", Some(json!({ "type": "ephemeral" }))),
        ("cache = \"5m\"", Some(json!({ "type": "ephemeral" }))),
        (
            "cache = \"1h\"",
            Some(json!({ "type": "ephemeral", "ttl": "1h" })),
        ),
        ("cache = \"off\"", None),
    ] {
        let provider = CachingProvider::start().await;
        let instructions = "Be brief. ".repeat(60);
        let (charges, ..) = converse(&provider, "messages", cache, Some(&instructions), 3).await;
        let bodies = provider.bodies();
        let last = &bodies[2];
        match expect {
            Some(mark) => assert_eq!(marks(last), [mark.clone(), mark.clone(), mark]),
            None => {
                assert_eq!(marks(last), [Value::Null; 0]);
                assert!(last["system"].is_string() && last["messages"][4]["content"].is_string());
                assert!(
                    charges
                        .iter()
                        .all(|charge| charge.price == charge.input * 1000)
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_is_too_short_to_be_cached_is_sent_as_plain_text() {
    let provider = CachingProvider::start().await;
    let rill = Rill::with_file(&file("messages", &provider.base_url(), ""), &[]).await;
    say(
        &rill,
        &id(),
        &json!({ "content": "Hi", "system": "Be brief." }),
    )
    .await;
    let body = &provider.bodies()[0];
    assert_eq!(body["system"], "Be brief.");
    assert_eq!(
        body["messages"],
        json!([{ "role": "user", "content": "Hi" }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_has_one_key_and_only_where_the_server_takes_it() {
    for kind in ["chat-completions", "responses"] {
        let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
        let explicit = file(kind, &upstream.base_url(), "cache = \"5m\"");
        let rill = Rill::with_file(&explicit, &["--titles=on"]).await;
        let (one, other) = (id(), id());
        let first = message_id(&say(&rill, &one, &json!({})).await);
        soon(upstream.wait_for(|asked| asked.len() >= 2 || kind == "responses")).await;
        let before = upstream.request_count();
        say(&rill, &one, &json!({ "parent": first })).await;
        say(
            &rill,
            &one,
            &json!({ "content": null, "regenerate": first }),
        )
        .await;
        say(&rill, &other, &json!({ "content": "Something else" })).await;
        soon(soon(rill.begin_with(&chat(&question()))).await.finish()).await;
        let asked = upstream.exchanges();
        let key = |at: usize| {
            asked[at]
                .body
                .get("prompt_cache_key")
                .and_then(Value::as_str)
        };
        let first_key = key(0).expect("a key");
        assert_eq!(
            (key(before), key(before + 1)),
            (Some(first_key), Some(first_key))
        );
        let other_key = asked[before + 2..]
            .iter()
            .find(|asked| asked.body.to_string().contains("Something else"));
        let other_key = other_key.expect("a request").body["prompt_cache_key"].as_str();
        assert!(other_key.is_some_and(|key| key != first_key));
        // A title and a reply that is not saved have no key, and the id itself is never sent.
        for exchange in &asked {
            let text = exchange.body.to_string();
            assert!(!text.contains(&one) && !text.contains(&other), "{text}");
        }
        let last = asked
            .iter()
            .rfind(|asked| asked.body.to_string().contains(log::PROMPT));
        assert_eq!(last.expect("a request").body.get("prompt_cache_key"), None);
        let titles = asked
            .iter()
            .filter(|asked| asked.body.to_string().contains("Write a title"));
        assert!(
            titles
                .clone()
                .all(|asked| asked.body.get("prompt_cache_key").is_none())
        );
        assert!(titles.count() > 0 || kind == "responses");
        // A server of which nothing is known gets nothing.
        let rill = Rill::with_file(&file(kind, &upstream.base_url(), ""), &[]).await;
        say(&rill, &id(), &json!({})).await;
        let asked = upstream.exchanges();
        assert_eq!(
            asked
                .last()
                .expect("a request")
                .body
                .get("prompt_cache_key"),
            None
        );
    }
}

/// What a person does next.
#[derive(Debug, Clone)]
struct Step {
    wish: Wish,
    /// Whether the provider refuses to answer.
    fails: bool,
}

#[derive(Debug, Clone)]
enum Wish {
    /// Asks below one of the replies, or anew from the beginning.
    Ask(prop::sample::Index),
    /// Regenerates a reply.
    Again(prop::sample::Index),
    /// Lets one go on.
    Continue(prop::sample::Index),
}

fn any_step() -> impl Strategy<Value = Step> {
    let at = any::<prop::sample::Index>;
    let wish = prop_oneof![
        6 => at().prop_map(Wish::Ask),
        2 => at().prop_map(Wish::Again),
        1 => at().prop_map(Wish::Continue),
    ];
    (wish, prop::bool::weighted(0.15)).prop_map(|(wish, fails)| Step { wish, fails })
}

/// An answer with this text in the form of this API.
fn saying(api: Api, text: &str) -> Response {
    let event = |event: Value| format!("data: {event}\n\n");
    match api {
        Api::ChatCompletions => scripts::saying(text),
        Api::Responses => scripts::stream()
            .then(&event(json!({"type": "response.output_text.delta", "delta": text})))
            .then(&event(json!({"type": "response.completed", "response": {"status": "completed"}}))),
        Api::Messages => scripts::stream()
            .then(&event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})))
            .then(&event(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})))
            .then(&event(json!({"type": "message_stop"}))),
    }
}

/// The instructions and the messages of a request as JSON, with blocks as the texts they mean.
fn rendered(body: &Value) -> String {
    fn text(content: &Value) -> &str {
        content
            .as_str()
            .or(content[0]["text"].as_str())
            .expect("a text")
    }
    let system = body.get("system").map(|content| ("system", text(content)));
    let list = body
        .get("messages")
        .or(body.get("input"))
        .and_then(Value::as_array);
    let messages = list.expect("messages").iter().map(|message| {
        let role = message["role"].as_str().expect("a role");
        (role, text(&message["content"]))
    });
    json!(system.into_iter().chain(messages).collect::<Vec<_>>()).to_string()
}

/// A request: its messages at that time, and the body that was sent.
struct Sent {
    path: Vec<(String, String)>,
    prompt: String,
}

impl Sent {
    /// How many bytes of the prompt are about these messages.
    fn length_of(&self, messages: usize) -> usize {
        let mut end = 0;
        for (_, text) in &self.path[..messages] {
            let text = json!(text).to_string();
            let text = text.trim_matches('"');
            if !text.is_empty() {
                let at = self.prompt[end..]
                    .find(text)
                    .expect("each message is in it");
                end += at + text.len();
            }
        }
        end
    }

    fn check_begins_like(&self, other: &Self) {
        let pairs = self.path.iter().zip(&other.path);
        let shared = pairs.take_while(|(one, other)| one == other).count();
        let bytes = self.prompt.bytes().zip(other.prompt.bytes());
        let equal = bytes.take_while(|(one, other)| one == other).count();
        assert!(
            equal >= self.length_of(shared),
            "{shared} messages are the same, but only {equal} bytes:\n{}\n{}",
            self.prompt,
            other.prompt
        );
    }
}

/// The messages from the first one to this one.
fn path_to(messages: &[SavedMessage], last: &str) -> Vec<(String, String)> {
    let mut path = Vec::new();
    let mut next = Some(last);
    while let Some(message) = next.and_then(|id| messages.iter().find(|one| one.id == id)) {
        path.push((message.id.clone(), message.text.clone()));
        next = message.parent.as_deref();
    }
    path.reverse();
    path
}

async fn check_prefixes(api: Api, steps: &[Step]) {
    let responses = steps.iter().enumerate().map(|(at, step)| {
        if step.fails {
            scripts::refusal(400, &json!({ "message": "boom" }))
        } else {
            saying(
                api,
                &format!("answer {at} \"{}\"\n", "é".repeat(at % 7 * 20)),
            )
        }
    });
    let upstream = ScriptedUpstream::playing(responses.collect()).await;
    let rill = Rill::of_api(api, &upstream, &[]).await;
    let conversation = id();
    let mut sent: Vec<Sent> = Vec::new();
    // The replies, each with whether it has text.
    let mut replies: Vec<(String, bool)> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let with_text: Vec<&String> = replies
            .iter()
            .filter(|(_, has_text)| *has_text)
            .map(|(id, _)| id)
            .collect();
        let mut fields = json!({
            "content": null, "system": "Be brief.", "temperature": 0.5, "max_tokens": 900,
        });
        match &step.wish {
            Wish::Again(index) if !replies.is_empty() => {
                fields["regenerate"] = json!(index.get(&replies).0);
            }
            Wish::Continue(index) if !with_text.is_empty() => {
                fields["continue"] = json!(index.get(&with_text));
            }
            Wish::Ask(index) | Wish::Again(index) | Wish::Continue(index) => {
                let parents: Vec<Option<&String>> = std::iter::once(None)
                    .chain(replies.iter().map(|(id, _)| Some(id)))
                    .collect();
                fields["content"] = json!(format!("question {at} {}", "x ".repeat(at % 5 * 30)));
                fields["parent"] = json!(index.get(&parents));
            }
        }
        let reply = say(&rill, &conversation, &fields).await;
        let messages = kept(&rill, &conversation).await.messages;
        let made = messages
            .iter()
            .find(|one| one.id == message_id(&reply))
            .expect("it is kept");
        let question = made.parent.clone().expect("a reply has a question");
        replies.retain(|(id, _)| *id != made.id);
        replies.push((made.id.clone(), !made.text.trim().is_empty()));
        let exchanges = upstream.exchanges();
        assert_eq!(exchanges.len(), at + 1, "each step is one request");
        let next = Sent {
            path: path_to(&messages, &question),
            prompt: rendered(&exchanges[at].body),
        };
        for earlier in &sent {
            next.check_begins_like(earlier);
            earlier.check_begins_like(&next);
        }
        sent.push(next);
    }
}

#[test]
fn a_prompt_begins_with_the_bytes_of_those_before_it_as_far_as_their_messages_are_the_same() {
    let config = ProptestConfig {
        cases: 12,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    for api in [Api::ChatCompletions, Api::Responses, Api::Messages] {
        let steps = prop::collection::vec(any_step(), 1..16);
        TestRunner::new(config.clone())
            .run(&steps, |steps| {
                runtime.block_on(check_prefixes(api, &steps));
                Ok(())
            })
            .expect("each prompt begins with those before it");
    }
}
