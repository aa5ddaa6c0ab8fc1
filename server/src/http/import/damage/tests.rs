use super::*;

#[track_caller]
fn check(file: &str, expect: &[&str]) {
    let found = conversations(file.as_bytes()).expect("bytes");
    let rest = found.iter().map(|at| &file[*at as usize..]);
    let is_same = rest
        .clone()
        .zip(expect)
        .all(|(rest, begin)| rest.starts_with(begin));
    assert!(
        is_same && rest.len() == expect.len(),
        "{file}: {:?}",
        rest.collect::<Vec<_>>()
    );
}

const A: &str = r#"{"t":"a","m":[{"x":null,"y":1}]}"#;
const B: &str = r#"{"t":"b","m":[{"x":null,"y":1}]}"#;
const C: &str = r#"{"t":"c{\"t\":\"c\",\"m\":","m":[{"x":null,"y":1}]}"#;

#[test]
fn a_file_that_is_whole_or_cut_off_has_no_damage() {
    for file in [
        format!("[{A},{B},{C}]"),
        format!("[{A},{B},{}", &C[..30]),
        format!("[{A},{B}"),
        format!(r#"{{"x":1,"chats":[{A},{B}]}}"#),
        format!("{A}\n{B}\n{C}"),
        String::new(),
        "]".to_owned(),
        "[".repeat(100_000),
    ] {
        check(&file, &[]);
    }
}

#[test]
fn conversations_are_found_by_their_first_keys_whatever_is_damaged_before_them() {
    let expect = [r#"{"t":"a""#, r#"{"t":"b""#, r#"{"t":"c"#];
    for damaged in [
        B.replace("null", "{ull"),
        B.replace("null", "[ull"),
        B.replace("null", "nul}"),
        B.replace("null", "nul]"),
        B.replace("null", "nul\""),
        B.replace(r#""x""#, "\"x"),
        B.replace(r#""x""#, "x\""),
        B.replace("}]}", "}]"),
        B.replace("}]}", ""),
    ] {
        for file in [
            format!("[{A},{damaged},{C}]"),
            format!("[ {A} , {damaged} , {C} ]"),
            format!("[{A}, {damaged}, {}", &C[..C.len() - 4]),
            format!("[[{A},{damaged}],[{C}]]"),
            format!(r#"{{"format":"x","y":[{{"a":1,"b":2}}],"chats":[{A},{damaged},{C}]}}"#),
            format!("{A}\n{damaged}\n{C}"),
        ] {
            check(&file, &expect);
        }
    }
}

#[test]
fn where_the_first_conversation_is_damaged_known_keys_are_looked_for() {
    let of = |title: &str| format!(r#"{{"title": "{title}", "create_time": 1, "mapping": {{}}}}"#);
    let damaged = of("a").replace(r#"{"title""#, r#"{[title""#);
    let file = format!("[{damaged}, {}, {}]", of("b"), of("c"));
    check(&file, &[r#"{"title": "b""#, r#"{"title": "c""#]);
}
