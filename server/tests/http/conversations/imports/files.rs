//! Files as such: the same one twice, one that was cut off, an archive, and what is no export.

use std::io::Write;

use app::protocol::saved::IMPORT_PATH;
use serde_json::{Value, json};

use super::{ID, answered, rill, text};
use crate::support::conversations::{call, import, kept};
use crate::support::http::Request;
use crate::support::soon;

#[tokio::test]
async fn the_same_file_twice_adds_nothing_whether_its_conversations_have_ids_or_not() {
    let rill = rill().await;
    let mut without = answered(text("hello"), json!({}));
    without[0]["conversation_id"] = Value::Null;
    let mut named = answered(text("hello"), json!({}));
    named[0]["conversation_id"] = json!("WEB:3");
    let other = answered(text("another answer"), json!({})).to_string();
    let cut = other.find("another").expect("it is there");
    let own = json!({
        "id": server::store::new_id(), "title": "Own", "created_at": 1, "updated_at": 1,
        "messages": [{ "id": "a", "role": "user", "text": "x", "created_at": 1,
            "state": { "done": { "finish": "stop" } } }],
    });
    let files = [
        answered(text("hello"), json!({})).to_string(),
        without.to_string(),
        named.to_string(),
        json!([{ "name": "C", "chat_messages": [{ "sender": "human", "text": "Hi" }] }])
            .to_string(),
        json!({ "title": "L", "messages": [{ "sender": "User", "text": "Hi" }] }).to_string(),
        own.to_string(),
        // Cut off, and so not the one that is there.
        other[..cut].to_owned(),
    ];
    for (round, expect) in [(1, 1), (2, 0)] {
        for file in &files {
            let (_, report) = import(&rill, file.clone()).await;
            assert_eq!(report["conversations"], expect, "{round}: {file} {report}");
        }
    }
}

#[tokio::test]
async fn what_was_cut_off_does_not_stand_in_the_way_of_the_whole() {
    // The messages are the last field, as they are in real files.
    let claude = format!(
        r#"[{{"uuid":"{ID}","name":"T","chat_messages":[
            {{"uuid":"a","sender":"human","text":"Hi"}},{{"uuid":"b","sender":"assistant","text":"Hello"}}]}}]"#
    );
    let message = |id: &str| {
        format!(
            r#"{{"id":"{id}","role":"user","text":"Hi","created_at":1,"state":{{"done":{{"finish":"stop"}}}}}}"#
        )
    };
    let own = format!(
        r#"[{{"id":"{ID}","title":"T","created_at":1,"updated_at":1,"messages":[{},{}]}}]"#,
        message("a"),
        message("b")
    );
    for file in [claude, own] {
        let rill = rill().await;
        let cut = file.len() - 20;
        let (_, report) = import(&rill, &file.as_bytes()[..cut]).await;
        assert_eq!(
            (&report["conversations"], &report["messages"]),
            (&json!(1), &json!(1)),
            "{report}"
        );
        assert!(
            report["skipped"][0]["why"]
                .as_str()
                .expect("a text")
                .contains("cut off within it")
        );
        assert_eq!(report["skipped"][1]["what"], "The file");
        let (_, again) = import(&rill, &file.as_bytes()[..cut]).await;
        assert_eq!(again["conversations"], 0, "{again}");
        let (_, whole) = import(&rill, file.clone()).await;
        assert_eq!(
            (&whole["conversations"], &whole["messages"]),
            (&json!(1), &json!(2)),
            "{whole}"
        );
        assert_eq!(kept(&rill, ID).await.messages.len(), 2);
    }
}

/// An archive of these files.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = rawzip::ZipArchiveWriter::new(&mut bytes);
    for (name, content) in files {
        let builder = writer.new_file(name);
        let builder = builder.compression_method(rawzip::CompressionMethod::DEFLATE);
        let (mut entry, config) = builder.start().expect("an entry");
        let encoder =
            flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::default());
        let mut data = config.wrap(encoder);
        data.write_all(content.as_bytes()).expect("written");
        let (encoder, descriptor) = data.finish().expect("written");
        encoder.finish().expect("written");
        entry.finish(descriptor).expect("written");
    }
    writer.finish().expect("written");
    bytes
}

#[tokio::test]
async fn an_archive_is_read_as_the_provider_sends_it() {
    let file = |title: &str| {
        let file = answered(text("hello"), json!({})).to_string();
        file.replace(ID, &server::store::new_id())
            .replace("\"T\"", &format!("\"{title}\""))
    };
    let bytes = archive(&[
        ("chat.html", "<html></html>"),
        ("conversations-000.json", &file("One")),
        ("conversations-001.json", &file("Two")),
        ("user.json", "{\"id\":\"user-1\"}"),
    ]);
    for form in [
        "application/zip",
        "application/x-zip-compressed",
        "application/octet-stream",
        "application/json",
    ] {
        let rill = rill().await;
        let request = Request::new("POST", IMPORT_PATH)
            .header("content-type", form)
            .body(bytes.clone());
        let answer = soon(rill.send(&request)).await;
        assert_eq!(answer.status, 200, "{form}");
        let report = soon(answer.json()).await;
        let expect = json!({ "conversations": 2, "messages": 4, "skipped": [], "more_skipped": 0 });
        assert_eq!(report, expect, "{form}");
        let (_, again) = import(&rill, bytes.clone()).await;
        assert_eq!(again["conversations"], 0);
    }
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused_with_what_is_read_and_changes_nothing() {
    let rill = rill().await;
    let elsewhere = archive(&[("photos/index.json", "{\"photos\":[]}")]);
    let no_json = archive(&[("a.txt", "Hi")]);
    for (file, word) in [
        (&b"# Notes"[..], "ChatGPT"),
        (b"<!doctype html><title>ChatGPT Data Export</title>", "ZIP"),
        (b"{\"messages\":5}", "LibreChat"),
        (b"[{\"uuid\":\"u\",\"full_name\":\"A\"}]", "Claude"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "Open WebUI"),
        (b"", "empty"),
        (&elsewhere, "ChatGPT"),
        (&no_json, "conversations.json"),
    ] {
        let (status, report) = import(&rill, file).await;
        assert_eq!(status, 400, "{report}");
        let sentence = report["error"]["message"].as_str().expect("a sentence");
        assert!(sentence.contains(word), "{sentence}");
    }
    let (_, list) = call(&rill, "list", &json!({ "limit": 500 })).await;
    assert_eq!(list["conversations"], json!([]));
}
