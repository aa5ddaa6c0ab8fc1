//! The relay's own work for each event of a reply, without sockets: decoder, mapper and encoder.
//!
//! `cargo bench -p server --bench relay`. One run compares the whole path, its parts, and as a lower bound the
//! search for line ends in the same bytes. The reply has three lengths, because the cost of an event must not
//! depend on the events before it.
//!
//! The cost of the log is compared with encoding without a reader, and with the pipe to the one reader of a
//! stateless reply.

use app::protocol::Start;
use app::sse::Decoder;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures::{FutureExt, StreamExt};
use server::providers::api::Api;
use server::providers::api::chat_completions::ChatCompletionsMapper;
use server::replies::frame::Frame;
use server::replies::log::Log;
use tokio::io::{AsyncWriteExt, duplex};
use tokio_util::io::ReaderStream;

/// A reply of `events` deltas as OpenAI writes them, one network read for each `per_read` events.
fn reply(events: usize, per_read: usize) -> Vec<Vec<u8>> {
    joined(events, per_read, |word| {
        format!(
            "data: {{\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"object\":\"chat.completion.chunk\",\
             \"created\":1741569952,\"model\":\"gpt-5-mini\",\"service_tier\":\"default\",\"system_fingerprint\":null,\
             \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}},\"logprobs\":null,\"finish_reason\":null}}],\
             \"usage\":null}}\n\n"
        )
    })
}

/// A reply of `events` words, each written by `event`, one network read for each `per_read` of them.
fn joined(events: usize, per_read: usize, event: impl Fn(&str) -> String) -> Vec<Vec<u8>> {
    const WORDS: [&str; 8] = [
        "The",
        " quick",
        " brown",
        " fox,",
        " na\u{ef}ve",
        " as",
        " it\\n",
        " is.",
    ];
    let events: Vec<String> = (0..events)
        .map(|number| event(WORDS[number % WORDS.len()]))
        .collect();
    events
        .chunks(per_read)
        .map(|chunk| chunk.concat().into_bytes())
        .collect()
}

/// What `generation` does with each read, to the bytes that would be written. What is done with those
/// says how many came out.
fn relay_into(reads: &[Vec<u8>], mut write: impl FnMut(&[u8]) -> usize) -> usize {
    let mut decoder = Decoder::new(1024 * 1024);
    let mut mapper = ChatCompletionsMapper::default();
    let mut frame = Frame::default();
    let mut written = 0;
    for read in reads {
        decoder
            .feed(read, |event| {
                mapper
                    .map(event, &mut |event| frame.push(&event))
                    .expect("a good event")
            })
            .expect("small events");
        written += write(frame.finish());
        frame.clear();
    }
    written
}

/// The work alone.
fn relay(reads: &[Vec<u8>]) -> usize {
    relay_into(reads, <[u8]>::len)
}

/// The same through the pipe of a stateless reply, with a reader that takes events as they arrive.
fn relay_through_a_pipe(reads: &[Vec<u8>]) -> usize {
    const PIPE_BYTES: usize = 64 * 1024;
    let (reader, mut writer) = duplex(PIPE_BYTES);
    let mut reader = ReaderStream::with_capacity(reader, PIPE_BYTES);
    relay_into(reads, |frame| {
        let write = writer.write_all(frame).now_or_never();
        write.expect("there is room").expect("there is a reader");
        let mut read = 0;
        while let Some(Some(Ok(bytes))) = reader.next().now_or_never() {
            read += bytes.len();
        }
        read
    })
}

/// The same into the log of a saved reply, with a reader that takes events as they arrive.
fn relay_through_a_log(reads: &[Vec<u8>]) -> usize {
    let log = Log::new(Start::default());
    let mut reader = log.read_after(None).expect("the beginning");
    let mut writer = log.writer();
    let mut decoder = Decoder::new(1024 * 1024);
    let mut mapper = ChatCompletionsMapper::default();
    let mut written = 0;
    for read in reads {
        decoder
            .feed(read, |event| {
                mapper
                    .map(event, &mut |event| writer.add(&event))
                    .expect("a good event")
            })
            .expect("small events");
        writer.show();
        while let Some(Some(bytes)) = reader.next().now_or_never() {
            written += bytes.len();
        }
    }
    written
}

fn decode_only(reads: &[Vec<u8>]) -> usize {
    let mut decoder = Decoder::new(1024 * 1024);
    let mut bytes = 0;
    for read in reads {
        decoder
            .feed(read, |event| bytes += event.data.len())
            .expect("small events");
    }
    bytes
}

fn map_only(reads: &[Vec<u8>]) -> usize {
    let mut decoder = Decoder::new(1024 * 1024);
    let mut mapper = ChatCompletionsMapper::default();
    let mut events = 0;
    for read in reads {
        decoder
            .feed(read, |event| {
                mapper
                    .map(event, &mut |_| events += 1)
                    .expect("a good event")
            })
            .expect("small events");
    }
    events
}

/// A reply of `events` deltas as OpenAI's Responses API writes them.
fn responses(events: usize, per_read: usize) -> Vec<Vec<u8>> {
    joined(events, per_read, |word| {
        format!(
            "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"sequence_number\":4,\
             \"item_id\":\"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654\",\"output_index\":0,\
             \"content_index\":0,\"delta\":\"{word}\",\"logprobs\":[],\"obfuscation\":\"aXbYcZ\"}}\n\n"
        )
    })
}

/// The same as Anthropic's Messages API writes them.
fn messages(events: usize, per_read: usize) -> Vec<Vec<u8>> {
    joined(events, per_read, |word| {
        format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\
             \"delta\":{{\"type\":\"text_delta\",\"text\":\"{word}\"}}}}\n\n"
        )
    })
}

fn map_api(api: Api, think_tags: bool, reads: &[Vec<u8>]) -> usize {
    let mut decoder = Decoder::new(1024 * 1024);
    let mut mapper = api.mapper();
    if think_tags {
        mapper = mapper.with_think_tags(std::sync::Arc::default());
    }
    let mut events = 0;
    for read in reads {
        decoder
            .feed(read, |event| {
                mapper
                    .map(event, &mut |_| events += 1)
                    .expect("a good event")
            })
            .expect("small events");
    }
    events
}

fn find_line_ends(reads: &[Vec<u8>]) -> usize {
    reads
        .iter()
        .map(|read| memchr::memchr_iter(b'\n', read).count())
        .sum()
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("relay");
    for (name, per_read) in [("one event a read", 1), ("64 events a read", 64)] {
        for events in [1_000, 10_000, 100_000] {
            let reads = reply(events, per_read);
            group.throughput(Throughput::Elements(events as u64));
            group.bench_with_input(BenchmarkId::new(name, events), &reads, |b, reads| {
                b.iter(|| relay(reads))
            });
        }
    }
    group.finish();

    let mut group = criterion.benchmark_group("relay, with and without a log");
    for (name, per_read) in [("one event a read", 1), ("64 events a read", 64)] {
        let reads = reply(10_000, per_read);
        group.throughput(Throughput::Elements(10_000));
        group.bench_function(format!("{name}, without"), |b| b.iter(|| relay(&reads)));
        group.bench_function(format!("{name}, without, through a pipe"), |b| {
            b.iter(|| relay_through_a_pipe(&reads));
        });
        group.bench_function(format!("{name}, with"), |b| {
            b.iter(|| relay_through_a_log(&reads));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("parts of the relay");
    let reads = reply(10_000, 64);
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("line ends (floor)", |b| b.iter(|| find_line_ends(&reads)));
    group.bench_function("decoder", |b| b.iter(|| decode_only(&reads)));
    group.bench_function("decoder and mapper", |b| b.iter(|| map_only(&reads)));
    group.bench_function("decoder, mapper and encoder", |b| b.iter(|| relay(&reads)));
    group.finish();

    let mut group = criterion.benchmark_group("mapper of each API");
    group.throughput(Throughput::Elements(10_000));
    for (name, api, think_tags, reads) in [
        (
            "Chat Completions",
            Api::ChatCompletions,
            false,
            reply(10_000, 64),
        ),
        (
            "with <think> tags",
            Api::ChatCompletions,
            true,
            reply(10_000, 64),
        ),
        ("Responses", Api::Responses, false, responses(10_000, 64)),
        ("Messages", Api::Messages, false, messages(10_000, 64)),
    ] {
        group.bench_function(name, |b| b.iter(|| map_api(api, think_tags, &reads)));
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
