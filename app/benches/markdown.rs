//! The renderer alone, without a browser: how many bytes a second it takes in, and what a piece of the
//! text costs with little and with very much text before it. The document is one that does nothing.

use std::hint::black_box;
use std::time::{Duration, Instant};

use app::markdown::node::Kind;
use app::markdown::parse::parse_whole;
use app::markdown::patch::Dom;
use app::markdown::stream::Stream;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// A document whose nodes are numbers.
#[derive(Default)]
struct NoDom(usize);

impl NoDom {
    fn next(&mut self) -> usize {
        self.0 += 1;
        self.0
    }
}

impl Dom for NoDom {
    type Node = usize;

    fn create(&mut self, _: &Kind) -> (usize, usize) {
        (self.next(), self.next())
    }

    fn create_text(&mut self, _: &str) -> usize {
        self.next()
    }

    fn insert(&mut self, _: &usize, _: &usize, _: Option<&usize>) {}

    fn remove(&mut self, _: &usize) {}

    fn replace_text(&mut self, _: &usize, _: u32, _: u32, _: &str) {}

    fn split_text(&mut self, _: &usize, _: u32) -> usize {
        self.next()
    }

    fn shaping_break(&mut self, _: &usize) {}

    fn remove_shaping_breaks(&mut self, _: &usize) {}

    fn set_attributes(&mut self, _: &usize, _: &Kind) {}

    fn next(&self, _: &usize) -> Option<usize> {
        None
    }

    fn joined_children(&mut self, _: &usize) -> Vec<usize> {
        Vec::new()
    }

    fn text_of(&self, _: &usize) -> Option<String> {
        None
    }

    fn inner_of(&self, _: &usize, _: &Kind) -> Option<usize> {
        None
    }
}

const MIXED: &str = "\
## A heading of a part

A paragraph with **bold** words, `code` and a [link](https://example.com/a), which goes on for a while as \
paragraphs of models do, and ends.

- an item with *emphasis*
- another one
  1. nested
  2. deeper

| name | size |
|---|--:|
| a | 1 |
| b | 2 |

```rust
fn main() {
    println!(\"hello\");
}
```

> A quotation of a sentence.

";

const CODE: &str = "    let value = compute(\"some text\", 42)?; // and why\n";
const PARAGRAPH: &str = "A sentence that goes on for some words and comes to its end. ";
const LIST: &str = "- an item of a few words\n  - and one within it\n";

fn text(kind: &str, bytes: usize) -> String {
    let (begin, part) = match kind {
        "mixed" => ("", MIXED),
        "code" => ("```rust\n", CODE),
        "paragraph" => ("", PARAGRAPH),
        _ => ("", LIST),
    };
    let mut text = String::from(begin);
    while text.len() < bytes {
        text.push_str(part);
    }
    text
}

/// The ends of the pieces in which a text comes.
fn ends(text: &str, piece: usize) -> impl Iterator<Item = usize> {
    (piece..text.len()).step_by(piece).chain([text.len()])
}

fn whole_replies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reply of 100 KB, 80 bytes a frame");
    for kind in ["mixed", "code", "paragraph", "list"] {
        let text = text(kind, 100_000);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(kind, |bencher| {
            bencher.iter(|| {
                let mut stream = Stream::new(NoDom::default(), 0);
                for end in ends(&text, 80) {
                    stream.show(&text[..end]);
                }
                stream.end(&text);
            });
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("the same read at once");
    let text = text("mixed", 100_000);
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("mixed", |bencher| {
        bencher.iter(|| parse_whole(black_box(&text)))
    });
    group.finish();
}

fn one_piece(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a piece of 4 bytes");
    for kind in ["mixed", "code", "paragraph", "list"] {
        for before in [1_000, 100_000, 10_000_000] {
            let begun = text(kind, before);
            let later = text(kind, 200_000);
            let later = later.strip_prefix("```rust\n").unwrap_or(&later);
            group.bench_with_input(BenchmarkId::new(kind, before), &begun, |bencher, begun| {
                bencher.iter_custom(|rounds| {
                    let mut text = begun.clone();
                    let mut stream = Stream::new(NoDom::default(), 0);
                    for end in ends(begun, 500) {
                        stream.show(&begun[..end]);
                    }
                    let mut taken = Duration::ZERO;
                    for round in 0..rounds {
                        let at = (usize::try_from(round).unwrap_or(0) * 4) % (later.len() - 4);
                        text.push_str(&later[at..at + 4]);
                        let now = Instant::now();
                        stream.show(black_box(&text));
                        taken += now.elapsed();
                    }
                    taken
                });
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = whole_replies, one_piece
}
criterion_main!(benches);
