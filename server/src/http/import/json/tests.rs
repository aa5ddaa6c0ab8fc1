use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const LIMIT: usize = 10_000;

/// The first value of a file as it is copied, whether the file was cut off, and how much of it was odd.
fn copy(text: &str) -> (String, bool, u64) {
    let mut json = Json::new(text.as_bytes());
    let copied = json.copy(LIMIT).expect("it can be read");
    (copied.json, json.is_cut(), json.odd())
}

#[test]
fn what_is_json_is_copied_as_it_is() {
    for text in [
        r#"{"a":["b\"]}",1.5e3,null,{"c\\":"\n"}],"d":true}"#,
        r#"["é 東京 😀",-0,1e-7,12345678901234567890]"#,
        "[]",
        "{}",
        "[[],[{}],\"\"]",
    ] {
        assert_eq!(copy(text), (text.to_owned(), false, 0));
    }
    let spaced = " { \"a\" : [ 1 ,\n\t2 ] } ";
    assert_eq!(copy(spaced), (r#"{"a":[1,2]}"#.to_owned(), false, 0));
    let escaped = r#""\ud83d\ude00 \u00e9 \u0022 \u005c \u001b""#;
    let expect = "\"😀 é \\\" \\\\ \\u001b\"";
    assert_eq!(copy(escaped), (expect.to_owned(), false, 0));
}

#[test]
fn what_is_no_json_costs_itself() {
    let check = |text: &str, expect: Value| {
        let (json, is_cut, odd) = copy(text);
        let value: Value = serde_json::from_str(&json).expect(text);
        assert_eq!((value, is_cut), (expect, false), "{text}");
        assert!(odd > 0, "{text}");
    };
    for word in [
        "NaN",
        "Infinity",
        "-Infinity",
        "undefined",
        "01",
        "1e999",
        "--1",
    ] {
        check(&format!("[1,{word},2]"), json!([1, null, 2]));
    }
    check(r#"["a\ud83db",1]"#, json!(["a\u{fffd}b", 1]));
    check(r#"["a\ude00b",1]"#, json!(["a\u{fffd}b", 1]));
    check(r#"["a\ud83d\ud83d\ude00b"]"#, json!(["a\u{fffd}😀b"]));
    check(r#"["a\ud83d\nb"]"#, json!(["a\u{fffd}\nb"]));
    check(r#"["a\ud83d\u00e9"]"#, json!(["a\u{fffd}é"]));
    check(r#"["a\u12","b"]"#, json!(["a\u{fffd}", "b"]));
    check(r#"["C:\windows\x"]"#, json!(["C:\\windows\\x"]));
    check(r#"["a\u0000b"]"#, json!(["ab"]));
    check("[\"a\u{0}b\u{7}c\"]", json!(["abc"]));
    check("[\u{0}1,\u{feff}2]", json!([1, 2]));
    check("[1,\u{a0}2]", json!([1, 2]));
    check(r#"{"a":1 2,"b":3}"#, json!({ "a": 1, "b": 3 }));
    check(r#"{"a","b":3}"#, json!({ "b": 3 }));
    check(
        r#"{"x":{"a":[1,{"b":2],"c":3},"d":4}"#,
        json!({ "x": { "a": [1, { "b": 2 }], "c": 3 }, "d": 4 }),
    );
    check(
        r#"{"a":{"b":[1,2},"c":3}"#,
        json!({ "a": { "b": [1, 2] }, "c": 3 }),
    );
    check("[1,2}]", json!([1, 2]));
}

#[test]
fn what_is_missing_between_values_is_passed_over() {
    let check = |text: &str, expect: Value| {
        let (json, is_cut, _) = copy(text);
        let value: Value = serde_json::from_str(&json).expect(text);
        assert_eq!((value, is_cut), (expect, false), "{text}");
    };
    check("[1,,2,]", json!([1, 2]));
    check("[1 2]", json!([1, 2]));
    check(r#"{"a":1 "b":2,}"#, json!({ "a": 1, "b": 2 }));
    check(r#"{"a":,"b":}"#, json!({ "a": null, "b": null }));
    check("[\"a\nb\tc\"]", json!(["a\nb\tc"]));
}

#[test]
fn a_value_that_is_too_large_is_left_out_and_the_next_one_is_there() {
    let more = LIMIT + 10;
    for large in [
        format!("\"{}\"", "x".repeat(more)),
        format!("\"a{}\"", r#"\""#.repeat(more)),
        format!("[{}1]", "1,".repeat(more)),
        format!("{{{}\"b\":1}}", "\"a\":{},".repeat(more / 5)),
    ] {
        let text = format!("[{large},2]");
        let mut json = Json::new(text.as_bytes());
        json.enter().expect("a list");
        assert!(json.next_item().expect("an item"));
        let copied = json.copy(LIMIT).expect("a value");
        assert_eq!((copied.json.as_str(), copied.is_too_large), ("null", true));
        assert!(json.next_item().expect("an item"));
        assert_eq!(json.copy(LIMIT).expect("a value").json, "2");
        assert!(!json.next_item().expect("an end"));
        assert!(!json.is_cut());
    }
}

#[test]
fn what_is_nested_too_deep_is_null() {
    let deep = |levels: usize| format!("[{}{},2]", "[".repeat(levels), "]".repeat(levels));
    let (json, is_cut, odd) = copy(&deep(100_000));
    let expect = format!(
        "{}null{},2]",
        "[".repeat(MAX_DEPTH),
        "]".repeat(MAX_DEPTH - 1)
    );
    assert_eq!((json, is_cut, odd), (expect, false, 0));
    let (_, is_cut, _) = copy(&"[{\"a\":".repeat(100_000));
    assert!(is_cut);
}

#[test]
fn of_an_object_only_what_is_wanted_is_copied() {
    let text =
        r#"{"no":[1,{"yes":2}],"yes":{"no":3},"many":[1,[2],3],"few":5,"nested":[4],"rest":6}"#;
    let mut json = Json::new(text.as_bytes());
    let wanted = |field: &str| match field {
        "yes" | "rest" => FieldUse::Copy,
        "many" | "few" => FieldUse::Count,
        "nested" => FieldUse::Enter,
        _ => FieldUse::Skip,
    };
    let mut part = json.begin_fields(LIMIT).expect("bytes").expect("an object");
    assert!(json.copy_fields(&mut part, wanted).expect("fields"));
    json.enter().expect("the list");
    assert!(json.next_item().expect("an item"));
    json.skip().expect("an item");
    assert!(!json.next_item().expect("its end"));
    assert!(!json.copy_fields(&mut part, wanted).expect("fields"));
    let expect = r#"{"yes":{"no":3},"many":3,"few":0,"rest":6}"#;
    assert_eq!(part.finish().json, expect);
    let mut other = Json::new(&b"[5]"[..]);
    let copied = other.begin_fields(LIMIT).expect("bytes").err();
    assert_eq!(copied.expect("no object").json, "[5]");
}

proptest! {
    #[test]
    fn any_text_gives_json_and_ends(text in r#"([\[\]{}",: \\a-f0-9.-]|\\u|\\ud83d|\\ude00|é|\PC){0,60}"#) {
        let (json, _, _) = copy(&text);
        let value: serde_json::Result<Value> = serde_json::from_str(&json);
        prop_assert!(value.is_ok(), "{:?} became {:?}", text, json);
    }

    #[test]
    fn json_is_read_as_serde_reads_it(value in any_json()) {
        let value = json!([value]);
        for text in [value.to_string(), format!("{value:#}")] {
            let (json, is_cut, odd) = copy(&text);
            let read: Value = serde_json::from_str(&json).expect("JSON");
            prop_assert_eq!((&read, is_cut, odd), (&value, false, 0));
        }
    }

    #[test]
    fn the_beginning_of_json_is_cut_off_and_stays_json(value in any_json(), at in 0.0..1.0_f64) {
        let text = format!("[{value},{value}]");
        let mut end = (text.len() as f64 * at) as usize;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (json, is_cut, _) = copy(&text[..end]);
        prop_assert!(is_cut);
        prop_assert!(serde_json::from_str::<Value>(&json).is_ok(), "{}", json);
    }
}

/// Any JSON of a moderate size.
pub(in crate::http::import) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|number| json!(f64::from(number) / 4.0)),
        "[^\u{0}]{0,12}".prop_map(Value::from),
        Just(json!("2024-01-01T00:00:00Z")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z_]{0,8}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}
