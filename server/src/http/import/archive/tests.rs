use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use rawzip::ZipArchiveWriter;

use super::*;
use crate::http::import::reading::NO_FORM;

/// A conversation of one question.
fn conversation(title: &str) -> String {
    format!(
        r#"{{"uuid":"x","name":"{title}","chat_messages":[{{"uuid":"a","sender":"human","text":"Hi, {title}."}}]}}"#
    )
}

/// How a file is written into an archive.
#[derive(Clone, Copy)]
enum Way {
    Stored,
    Deflated,
}

fn archive(members: &[(&str, Way, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ZipArchiveWriter::new(&mut bytes);
    for (name, way, content) in members {
        let builder = writer.new_file(name);
        match way {
            Way::Stored => {
                let builder = builder.compression_method(CompressionMethod::STORE);
                let (mut entry, config) = builder.start().expect("an entry");
                let mut data = config.wrap(&mut entry);
                data.write_all(content).expect("written");
                let (_, descriptor) = data.finish().expect("written");
                entry.finish(descriptor).expect("written");
            }
            Way::Deflated => {
                let builder = builder.compression_method(CompressionMethod::DEFLATE);
                let (mut entry, config) = builder.start().expect("an entry");
                let encoder = DeflateEncoder::new(&mut entry, Compression::default());
                let mut data = config.wrap(encoder);
                data.write_all(content).expect("written");
                let (encoder, descriptor) = data.finish().expect("written");
                encoder.finish().expect("written");
                entry.finish(descriptor).expect("written");
            }
        }
    }
    writer.finish().expect("written");
    bytes
}

/// The result of an archive: the titles that were read and the skipped files, or the sentence of its refusal.
fn outcome(most: u64, bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("written");
    let mut outcome = Vec::new();
    let done = read_within(most, &file, &|_| {}, &mut |step| {
        match step {
            ImportStep::Part(_) => {}
            ImportStep::End(head, _) => outcome.push(head.title),
            ImportStep::Skipped(Skipped { what, why }) => outcome.push(format!("{what}: {why}")),
        }
        true
    });
    match done {
        Ok(()) => Ok(outcome),
        Err(Unreadable::Sentence(sentence)) => Err(sentence),
        Err(other) => Err(format!("{other:?}")),
    }
}

fn check(members: &[(&str, Way, &[u8])], expect: Result<&[&str], &str>) {
    let expect = match expect {
        Ok(lines) => Ok(lines.iter().map(|line| (*line).to_owned()).collect()),
        Err(sentence) => Err(sentence.to_owned()),
    };
    let names: Vec<_> = members.iter().map(|(name, ..)| name).collect();
    assert_eq!(
        outcome(MAX_INFLATED, &archive(members)),
        expect,
        "{names:?}"
    );
}

#[test]
fn the_files_of_conversations_are_found_in_any_folder_and_read_in_order() {
    let (one, two) = (conversation("One"), conversation("Two"));
    let (one, two) = (one.as_bytes(), two.as_bytes());
    let other = br#"{"id":"user-1"}"#;
    let image = [0x89, b'P', b'N', b'G'];
    check(
        &[
            ("export/conversations-001.json", Way::Deflated, two),
            ("export/user.json", Way::Deflated, other),
            (
                "export/shared_conversations.json",
                Way::Deflated,
                b"[{\"id\":\"x\",\"title\":\"S\"}]",
            ),
            ("export/file-1.png", Way::Stored, &image),
            ("export/conversations-000.json", Way::Stored, one),
            (
                "__MACOSX/export/._conversations-000.json",
                Way::Stored,
                &image,
            ),
        ],
        Ok(&["One", "Two"]),
    );
    check(&[("Conversations.JSON", Way::Deflated, one)], Ok(&["One"]));
    check(
        &[("..\\a\\conversations (1).json", Way::Deflated, one)],
        Ok(&["One"]),
    );
    check(
        &[
            ("/etc/conversations.json", Way::Deflated, one),
            ("../conversations.json", Way::Deflated, two),
        ],
        Ok(&["Two", "One"]),
    );
}

#[test]
fn a_damaged_conversation_in_an_archive_costs_itself_only() {
    let damaged = conversation("Two").replace(r#""uuid":"a""#, r#"{"uuid":"a""#);
    let list = format!(
        "[{},{damaged},{}]",
        conversation("One"),
        conversation("Three")
    );
    for way in [Way::Stored, Way::Deflated] {
        let whole = archive(&[("conversations.json", way, list.as_bytes())]);
        // Also where the directory at its end is missing.
        for bytes in [&whole[..], &whole[..whole.len() - 30]] {
            let outcome = outcome(MAX_INFLATED, bytes).expect("a file");
            assert_eq!(outcome[0], "One", "{outcome:?}");
            assert!(outcome[1].starts_with("Two"), "{outcome:?}");
            assert_eq!(outcome[2], "Three", "{outcome:?}");
        }
    }
}

#[test]
fn without_such_a_name_all_json_is_read() {
    let (one, two) = (conversation("One"), conversation("Two"));
    check(
        &[
            ("chat-export.json", Way::Deflated, one.as_bytes()),
            ("more/b.json", Way::Deflated, two.as_bytes()),
            ("user.json", Way::Deflated, b"{}"),
            (".hidden.json", Way::Deflated, one.as_bytes()),
        ],
        Ok(&["One", "Two", &format!("user.json: {NO_SUCH_FILE}")]),
    );
}

#[test]
fn an_archive_without_conversations_is_refused_with_a_sentence() {
    check(&[], Err(NOTHING_IN_IT));
    check(
        &[("chat.html", Way::Deflated, b"<html>")],
        Err(NOTHING_IN_IT),
    );
    check(&[("user.json", Way::Deflated, b"{}")], Err(NO_SUCH_FILE));
    check(
        &[("conversations.json", Way::Deflated, b"")],
        Err("conversations.json in the ZIP file: The file is empty."),
    );
    let all = format!("[1, {}]", conversation("One"));
    check(
        &[("conversations.json", Way::Deflated, all.as_bytes())],
        Ok(&[&format!("Conversation 1 of the file: {NO_FORM}"), "One"]),
    );
}

#[test]
fn what_is_inflated_is_bounded_in_sum() {
    let mut bomb = b"[".to_vec();
    bomb.resize(3_000_000, b' ');
    let bytes = archive(&[
        ("conversations-1.json", Way::Deflated, &bomb),
        ("conversations-2.json", Way::Deflated, &bomb),
    ]);
    assert!(bytes.len() < 20_000);
    assert_eq!(outcome(4_000_000, &bytes), Err("TooLarge".to_owned()));
    // The same file twice in the list of an archive is read twice, and counted twice.
    let one = conversation("One");
    let small = archive(&[("conversations.json", Way::Stored, one.as_bytes())]);
    assert_eq!(
        outcome(one.len() as u64, &small),
        Err("TooLarge".to_owned())
    );
    assert_eq!(
        outcome(one.len() as u64 + 1, &small),
        Ok(vec!["One".to_owned()])
    );
}

#[test]
fn an_archive_that_is_cut_off_gives_what_is_whole() {
    let noise: String = (0..3000_u32)
        .map(|number| format!("{},", number.wrapping_mul(2_654_435_761)))
        .collect();
    let long = |title: &str| format!(r#"[{},{{"title":"{noise}"}}]"#, conversation(title));
    let (one, two) = (long("One"), long("Two"));
    for way in [Way::Stored, Way::Deflated] {
        let bytes = archive(&[
            ("a/conversations-000.json", way, one.as_bytes()),
            ("a/conversations-001.json", way, two.as_bytes()),
        ]);
        let second = memmem::find(&bytes, b"conversations-001").expect("it is there");
        // Within the list at the end, within the second file, and just before it.
        for (end, has_two) in [
            (bytes.len() - 30, true),
            (second + 8000, true),
            (second - 100, false),
        ] {
            let outcome = outcome(MAX_INFLATED, &bytes[..end]).expect("something whole");
            assert_eq!(outcome[0], "One", "{outcome:?}");
            assert_eq!(
                outcome.iter().any(|line| line == "Two"),
                has_two,
                "{outcome:?}"
            );
            let last = outcome.last().expect("a line");
            assert!(
                last.starts_with("The ZIP file: Its end is missing"),
                "{outcome:?}"
            );
        }
    }
}

#[test]
fn what_is_damaged_is_told_and_the_rest_is_read() {
    let (one, two) = (conversation("One"), conversation("Two"));
    let mut bytes = archive(&[
        ("conversations-1.json", Way::Stored, one.as_bytes()),
        ("conversations-2.json", Way::Deflated, two.as_bytes()),
    ]);
    let place = memmem::find(&bytes, b"Hi, One").expect("it is there");
    bytes[place] = b'h';
    let damaged = "conversations-1.json: It is damaged in the ZIP file. What could be read of it was imported.";
    let expect = ["One", damaged, "Two"].map(str::to_owned).to_vec();
    assert_eq!(outcome(MAX_INFLATED, &bytes), Ok(expect));
    let place = memmem::rfind(&bytes, b"conversations-2.json").expect("it is there");
    // Its way of compression, in the list at the end.
    bytes[place - 36] = 99;
    let outcome = outcome(MAX_INFLATED, &bytes).expect("the first");
    assert!(
        outcome[2].contains("compressed in a way that is not read"),
        "{outcome:?}"
    );
}

proptest::proptest! {
    #[test]
    fn any_cut_of_an_archive_gives_no_other_conversation(at in 0.0..1.0_f64, way in 0..2) {
        let way = if way == 0 { Way::Stored } else { Way::Deflated };
        let one = conversation("One");
        let bytes = archive(&[("conversations.json", way, one.as_bytes())]);
        let end = (bytes.len() as f64 * at) as usize;
        if let Ok(outcome) = outcome(MAX_INFLATED, &bytes[..end]) {
            proptest::prop_assert!(outcome[0].starts_with("One"), "{outcome:?}");
        }
    }
}
