use super::super::reading::NO_FORM;
use super::*;

/// How large a message may be here.
const LIMIT: u64 = 200_000;

/// The result of a file: a line for each conversation.
fn outcome(json: &str) -> Vec<String> {
    let mut outcome = Vec::new();
    let mut messages = None;
    let done = read(LIMIT, "The file", |_| Ok(json.as_bytes()), &mut |step| {
        match step {
            ImportStep::Part(ImportPart::Begin(_)) => messages = Some(0),
            ImportStep::Part(ImportPart::Message(_)) => {
                *messages.as_mut().expect("it has begun") += 1
            }
            ImportStep::Part(ImportPart::Drop) => {
                assert!(messages.take().is_some(), "it had begun")
            }
            ImportStep::Part(ImportPart::End(_)) => panic!("its end is a step"),
            ImportStep::Part(ImportPart::ForgetId) => assert!(messages.is_some(), "it has begun"),
            ImportStep::End(head, left_out) => outcome.push(format!(
                "{}: {} messages {}",
                head.title,
                messages.take().expect("it has begun"),
                left_out.unwrap_or_default()
            )),
            ImportStep::Skipped(skipped) => {
                assert!(messages.is_none(), "what was given is dropped first");
                outcome.push(format!("{}: {}", skipped.what, skipped.why));
            }
        }
        true
    });
    done.expect("a file");
    outcome
}

fn check(json: &str, expect: &[&str]) {
    assert_eq!(outcome(json), expect, "{json}");
}

const MESSAGE: &str =
    r#"{"id":"a","role":"user","text":"Hi","created_at":0,"state":{"done":{"finish":"stop"}}}"#;

#[test]
fn a_list_and_a_file_of_ours_are_read() {
    let one = format!(
        r#"{{"id":"x","title":"One","created_at":1,"updated_at":2,"messages":[{MESSAGE}]}}"#
    );
    check(&format!("[{one}]"), &["One: 1 messages "]);
    check(
        &format!(r#"{{"format":"rill","x":[1],"conversations":[{one},{one}]}}"#),
        &["One: 1 messages ", "One: 1 messages "],
    );
    check("[]", &[]);
}

#[test]
fn what_is_no_conversation_is_skipped_and_said() {
    let one = ours("One", MESSAGE);
    check(
        &format!(r#"[1, {{"title":"Odd"}}, {one}]"#),
        &[
            &format!("Conversation 1 of the file: {NO_FORM}"),
            &format!("Odd: {NO_FORM}"),
            "One: 1 messages ",
        ],
    );
    let orphan = MESSAGE.replace(r#""id":"a""#, r#""id":"a","parent":"b""#);
    check(
        &format!("[{}]", ours("T", &orphan)),
        &["T: Its messages do not follow each other."],
    );
}

/// Why a file is refused as a whole.
fn refused(json: &str) -> String {
    match read(LIMIT, "The file", |_| Ok(json.as_bytes()), &mut |_| true).expect_err(json) {
        Unreadable::Sentence(sentence) => sentence,
        other => panic!("{json}: {other:?}"),
    }
}

#[test]
fn a_file_that_is_none_is_refused_with_a_sentence() {
    for (json, sentence) in [
        ("", EMPTY),
        ("\u{feff} \n", EMPTY),
        ("[{}", NOTHING_WHOLE),
        ("[", NOTHING_WHOLE),
        ("1", NO_SUCH_FILE),
        ("{}", NO_SUCH_FILE),
        ("# Notes", NO_SUCH_FILE),
        ("<html>[{}]</html>", NO_SUCH_FILE),
        (r#"{"conversations":1}"#, NO_SUCH_FILE),
        (r#"[1, {"title":"Odd"}]"#, NO_SUCH_FILE),
        (r#"{"id":"user-1","email":"a@b.example"}"#, NO_SUCH_FILE),
        (
            r#"[{"uuid":"u","full_name":"A","email_address":"a@b.example"}]"#,
            NO_SUCH_FILE,
        ),
    ] {
        assert_eq!(refused(json), sentence, "{json}");
    }
    let deep = format!("[{}", "[".repeat(100_000));
    assert_eq!(refused(&deep), NOTHING_WHOLE);
    let number = format!("[{}]", "1".repeat(100_000));
    assert_eq!(refused(&number), NO_SUCH_FILE);
}

#[test]
fn several_lists_and_conversations_may_follow_each_other() {
    let one = ours("One", MESSAGE);
    let two = ours("Two", MESSAGE);
    let expect = &["One: 1 messages ", "Two: 1 messages "];
    for file in [
        format!("{one}\n{two}\n"),
        format!("[{one}][{two}]"),
        format!("[[{one}],[{two}]]"),
        format!("{one},{two}"),
        format!(r#"{{"x":1,"data":[{one},{two}]}}"#),
    ] {
        check(&file, expect);
    }
    check(
        &format!("[{one}]!?[{two}]"),
        &[
            expect[0],
            expect[1],
            "The file: 2 characters were passed over between its conversations.",
        ],
    );
}

#[test]
fn what_is_whole_of_a_file_that_is_cut_off_is_kept_and_the_cut_is_told() {
    let cut_off = "The file: It is cut off: its end is missing. What was whole was imported.";
    let one = ours("One", MESSAGE);
    let second = MESSAGE.replace(r#""id":"a""#, r#""id":"b","parent":"a""#);
    let two = ours("Two", &format!("{MESSAGE},{second}"));
    check(&format!("[{one}"), &["One: 1 messages ", cut_off]);
    let after_a_message = format!("[{one},{}", &two[..two.len() - 10]);
    check(
        &after_a_message,
        &[
            "One: 1 messages ",
            "Two: 1 messages The file is cut off within it: what follows is missing.",
            cut_off,
        ],
    );
    let before_a_message = format!(
        "[{one},{}",
        &two[..two.find("messages").expect("it is there") + 20]
    );
    check(
        &before_a_message,
        &[
            "One: 1 messages ",
            "Two: The file is cut off within it, before a message of it ends.",
            cut_off,
        ],
    );
}

/// A conversation of ours with these messages.
fn ours(title: &str, messages: &str) -> String {
    format!(
        r#"{{"id":"x","title":"{title}","created_at":1,"updated_at":2,"messages":[{messages}]}}"#
    )
}

/// An error in one conversation must not cost the one before it or after it.
fn check_between(what: &str, middle: &str, expect: &str) {
    let (first, last) = (ours("A", MESSAGE), ours("C", MESSAGE));
    let outcome = outcome(&format!("[{first},{middle},{last}]"));
    assert_eq!(
        outcome,
        ["A: 1 messages ", expect, "C: 1 messages "],
        "{what}"
    );
}

#[test]
fn a_conversation_that_is_wrong_costs_itself_only() {
    let second = |id: &str| MESSAGE.replace(r#""id":"a""#, &format!(r#""id":"{id}""#));
    let no_form = &format!("B: {NO_FORM}");
    let no_order = "B: Its messages do not follow each other.";
    let too_large = "B: One of its messages is larger than 16 MB.";
    let check = |what: &str, messages: &str, expect: &str| {
        check_between(what, &ours("B", messages), expect);
    };
    check(
        "whole",
        &format!("{MESSAGE},{}", second("b")),
        "B: 2 messages ",
    );
    check("empty", "", "B: It has no messages.");
    check(
        "twice the same id",
        &format!("{MESSAGE},{MESSAGE}"),
        no_order,
    );
    check("a number", &format!("{MESSAGE},1"), no_form);
    check("a list", "[[]]", no_form);
    check(
        "a field of a wrong kind",
        &MESSAGE.replace(r#""Hi""#, "[1]"),
        no_form,
    );
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    check("deep", &deep, no_form);
    check(
        "deep in a text",
        &MESSAGE.replace(r#""Hi""#, &deep),
        no_form,
    );
    let unknown = MESSAGE.replace(r#""id""#, &format!(r#""unknown":{deep},"id""#));
    check(
        "deep in a field that is not read",
        &unknown,
        "B: 1 messages ",
    );
    let long = MESSAGE.replace("Hi", &"x".repeat(LIMIT as usize));
    check("a long text", &format!("{MESSAGE},{long}"), too_large);
    let numbers = MESSAGE.replace(r#""Hi""#, &format!("[{}1]", "1,".repeat(LIMIT as usize)));
    check("numbers", &numbers, too_large);
    for (what, middle) in [
        (
            "messages that are none",
            r#"{"id":"x","title":"B","messages":{"a":[1]}}"#,
        ),
        (
            "no times",
            &ours("B", MESSAGE).replace(r#""created_at":1"#, r#""x":1"#),
        ),
        (
            "a time of a wrong kind",
            &ours("B", MESSAGE).replace(r#""updated_at":2"#, r#""updated_at":"2""#),
        ),
        (
            "an id of a wrong kind",
            &ours("B", MESSAGE).replace(r#""id":"x""#, r#""id":[]"#),
        ),
    ] {
        let middle = middle.replace(r#""created_at":0"#, r#""created_at":1"#);
        check_between(what, &middle, no_form);
    }
}

#[test]
fn a_damaged_conversation_costs_itself_only_and_is_named() {
    let message = |title: &str| {
        MESSAGE.replace(
            r#""text""#,
            &format!(r#""x":null,"title":"{title}","text""#),
        )
    };
    let one = ours("B", &message("x"));
    let is_named = |outcome: &&String| outcome.contains("The file is damaged within it");
    for (what, with) in [
        ("null", "{ull"),
        ("null", "nul}"),
        ("null", "nul]"),
        ("null", "\"ull"),
        ("}}}", "}}"),
        ("}]}", "}{}"),
        (r#"]}"#, ""),
    ] {
        let middle = one.replace(what, with);
        let (first, last) = (ours("A", MESSAGE), ours("C", MESSAGE));
        for file in [
            format!("[{first},{middle},{last}]"),
            format!("[{middle},{first},{middle},{middle},{last}]"),
            format!(r#"{{"format":"rill","version":1,"conversations":[{first},{middle},{last}]}}"#),
        ] {
            let damaged = file.matches(&middle).count();
            let outcome = outcome(&file);
            assert_eq!(
                outcome.iter().filter(is_named).count(),
                damaged,
                "{with}: {outcome:?}"
            );
            let whole: Vec<_> = outcome
                .iter()
                .filter(|outcome| !is_named(outcome))
                .collect();
            assert_eq!(
                whole,
                ["A: 1 messages ", "C: 1 messages "],
                "{with}: {outcome:?}"
            );
        }
    }
}

#[test]
fn the_fields_of_a_conversation_may_come_in_any_order() {
    let id = "6a0c1f0e-5f0b-4c3e-9f5e-0123456789ab";
    let late = format!(
        r#"[{{"messages":[{MESSAGE}],"leaf":"a","updated_at":2,"created_at":1,"pinned":true,"title":"T","id":"{id}"}}]"#
    );
    let mut steps = Vec::new();
    read(LIMIT, "The file", |_| Ok(late.as_bytes()), &mut |step| {
        steps.push(step);
        true
    })
    .expect("a file");
    let [
        ImportStep::Part(ImportPart::Begin(None)),
        ImportStep::Part(ImportPart::Message(message)),
        ImportStep::End(head, None),
    ] = &steps[..]
    else {
        panic!("{steps:?}");
    };
    assert_eq!((head.id.as_str(), head.pinned), (id, true));
    assert_eq!(head.leaf.as_ref(), Some(&message.id));
    // A file with nodes is ChatGPT's, whatever else it has.
    let both = format!(r#"[{{"title":"T","messages":[{MESSAGE}],"mapping":{{}}}}]"#);
    assert_eq!(outcome(&both), ["T: It has no messages with text."]);
}

#[test]
fn who_takes_no_more_ends_the_reading() {
    let many = format!("[{}]", vec![ours("A", MESSAGE); 100].join(","));
    let mut taken = 0;
    let done = read(LIMIT, "The file", |_| Ok(many.as_bytes()), &mut |_| {
        taken += 1;
        taken < 5
    });
    assert!(matches!(done, Err(Unreadable::NotTaken)));
    assert_eq!(taken, 5);
}
