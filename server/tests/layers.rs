//! The layers of ARCHITECTURE.md: a layer uses those below it and none above.
//!
//! Every path in the code counts, also in tests: `crate::layer`, and as many `super::` as lead to the root.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A crate: its folder below the workspace, and for each room the other rooms that it may use.
struct Layers {
    source: &'static str,
    rooms: &'static [(&'static str, &'static [&'static str])],
    /// What the files of a room may not name.
    forbidden: &'static [(&'static str, &'static [&'static str])],
}

const SERVER: Layers = Layers {
    source: "server/src",
    rooms: &[
        (
            "main",
            &["access", "config", "doctor", "http", "providers", "store"],
        ),
        (
            "lib",
            &[
                "access",
                "config",
                "doctor",
                "http",
                "metrics",
                "providers",
                "reference",
                "replies",
                "roots",
                "store",
                "traces",
            ],
        ),
        (
            "http",
            &[
                "access",
                "config",
                "metrics",
                "providers",
                "reference",
                "replies",
                "store",
                "traces",
            ],
        ),
        ("access", &["store"]),
        (
            "replies",
            &["metrics", "providers", "reference", "store", "traces"],
        ),
        ("providers", &["metrics", "roots"]),
        ("store", &["metrics", "traces"]),
        ("metrics", &["traces"]),
        ("traces", &["roots"]),
        // These two use no other.
        ("reference", &[]),
        ("roots", &[]),
        (
            "doctor",
            &["config", "metrics", "providers", "roots", "store"],
        ),
        // It builds the settings of the layers, which are types of these.
        (
            "config",
            &["access", "providers", "replies", "store", "traces"],
        ),
    ],
    forbidden: &[
        ("replies", &["axum::", "app::ui", "app::page"]),
        // An owner comes from the caller of the request.
        ("http", &["LOCAL_OWNER"]),
        ("access", &["axum::", "app::ui", "app::page"]),
        // The demo is a server of its own.
        ("providers", &["app::ui", "app::page", "app::reply"]),
        ("store", &["axum::", "app::ui", "app::page", "app::reply"]),
    ],
};

const APP: Layers = Layers {
    source: "app/src",
    rooms: &[
        ("lib", &["page", "platform", "protocol", "ui"]),
        ("protocol", &[]),
        ("sse", &[]),
        ("platform", &[]),
        ("markdown", &["protocol"]),
        ("reply", &["platform", "protocol", "sse"]),
        ("library", &["platform", "protocol"]),
        ("chat", &["library", "platform", "protocol", "reply"]),
        (
            "page",
            &[
                "chat", "library", "markdown", "platform", "protocol", "reply", "ui",
            ],
        ),
        (
            "ui",
            &[
                "chat", "library", "markdown", "page", "platform", "protocol", "reply",
            ],
        ),
    ],
    forbidden: &[
        ("protocol", &["web_sys", "leptos"]),
        ("sse", &["web_sys", "leptos"]),
        ("markdown", &["web_sys", "leptos"]),
        ("reply", &["web_sys"]),
        ("chat", &["web_sys"]),
    ],
};

#[test]
fn no_layer_of_the_server_uses_one_above_it() {
    assert_eq!(SERVER.findings(), "");
}

#[test]
fn a_route_is_added_with_what_it_needs_or_not_at_all() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
    let mut files = Vec::new();
    collect(&source, &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).expect("source is text");
        let is_table = file.ends_with("routes.rs");
        // Others use the words for models.
        if !text.contains("axum::routing") && !text.contains("axum::Router") {
            continue;
        }
        for past in [
            ".route(",
            ".route_service(",
            ".nest",
            ".merge(",
            ".fallback_service(",
        ] {
            assert!(
                is_table || !text.contains(past),
                "{past} in {}",
                file.display()
            );
        }
    }
}

#[test]
fn no_layer_of_the_page_uses_one_above_it() {
    assert_eq!(APP.findings(), "");
}

#[test]
fn an_arrow_that_goes_up_is_found_however_it_is_written() {
    let check = |file: &str, line: &str, expect: bool| {
        let found = SERVER.check(Path::new(file), line);
        assert_eq!(!found.is_empty(), expect, "{file}: {line}: {found}");
    };
    check("store/read.rs", "use crate::replies::log::Log;", true);
    check(
        "store/read.rs",
        "    let log: crate::replies::log::Log = log;",
        true,
    );
    check(
        "store/read.rs",
        "use super::super::http::state::AppState;",
        true,
    );
    check(
        "store/tests/full_disk.rs",
        "use super::super::super::config::Config;",
        true,
    );
    check("store.rs", "use super::config::Config;", true);
    check(
        "store/read.rs",
        "use crate::{config::Config, store::Store};",
        true,
    );
    check(
        "store/read.rs",
        "use crate::{\n    store::Store,\n    config::Config,\n};",
        true,
    );
    check("store/read.rs", "use axum::Router;", true);
    check("store/read.rs", "use super::rows;", false);
    check("store/read.rs", "use crate::store::rows;", false);
    check("store/read.rs", "//! What [`crate::http`] asks for.", false);
    check("replies/relay.rs", "use crate::store::Store;", false);
    check("unknown/file.rs", "", true);
}

impl Layers {
    /// All that is wrong, a line each.
    fn findings(&self) -> String {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(self.source);
        let mut files = Vec::new();
        collect(&source, &mut files);
        assert!(files.len() > 20, "{}: {}", self.source, files.len());
        let mut findings = String::new();
        for file in files {
            let text = std::fs::read_to_string(&file).expect("source is text");
            let file = file.strip_prefix(&source).expect("it is below");
            findings.push_str(&self.check(file, &text));
        }
        findings
    }

    fn check(&self, file: &Path, text: &str) -> String {
        let mut findings = String::new();
        let path = file.with_extension("");
        let modules: Vec<_> = path.iter().filter_map(|name| name.to_str()).collect();
        let room = modules[0];
        let Some((_, allowed)) = self.rooms.iter().find(|(name, _)| *name == room) else {
            return format!("{}: no room is called so\n", file.display());
        };
        // In lib.rs and main.rs the root is the module itself.
        let depth = if matches!(room, "lib" | "main") {
            0
        } else {
            modules.len()
        };
        let forbidden = self.forbidden.iter().filter(|(name, _)| *name == room);
        let forbidden: Vec<_> = forbidden.flat_map(|(_, names)| *names).collect();
        let lines: Vec<_> = text
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default())
            .collect();
        for (number, line) in lines.iter().enumerate() {
            // A group of paths can be written over several lines.
            let code = match line.split_once("::{") {
                Some((_, group)) if !group.contains('}') => {
                    let rest = lines[number..].join(" ");
                    rest.split_inclusive('}')
                        .next()
                        .unwrap_or_default()
                        .to_owned()
                }
                _ => (*line).to_owned(),
            };
            let code = code.as_str();
            let mut wrong: Vec<String> = rooms_of(code, depth)
                .into_iter()
                .filter(|used| *used != room && !allowed.contains(used))
                .filter(|used| self.rooms.iter().any(|(name, _)| name == used))
                .map(|used| format!("{room} may not use {used}"))
                .collect();
            let named = forbidden.iter().filter(|name| code.contains(**name));
            wrong.extend(named.map(|name| format!("{room} may not name {name}")));
            for wrong in wrong {
                let _ = writeln!(findings, "{}:{}: {wrong}", file.display(), number + 1);
            }
        }
        findings
    }
}

/// The first names of the paths from the root of the crate in a line of a module at this depth.
fn rooms_of(code: &str, depth: usize) -> Vec<&str> {
    let to_root = "super::".repeat(depth);
    let mut starts: Vec<&str> = code.split("crate::").skip(1).collect();
    if depth > 0 {
        starts.extend(code.split(to_root.as_str()).skip(1));
    }
    let mut found = Vec::new();
    for rest in starts {
        match rest.strip_prefix('{') {
            None => found.push(first_name(rest)),
            Some(group) => {
                let group = group.split('}').next().unwrap_or_default();
                found.extend(group.split(',').map(|path| first_name(path.trim())));
            }
        }
    }
    found
}

fn first_name(path: &str) -> &str {
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_');
    &path[..end.unwrap_or(path.len())]
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
