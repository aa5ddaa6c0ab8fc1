//! Files are of one idea, and functions fit a screen.
//!
//! Lines of code count: neither blank lines nor comments, and of a file not the module of its tests.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The most lines of code in a file.
const MOST_IN_FILE: usize = 450;
/// The most lines of code in a function.
const MOST_IN_FUNCTION: usize = 80;

/// What is longer and has yet to be split: a file, or a function of one, and how long it may be until then.
const YET_TO_SPLIT: &[(&str, &str, usize)] = &[
    ("app/src/markdown/as_written_tests.rs", "", 460),
    ("app/src/ui/panels/preset_form.rs", "PresetForm", 104),
    ("app/src/ui/panels/presets.rs", "Presets", 90),
    ("server/src/access/accounts.rs", "", 461),
    ("server/src/access/command.rs", "user", 84),
    (
        "server/src/config/access.rs",
        "a_mistake_in_the_section_is_told_with_its_line_and_column",
        85,
    ),
    ("server/src/config/file.rs", "read", 84),
    ("server/src/store/people/change.rs", "", 557),
    ("server/src/store/people/change.rs", "apply", 99),
    (
        "server/tests/access/commands.rs",
        "a_server_is_set_up_and_kept_by_commands",
        105,
    ),
    ("server/tests/access/openid.rs", "", 522),
    (
        "server/tests/access/sessions.rs",
        "two_people_see_their_own_conversations_only",
        113,
    ),
    ("server/tests/access/sign_in.rs", "", 453),
    (
        "server/tests/access/sign_in.rs",
        "an_admin_lets_people_in_and_puts_them_out",
        97,
    ),
    (
        "server/tests/http/traces.rs",
        "a_request_its_reply_its_attempts_and_its_transactions_are_one_trace",
        86,
    ),
];

#[test]
fn no_file_and_no_function_is_too_long() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut findings = String::new();
    let mut count = 0;
    for source in [
        "app/benches",
        "app/fuzz/fuzz_targets",
        "app/src",
        "app/tests",
        "frontend/src",
        "server/benches",
        "server/src",
        "server/tests",
    ] {
        let mut files = Vec::new();
        collect(&workspace.join(source), &mut files);
        count += files.len();
        for file in files {
            let text = std::fs::read_to_string(&file).expect("source is text");
            let file = file.strip_prefix(&workspace).expect("it is below");
            let file = file.display().to_string();
            for (name, length) in check(&text) {
                let may_be = |(of, known, most): &(&str, &str, usize)| {
                    *of == file && *known == name && length <= *most
                };
                if !YET_TO_SPLIT.iter().any(may_be) {
                    let _ = writeln!(findings, "{length} lines of code: {file} {name}");
                }
            }
        }
    }
    assert!(count > 400, "{count} files");
    assert_eq!(findings, "");
}

#[test]
fn what_is_too_long_is_found() {
    let line = "        let a = 1;\n";
    let function = |lines: usize| format!("pub async fn long() {{\n{}}}\n", line.repeat(lines));
    let cases = [
        (line.repeat(450), vec![]),
        (line.repeat(451), vec![("", 451)]),
        (format!("{}{}", "\n".repeat(99), line.repeat(450)), vec![]),
        (format!("{}// b\n", line.repeat(450)), vec![]),
        (
            format!(
                "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
                line.repeat(450),
                line.repeat(9)
            ),
            vec![],
        ),
        (function(78), vec![]),
        (function(79), vec![("long", 81)]),
        (
            format!(
                "{}impl A {{\n    fn b() {{\n{}    }}\n}}\n",
                line,
                line.repeat(79)
            ),
            vec![("b", 81)],
        ),
        (format!("mod tests {{\n{}}}\n", line.repeat(100)), vec![]),
        (
            format!(
                "trait A {{\n    fn b();\n    fn c() {{}}\n}}\nmod a {{\n{}}}\n",
                line.repeat(100)
            ),
            vec![],
        ),
    ];
    for (text, expect) in cases {
        let found = check(&text);
        let found: Vec<_> = found
            .iter()
            .map(|(name, length)| (*name, *length))
            .collect();
        assert_eq!(found, expect, "{text}");
    }
}

/// All that is too long in a file, by the name of the function, or none for the file, with its lines. The code is
/// formatted, so a function ends with the brace below its first letter.
fn check(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let tests = lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with('{'));
    let mut findings = Vec::new();
    let in_file = code(&lines[..tests.unwrap_or(lines.len())]);
    if in_file > MOST_IN_FILE {
        findings.push(("", in_file));
    }
    for (number, line) in lines.iter().enumerate() {
        let Some(name) = name_of_function(line) else {
            continue;
        };
        let indent = &line[..line.len() - line.trim_start().len()];
        let is_end = |line: &&str| {
            let inner = line.strip_prefix(indent).unwrap_or_default();
            inner.starts_with('}')
                || (!inner.starts_with([' ', ')']) && inner.ends_with([';', '}']))
        };
        let after = lines[number..].iter().position(is_end).unwrap_or(0);
        let length = code(&lines[number..=number + after]);
        if length > MOST_IN_FUNCTION {
            findings.push((name, length));
        }
    }
    findings
}

fn name_of_function(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip_while(|word| {
        word.starts_with("pub") || matches!(*word, "const" | "async" | "in" | "super)")
    });
    (words.next() == Some("fn")).then_some(())?;
    words.next()?.split(['(', '<']).next()
}

/// How many of these lines are code.
fn code(lines: &[&str]) -> usize {
    let is_code = |line: &&&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    lines.iter().filter(is_code).count()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
