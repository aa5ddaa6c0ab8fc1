//! How the time of long work grows with its size, as an exponent: 1 is linear, and nothing here should be
//! above 1.2.
//!
//! `cargo bench -p server --bench linear [-- SIZE...]`, 1,000, 10,000 and 100,000 messages where no sizes
//! are given, as one conversation and as conversations of ten. The server is the real program in a process
//! of its own, with SQLite and, where the variable `RILL_TEST_POSTGRES` names a server, with PostgreSQL.
//! Import, export as JSON and as Markdown, a search, the page of the conversation; beside the time stand the
//! peak of the server's memory, the longest time that a short write waited meanwhile, and the longest that
//! `/healthz` did. A purge is done by the store itself, for a server waits a day for it. At the end files
//! that are small and could cost much. Linux only, since it reads `/proc`.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

#[path = "linear/program.rs"]
mod program;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use app::protocol::saved::{EXPORT_PATH, IMPORT_PATH, export_path};
use clap::Parser;
use program::Server;
use server::config::Config;
use server::store::{self, LOCAL_OWNER, new_id};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, query};
use tokio::runtime::Runtime;

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// How many messages a conversation has where there are many.
const FEW: usize = 10;

fn main() {
    let sizes: Vec<usize> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let sizes = if sizes.is_empty() {
        SIZES.to_vec()
    } else {
        sizes
    };
    let runtime = Runtime::new().expect("a runtime");
    for place in [Some(Place::sqlite()), Place::postgres(&runtime)]
        .into_iter()
        .flatten()
    {
        for shape in [Shape::One, Shape::Many] {
            let mut table = Table::default();
            for size in &sizes {
                measure(&runtime, &place, shape, *size, &mut table);
            }
            table.print(place.name, shape, &sizes);
        }
        place.drop_database(&runtime);
    }
    hostile();
}

/// How the messages are spread.
#[derive(Debug, Clone, Copy)]
enum Shape {
    One,
    Many,
}

/// Where the conversations are kept.
struct Place {
    name: &'static str,
    folder: tempfile::TempDir,
    postgres: Option<(String, String)>,
}

impl Place {
    fn sqlite() -> Self {
        Self {
            name: "SQLite",
            folder: tempfile::TempDir::new().expect("a folder"),
            postgres: None,
        }
    }

    fn postgres(runtime: &Runtime) -> Option<Self> {
        let server = std::env::var("RILL_TEST_POSTGRES").ok()?;
        let name = format!("rill_{}", new_id().replace('-', ""));
        run(runtime, &server, format!("create database {name}"));
        Some(Self {
            name: "PostgreSQL",
            postgres: Some((server, name)),
            ..Self::sqlite()
        })
    }

    fn arguments(&self) -> Vec<String> {
        match &self.postgres {
            None => vec![
                "--data-dir".to_owned(),
                self.folder.path().display().to_string(),
            ],
            Some((server, name)) => vec![
                "--database-url".to_owned(),
                server.replacen("/postgres", &format!("/{name}"), 1),
            ],
        }
    }

    fn drop_database(self, runtime: &Runtime) {
        if let Some((server, name)) = self.postgres {
            run(
                runtime,
                &server,
                format!("drop database {name} with (force)"),
            );
        }
    }
}

fn run(runtime: &Runtime, url: &str, sql: String) {
    sqlx::any::install_default_drivers();
    runtime.block_on(async {
        let mut connection = AnyConnection::connect(url).await.expect("PostgreSQL");
        let done = query(AssertSqlSafe(sql)).execute(&mut connection).await;
        done.expect("it is ours");
    });
}

/// What one kind of work took at each size.
#[derive(Default)]
struct Table(Vec<(&'static str, Vec<Took>)>);

#[derive(Clone, Copy)]
struct Took {
    time: Duration,
    peak_mib: f64,
    write: Duration,
    health: Duration,
}

impl Table {
    fn add(&mut self, work: &'static str, took: Took) {
        match self.0.iter_mut().find(|(known, _)| *known == work) {
            Some((_, all)) => all.push(took),
            None => self.0.push((work, vec![took])),
        }
    }

    fn print(&self, place: &str, shape: Shape, sizes: &[usize]) {
        println!("\n{place}, {shape:?}: {sizes:?} messages");
        for (work, all) in &self.0 {
            let times: Vec<String> = all
                .iter()
                .map(|took| format!("{:.3}", took.time.as_secs_f64()))
                .collect();
            let exponents: Vec<String> = all
                .windows(2)
                .zip(sizes.windows(2))
                .map(|(took, size)| {
                    let times = took[1].time.as_secs_f64() / took[0].time.as_secs_f64();
                    let sizes = size[1] as f64 / size[0] as f64;
                    format!("{:.2}", times.ln() / sizes.ln())
                })
                .collect();
            let longest = |of: fn(&Took) -> Duration| {
                let longest = all.iter().map(of).max().unwrap_or_default();
                longest.as_secs_f64() * 1000.0
            };
            let peaks: Vec<String> = all
                .iter()
                .map(|took| format!("{:.0}", took.peak_mib))
                .collect();
            println!(
                "  {work:16} {} s, exponents {}; peak {} MiB; a write waited {:.0} ms at most, \
                 /healthz {:.0} ms",
                times.join(" "),
                exponents.join(" "),
                peaks.join(" "),
                longest(|took| took.write),
                longest(|took| took.health),
            );
        }
    }
}

fn measure(runtime: &Runtime, place: &Place, shape: Shape, size: usize, table: &mut Table) {
    let files = tempfile::TempDir::new().expect("a folder");
    let path = files.path().join("file.json");
    let ids = write_file(&path, shape, size);
    let server = Server::start(&place.arguments());
    let small = new_id();
    let small_file = files.path().join("small.json");
    std::fs::write(&small_file, format!("[{}]", conversation(&small, 2))).expect("a file");
    assert_eq!(server.post_file(IMPORT_PATH, &small_file), 200);
    table.add(
        "import",
        server.watch(&small, || {
            assert_eq!(server.post_file(IMPORT_PATH, &path), 200);
        }),
    );
    let gets = [
        ("export JSON", EXPORT_PATH.to_owned()),
        ("export Markdown", export_path(&ids[0], "markdown")),
        ("page", format!("/c/{}", ids[0])),
    ];
    for (work, path) in gets {
        // The others are about one conversation.
        if work == "export JSON" || matches!(shape, Shape::One) {
            table.add(
                work,
                server.watch(&small, || assert_eq!(server.get(&path), 200)),
            );
        }
    }
    for (work, word) in [("search, common", "stream"), ("search, nowhere", "zebra")] {
        let body = format!("{{\"query\":\"{word}\"}}");
        table.add(
            work,
            server.watch(&small, || {
                assert_eq!(server.post("/api/conversations/search", &body), 200);
            }),
        );
    }
    for id in ids.iter().chain([&small]) {
        let body = format!("{{\"id\":\"{id}\"}}");
        assert_eq!(server.post("/api/conversations/delete", &body), 200);
    }
    drop(server);
    table.add("purge", purge(runtime, place));
}

/// Removes all that was deleted, while others write.
fn purge(runtime: &Runtime, place: &Place) -> Took {
    let arguments = place.arguments();
    let config = Config::parse_from([vec!["rill".to_owned()], arguments].concat());
    runtime.block_on(async {
        let store = store::open(&config.saving.store())
            .await
            .expect("a store")
            .store;
        let begun = Instant::now();
        let mut write = Duration::ZERO;
        let purge = store.purge(i64::MAX);
        tokio::pin!(purge);
        loop {
            let short = async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let begun = Instant::now();
                // Nothing is pinned, but one has to wait for that, too.
                let _ = store.pin(LOCAL_OWNER, "nobody", true).await;
                begun.elapsed()
            };
            tokio::select! {
                removed = &mut purge => {
                    removed.expect("removed");
                    break;
                }
                waited = short => write = write.max(waited),
            }
        }
        let took = Took {
            time: begun.elapsed(),
            peak_mib: 0.0,
            write,
            health: Duration::ZERO,
        };
        store.close().await;
        took
    })
}

/// About 600 letters.
fn text(number: usize) -> String {
    const WORDS: [&str; 8] = [
        "stream", "water", "small", "stone", "question", "borrow", "server", "table",
    ];
    let mut text = format!("rare{number}");
    let mut state = number as u64 + 1;
    while text.len() < 600 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        text.push(' ');
        text.push_str(WORDS[(state >> 33) as usize % WORDS.len()]);
    }
    text
}

fn conversation(id: &str, messages: usize) -> String {
    let mut json = Vec::new();
    write_conversation(&mut json, id, messages).expect("a buffer takes all");
    String::from_utf8(json).expect("it is text")
}

fn write_conversation(out: &mut impl Write, id: &str, messages: usize) -> std::io::Result<()> {
    write!(
        out,
        "{{\"id\":\"{id}\",\"title\":\"About water\",\"created_at\":1,\"updated_at\":2,\"messages\":["
    )?;
    for number in 0..messages {
        let (comma, parent) = match number.checked_sub(1) {
            None => ("", String::new()),
            Some(before) => (",", format!("\"parent\":\"m{before}\",")),
        };
        let role = if number.is_multiple_of(2) {
            "user"
        } else {
            "assistant"
        };
        write!(
            out,
            "{comma}{{\"id\":\"m{number}\",{parent}\"role\":\"{role}\",\"text\":\"{}\",\
             \"created_at\":1,\"state\":{{\"done\":{{\"finish\":\"stop\"}}}}}}",
            text(number)
        )?;
    }
    write!(out, "]}}")
}

/// Writes a file of ours, and gives the ids of its conversations.
fn write_file(path: &Path, shape: Shape, size: usize) -> Vec<String> {
    let (count, messages) = match shape {
        Shape::One => (1, size),
        Shape::Many => (size / FEW, FEW),
    };
    let ids: Vec<String> = (0..count).map(|_| new_id()).collect();
    let mut out = BufWriter::new(File::create(path).expect("a file"));
    out.write_all(b"[").expect("room");
    for (at, id) in ids.iter().enumerate() {
        if at > 0 {
            out.write_all(b",").expect("room");
        }
        write_conversation(&mut out, id, messages).expect("room");
    }
    out.write_all(b"]").expect("room");
    out.flush().expect("room");
    ids
}

/// Files of ChatGPT's that are small and could cost much.
fn hostile() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("file.json");
    let node = |content: &str, children: &str| {
        format!(
            "{{\"message\":{{\"author\":{{\"role\":\"assistant\"}},\"content\":{content}}},\
             \"parent\":null,\"children\":[{children}]}}"
        )
    };
    let gone: Vec<String> = (0..1500)
        .map(|number| format!("\"gone{number}\""))
        .collect();
    let thoughts = format!(
        "{{\"content_type\":\"thoughts\",\"thoughts\":[{{\"content\":\"{}\"}}]}}",
        "x".repeat(1024 * 1024)
    );
    let numbers = |count: usize| format!("[{}1]", "1,".repeat(count));
    let text = "{\"content_type\":\"text\",\"parts\":[\"Hi\"]}";
    let mapping = |nodes: &str| format!("[{{\"title\":\"T\",\"mapping\":{{{nodes}}}}}]");
    println!("\nFiles of ChatGPT's that could cost much");
    for (what, json) in [
        (
            "1 MiB of thoughts before 1,500 children that do not exist",
            mapping(&format!("\"a\":{}", node(&thoughts, &gone.join(",")))),
        ),
        (
            "200 MB of numbers in a message",
            mapping(&format!("\"a\":{}", node(&numbers(100_000_000), ""))),
        ),
        (
            "200 MB of numbers beside the messages",
            format!(
                "[{{\"x\":{},\"mapping\":{{\"a\":{}}}}}]",
                numbers(100_000_000),
                node(text, "")
            ),
        ),
        (
            "200 MB of one text",
            mapping(&format!(
                "\"a\":{}",
                node(&format!("\"{}\"", "x".repeat(200_000_000)), "")
            )),
        ),
        ("200 MB of levels", format!("[{}", "[".repeat(200_000_000))),
    ] {
        std::fs::write(&path, json).expect("a file");
        let place = Place::sqlite();
        let server = Server::start(&place.arguments());
        let mut status = 0;
        let took = server.watch(&new_id(), || status = server.post_file(IMPORT_PATH, &path));
        println!(
            "  {what}: {status}, {:.2} s, peak {:.0} MiB",
            took.time.as_secs_f64(),
            took.peak_mib
        );
    }
}
