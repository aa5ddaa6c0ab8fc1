//! The store with the data of years: 10,000 conversations with 100,000 messages, and one conversation of 1,000
//! messages.
//!
//! `cargo bench -p server --bench store`. Runs with SQLite in a temporary folder and, where the variable
//! `RILL_TEST_POSTGRES` names a server, with PostgreSQL. The database is filled before the measurement.
//! Measured are the list, searches for common and rare words and single letters, and opening the long
//! conversation, with the requests of the page.

use app::protocol::saved::{MessageState, SavedMessage};
use app::protocol::{Finish, Role};
use clap::Parser;
use criterion::{Criterion, criterion_group, criterion_main};
use server::config::Config;
use server::store::{self, ConversationHead, ImportCursor, ImportPart, LOCAL_OWNER, new_id};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, query};
use tokio::runtime::Runtime;

const CONVERSATIONS: usize = 10_000;
const MESSAGES: usize = 10;
const LONG: usize = 1_000;

const WORDS: [&str; 24] = [
    "stream", "water", "rill", "small", "river", "stone", "the", "a", "of", "and", "language",
    "model", "answer", "question", "word", "token", "compile", "borrow", "async", "server", "東京",
    "naïve", "table", "index",
];

/// About 80 words, different for each seed, some rare.
fn text(seed: usize) -> String {
    let mut state = seed as u64 + 1;
    let mut words = vec![format!("rare{}", seed % 5_000)];
    for _ in 0..80 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        words.push(WORDS[(state >> 33) as usize % WORDS.len()].to_owned());
    }
    words.join(" ")
}

/// The parts of an import of one conversation.
fn conversation(id: &str, number: usize, messages: usize) -> Vec<ImportPart> {
    let mut parts = vec![ImportPart::Begin(Some(id.to_owned()))];
    let mut parent = None;
    for at in 0..messages {
        let id = new_id();
        parts.push(ImportPart::Message(Box::new(SavedMessage {
            id: id.clone(),
            parent: parent.replace(id),
            role: if at.is_multiple_of(2) {
                Role::User
            } else {
                Role::Assistant
            },
            text: text(number * messages + at),
            reasoning: String::new(),
            model: Some("gpt-5-mini".into()),
            created_at: 1,
            usage: None,
            timing: None,
            state: MessageState::Done {
                finish: Finish::Stop,
            },
            could_not_be_saved: false,
            edited: false,
        })));
    }
    parts.push(ImportPart::End(ConversationHead {
        id: id.to_owned(),
        title: format!("About {} {number}", WORDS[number % WORDS.len()]),
        created_at: number as i64,
        updated_at: number as i64,
        pinned: false,
        leaf: None,
    }));
    parts
}

fn bench(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().to_str().expect("a plain path");
    measure(criterion, &runtime, "store", &["--data-dir", path]);
    let Ok(server) = std::env::var("RILL_TEST_POSTGRES") else {
        return;
    };
    sqlx::any::install_default_drivers();
    let run = |url: &str, sql: String| {
        runtime.block_on(async {
            let mut connection = AnyConnection::connect(url).await.expect("PostgreSQL");
            let done = query(AssertSqlSafe(sql)).execute(&mut connection).await;
            done.expect("it is ours");
        });
    };
    let name = format!("rill_{}", new_id().replace('-', ""));
    run(&server, format!("create database {name}"));
    let url = server.replacen("/postgres", &format!("/{name}"), 1);
    measure(
        criterion,
        &runtime,
        "store in PostgreSQL",
        &["--database-url", &url],
    );
    run(&server, format!("drop database {name} with (force)"));
}

fn measure(criterion: &mut Criterion, runtime: &Runtime, name: &str, arguments: &[&str]) {
    let config = Config::parse_from([&["rill"], arguments].concat());
    let id = new_id();
    let store = runtime.block_on(async {
        let store = store::open(&config.saving.store())
            .await
            .expect("a store")
            .store;
        let mut cursor = ImportCursor::default();
        for first in (0..CONVERSATIONS).step_by(500) {
            let mut parts = Vec::new();
            for number in first..first + 500 {
                parts.extend(conversation(&new_id(), number, MESSAGES));
            }
            store
                .import(LOCAL_OWNER, "bench", &mut cursor, parts)
                .await
                .expect("saved");
        }
        let long = conversation(&id, CONVERSATIONS, LONG);
        store
            .import(LOCAL_OWNER, "bench", &mut cursor, long)
            .await
            .expect("saved");
        store
            .finish_import(LOCAL_OWNER, "bench")
            .await
            .expect("saved");
        store
    });
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);
    group.bench_function("the head of a list of 10,000", |b| {
        b.iter(|| {
            runtime
                .block_on(store.list(LOCAL_OWNER, None, 50))
                .expect("a list")
        });
    });
    group.bench_function("the whole list of 10,000, in parts of 500", |b| {
        b.iter(|| {
            let mut before = None;
            loop {
                let list = store.list(LOCAL_OWNER, before.as_deref(), 500);
                before = runtime.block_on(list).expect("a list").next;
                if before.is_none() {
                    break;
                }
            }
        });
    });
    for (name, query) in [
        ("a common word", "stream"),
        ("a single letter", "s"),
        ("two common words", "water stone"),
        ("a rare word", "rare4999"),
        ("signs without spaces", "東京"),
        ("a word that is nowhere", "zebra"),
    ] {
        group.bench_function(format!("search in 101,000 messages for {name}"), |b| {
            b.iter(|| {
                runtime
                    .block_on(store.search(LOCAL_OWNER, query, 30))
                    .expect("hits")
            });
        });
    }
    group.bench_function("opening a conversation of 1,000 messages", |b| {
        b.iter(|| {
            runtime
                .block_on(store.get(LOCAL_OWNER, &id))
                .expect("it is there")
        });
    });
    group.finish();
    runtime.block_on(store.close());
}

criterion_group!(benches, bench);
criterion_main!(benches);
