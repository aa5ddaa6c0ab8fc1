//! Exports of ChatGPT: the files in `world_imports/`, which are from public reports, and each kind of content.

use serde_json::json;

use super::{Imported, LEFT_OUT, ODD, answered, chatgpt, check, check_with_note, text};

macro_rules! world {
    ($name:literal) => {
        include_bytes!(concat!("../../../conformance/world_imports/", $name)).to_vec()
    };
}

#[tokio::test]
async fn each_reported_file_is_read() {
    let simple = ["- user: hi", "0 assistant: hello <"];
    check(
        "a byte order mark",
        world!("chatgpt_bom.json"),
        "good",
        &simple,
    )
    .await;
    check("UTF-16", world!("chatgpt_utf16.json"), "good", &simple).await;
    check(
        "one object",
        world!("chatgpt_single_object.json"),
        "good",
        &simple,
    )
    .await;
    check(
        "no metadata",
        world!("chatgpt_no_metadata.json"),
        "nometa",
        &simple,
    )
    .await;
    check(
        "hidden context",
        world!("chatgpt_hidden.json"),
        "hidden",
        &simple,
    )
    .await;
    let untitled = "Conversation 1 of the file";
    check(
        "no title",
        world!("chatgpt_title_null.json"),
        untitled,
        &simple,
    )
    .await;
    check(
        "the model of the conversation",
        world!("chatgpt_default_slug.json"),
        "slug",
        &["- user: hi", "0 assistant (gpt-5-thinking): hello <"],
    )
    .await;
    check(
        "citations",
        world!("chatgpt_citations.json"),
        "cite",
        &[
            "- user: Who won?",
            "0 assistant (gpt-5): Team A won. ([site](https://e.x/a)) See Jane Doe. <",
        ],
    )
    .await;
    for (file, title, expect) in [
        (world!("chatgpt_nan.json"), "good", simple),
        (
            world!("chatgpt_code.json"),
            "code",
            ["- user: hi", "0 assistant: found <"],
        ),
        (
            world!("chatgpt_tool_recipient.json"),
            "tool",
            ["- user: Draw a cat", "0 assistant: Here is your cat. <"],
        ),
    ] {
        let imported = Imported::of(file).await;
        assert_eq!(imported.lines(title).await, expect);
        assert_eq!(imported.skipped().len(), 1, "{:?}", imported.skipped());
    }
    let imported = Imported::of(world!("chatgpt_one_bad.json")).await;
    for title in ["bad", "badtime", "good"] {
        assert_eq!(imported.lines(title).await, simple);
    }
    let expect = ["bad", "badtime"].map(|title| format!("{title}: {ODD}"));
    assert_eq!(imported.skipped(), expect);
}

#[tokio::test]
async fn what_was_said_by_voice_is_a_text() {
    let heard = |words: &str, direction: &str| {
        json!({ "content_type": "multimodal_text", "parts": [
            { "content_type": "audio_transcription", "text": words, "direction": direction, "decoding_id": null },
            { "content_type": "real_time_user_audio_video_asset_pointer", "audio_asset_pointer": { "a": 1 } },
        ]})
    };
    let file = chatgpt(&[
        ("user", heard("How are you?", "in"), json!({})),
        ("assistant", heard("Well.", "out"), json!({})),
    ]);
    let expect = ["- user: How are you?", "0 assistant: Well. <"];
    check_with_note("voice", file, &expect, "2 parts were left out").await;
}

#[tokio::test]
async fn marks_of_citations_are_taken_off() {
    for (marked, expect) in [
        (
            "So \u{e200}filecite\u{e202}turn0file1\u{e202}L1-L9\u{e201}.",
            "So.",
        ),
        (
            "\u{e200}i\u{e202}turn0image0\u{e202}turn0image2\u{e201}A cat",
            "A cat",
        ),
        (
            "See \u{e200}url\u{e202}the site\u{e202}https://e.x\u{e201}.",
            "See [the site](https://e.x).",
        ),
        ("So\u{e203}marked\u{e204}.", "Somarked."),
        ("So【4:0†source】.", "So."),
    ] {
        let file = answered(text(marked), json!({})).to_string();
        check(
            marked,
            file,
            "T",
            &["- user: hi", &format!("0 assistant: {expect} <")],
        )
        .await;
    }
    // What a person wrote is nobody's mark.
    let file = chatgpt(&[("user", text("\u{e204} is a letter of mine"), json!({}))]);
    check(
        "a question",
        file.to_string(),
        "T",
        &["- user: \u{e204} is a letter of mine <"],
    )
    .await;
}

#[tokio::test]
async fn what_is_for_a_tool_is_left_out_and_what_follows_is_there() {
    for (content, recipient) in [
        (
            text("{\"name\":\"Plan\",\"content\":\"…\"}"),
            "canmore.create_textdoc",
        ),
        (text("search(\"x\")"), "web.run"),
        (
            json!({ "content_type": "code", "language": "python", "text": "print(1)" }),
            "python",
        ),
        (json!({ "content_type": "newer", "parts": ["x"] }), "bio"),
    ] {
        let file = chatgpt(&[
            ("user", text("hi"), json!({})),
            ("assistant", content, json!({ "recipient": recipient })),
            ("assistant", text("found"), json!({})),
        ]);
        check_with_note(
            recipient,
            file,
            &["- user: hi", "0 assistant: found <"],
            LEFT_OUT,
        )
        .await;
    }
}

#[tokio::test]
async fn thoughts_are_reasoning_and_newer_kinds_are_read_by_their_text() {
    let thoughts = |words: &str| json!({ "content_type": "thoughts", "thoughts": [{ "summary": "S", "content": words }] });
    let file = chatgpt(&[
        ("user", text("hi"), json!({})),
        ("assistant", thoughts("Hm."), json!({})),
        (
            "assistant",
            text("Let me see."),
            json!({ "channel": "commentary" }),
        ),
        ("assistant", thoughts("Ah."), json!({})),
        (
            "assistant",
            text("Inner."),
            json!({ "channel": "analysis" }),
        ),
        (
            "assistant",
            json!({ "content_type": "reasoning_recap", "content": "Thought for 2s" }),
            json!({}),
        ),
        ("assistant", text("Hello."), json!({ "channel": "final" })),
    ]);
    check(
        "thoughts",
        file.to_string(),
        "T",
        &[
            "- user: hi",
            "0 assistant: Let me see.\n\nHello. | Hm.\n\nAh.\n\nInner. <",
        ],
    )
    .await;
    let code = json!({ "content_type": "code", "language": "python", "text": "print(1)" });
    for (content, expect) in [
        (
            json!({ "content_type": "newer_text", "parts": ["hello"] }),
            "hello",
        ),
        (
            json!({ "content_type": "newer_text", "text": "hello" }),
            "hello",
        ),
        (json!({ "content_type": "text", "parts": "hello" }), "hello"),
        (
            json!({ "content_type": "text", "parts": ["a", { "content_type": "new", "text": "b" }] }),
            "a\n\nb",
        ),
        (json!("hello"), "hello"),
        (code, "```python\nprint(1)\n```"),
    ] {
        let mut file = answered(content.clone(), json!({ "a_newer_field": [{ "x": 1 }] }));
        file[0]["another"] = json!({ "mapping": 1 });
        let expect = format!("0 assistant: {expect} <");
        check(
            &content.to_string(),
            file.to_string(),
            "T",
            &["- user: hi", &expect],
        )
        .await;
    }
    let file = chatgpt(&[
        ("user", text("hi"), json!({})),
        (
            "assistant",
            json!({ "content_type": "hologram", "data": [1] }),
            json!({}),
        ),
        ("assistant", text("hello"), json!({})),
    ]);
    check_with_note(
        "no text",
        file,
        &["- user: hi", "0 assistant: hello <"],
        LEFT_OUT,
    )
    .await;
}

#[tokio::test]
async fn a_field_of_another_kind_costs_itself() {
    let file = answered(text("hello"), json!({}));
    for (place, value) in [
        ("/0/title", json!([1])),
        ("/0/update_time", json!("soon")),
        ("/0/create_time", json!({})),
        ("/0/current_node", json!(5)),
        ("/0/conversation_id", json!(5)),
        ("/0/mapping/n2/message/author", json!("assistant")),
        ("/0/mapping/n2/message/create_time", json!([])),
        ("/0/mapping/n2/message/metadata/model_slug", json!(4)),
        ("/0/mapping/n2/parent", json!(1)),
        ("/0/mapping/n1/children", json!("n2")),
        ("/0/mapping/n1/children/0", json!(2)),
        ("/0/mapping/n0", json!(false)),
    ] {
        let mut file = file.clone();
        let (parent, last) = place.rsplit_once('/').expect("a place");
        let parent = file.pointer_mut(parent).expect("it is there");
        match last.parse::<usize>() {
            Ok(index) => parent[index] = value,
            Err(_) => parent[last] = value,
        }
        let imported = Imported::of(file.to_string()).await;
        let title = if place == "/0/title" {
            "Conversation 1 of the file"
        } else {
            "T"
        };
        let mut lines = imported.lines(title).await;
        lines[1] = lines[1].trim_end_matches(" <").to_owned();
        assert_eq!(lines, ["- user: hi", "0 assistant: hello"], "{place}");
        assert_eq!(imported.skipped(), [format!("{title}: {ODD}")], "{place}");
    }
}
