//! The cost of counting: `cargo bench -p server --bench metrics`.
//!
//! A piece of an answer costs one observation of a histogram. The second case has another thread count into the same
//! buckets meanwhile, which is the worst that two workers can do to each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use criterion::{Criterion, criterion_group, criterion_main};
use server::metrics::Metrics;
use tokio::time::Instant;

fn counting(criterion: &mut Criterion) {
    let metrics = Arc::new(Metrics::new(["gpt-5-mini".to_owned()].into()));
    let provider = metrics.provider("openai");
    let mut group = criterion.benchmark_group("metrics");
    let mut operation = provider.operation("gpt-5-mini");
    let now = Instant::now();
    group.bench_function("a piece", |bencher| bencher.iter(|| operation.chunk(now)));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut other = provider.operation("gpt-5-mini");
            while !is_over.load(Ordering::Relaxed) {
                other.chunk(now);
            }
        });
        group.bench_function("a piece, while another thread counts", |bencher| {
            bencher.iter(|| operation.chunk(now));
        });
        is_over.store(true, Ordering::Relaxed);
    });
    group.bench_function("a request for an answer", |bencher| {
        bencher.iter(|| provider.operation("gpt-5-mini").complete());
    });
    group.bench_function("a scrape", |bencher| bencher.iter(|| metrics.prometheus()));
    group.finish();
}

criterion_group!(benches, counting);
criterion_main!(benches);
