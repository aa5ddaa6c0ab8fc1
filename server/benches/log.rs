//! The log of a saved reply: the cost of adding an event, and of giving it to many readers.
//!
//! `cargo bench -p server --bench log`. One run compares adding alone, and adding with 1, 100 and 1,000 readers
//! that take every event as it arrives, with the cost of a reader that joins a complete reply. An event for N
//! readers costs N small copies and nothing else.

use std::sync::Arc;

use app::protocol::{ChatEvent, Start};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures::FutureExt;
use server::replies::log::{Log, LogReader};

const EVENTS: usize = 200;

fn log() -> Arc<Log> {
    Log::new(Start {
        generation: "0123456789abcdef0123456789abcdef".into(),
        model: "gpt-5-mini".into(),
        ..Start::default()
    })
}

/// Takes what is there.
fn take(reader: &mut LogReader) -> usize {
    let mut bytes = 0;
    while let Some(Some(piece)) = reader.next().now_or_never() {
        bytes += piece.len();
    }
    bytes
}

/// Adds events, and lets each reader take each.
fn fan_out(readers: usize) -> usize {
    let log = log();
    let mut readers: Vec<LogReader> = (0..readers)
        .map(|_| log.read_after(None).expect("the beginning"))
        .collect();
    let mut writer = log.writer();
    let mut bytes = 0;
    for _ in 0..EVENTS {
        writer.add(&ChatEvent::Text(" word".into()));
        writer.show();
        bytes += readers.iter_mut().map(take).sum::<usize>();
    }
    bytes
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log, an event to each reader");
    for readers in [0, 1, 100, 1_000] {
        group.throughput(Throughput::Elements((EVENTS * readers.max(1)) as u64));
        group.bench_with_input(
            BenchmarkId::from_parameter(readers),
            &readers,
            |b, readers| {
                b.iter(|| fan_out(*readers));
            },
        );
    }
    group.finish();

    let mut group = criterion.benchmark_group("log, a reader who comes late");
    for events in [1_000, 100_000] {
        let log = log();
        let mut writer = log.writer();
        for _ in 0..events {
            writer.add(&ChatEvent::Text(" word".into()));
            writer.show();
        }
        group.throughput(Throughput::Elements(events));
        group.bench_function(BenchmarkId::new("from the beginning", events), |b| {
            b.iter(|| take(&mut log.read_after(None).expect("the beginning")));
        });
        group.bench_function(BenchmarkId::new("from the end", events), |b| {
            b.iter(|| take(&mut log.read_after(Some(events)).expect("it is there")));
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
