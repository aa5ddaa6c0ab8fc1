//! Encodings of a file, and characters and numbers that JSON does not have.

use serde_json::json;

use super::{ID, Imported, ODD, answered, check, text};

#[tokio::test]
async fn a_file_is_read_in_each_encoding() {
    let file = answered(text("é 東京 😀"), json!({})).to_string();
    let expect = ["- user: hi", "0 assistant: é 東京 😀 <"];
    let utf16 = |mark: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let marked = format!("{mark}{file}");
        marked.encode_utf16().flat_map(bytes).collect()
    };
    for bytes in [u16::to_be_bytes, u16::to_le_bytes] {
        check("UTF-16 with a mark", utf16("\u{feff}", bytes), "T", &expect).await;
        check("UTF-16 without", utf16("", bytes), "T", &expect).await;
    }
    check("two marks", format!("\u{feff}\u{feff}{file}"), "T", &expect).await;
}

#[tokio::test]
async fn an_odd_character_costs_itself() {
    let one = |title: &str, answer: &str| {
        let file = answered(text("ANSWER"), json!({}))[0].to_string();
        let id = server::store::new_id();
        file.replace("\"T\"", &format!("\"{title}\""))
            .replace(ID, &id)
            .replace("ANSWER", answer)
    };
    for (odd, expect) in [
        (&b"a\\ud83db"[..], "a\u{fffd}b"),
        (b"a\\ude00b", "a\u{fffd}b"),
        (b"a\\u0000b", "ab"),
        (b"a\0b", "ab"),
        (b"a\x07b", "ab"),
        (b"a\xffb", "a\u{fffd}b"),
        (b"a\\q", "a\\q"),
        (b"a\\u00g", "a\u{fffd}g"),
    ] {
        let mut file = format!("[{},", one("A", "fine")).into_bytes();
        let middle = one("T", "ANSWER").into_bytes();
        let place = middle
            .windows(6)
            .position(|part| part == b"ANSWER")
            .expect("it is there");
        file.extend(&middle[..place]);
        file.extend(odd);
        file.extend(&middle[place + 6..]);
        file.extend(format!(",{}]", one("C", "fine")).into_bytes());
        let imported = Imported::of(file).await;
        assert_eq!(imported.report["conversations"], 3, "{odd:?}");
        assert_eq!(
            imported.lines("T").await[1],
            format!("0 assistant: {expect} <")
        );
        assert_eq!(imported.skipped(), [format!("T: {ODD}")]);
    }
}

#[tokio::test]
async fn numbers_that_json_does_not_have_cost_themselves() {
    let file = answered(text("hello"), json!({ "weight": "W", "create_time": "T1" })).to_string();
    for word in ["NaN", "Infinity", "-Infinity", "undefined"] {
        let file = file.replace("\"W\"", word).replace("\"T1\"", word);
        let imported = Imported::of(file).await;
        assert_eq!(
            imported.lines("T").await,
            ["- user: hi", "0 assistant: hello <"]
        );
        let expect = "T: 2 values or characters have an unexpected form.";
        assert_eq!(imported.skipped(), [expect], "{word}");
    }
}
