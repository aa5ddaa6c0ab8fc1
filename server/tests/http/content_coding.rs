//! Compressed request bodies: the server decodes them within its limits, and passes them on uncompressed.

use std::io::{Read, Write};

use app::protocol::saved::messages_path;
use flate2::Compression;
use flate2::read::{GzEncoder, ZlibEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};

use crate::support::http::Request;
use crate::support::rill::{Rill, chat, question};
use crate::support::scripted_upstream::ScriptedUpstream;
use crate::support::{log, scripts, soon};

const PATHS: [&str; 2] = ["/v1/chat/completions", "/v1/responses"];

fn compressed(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let done = "memory never fails";
    match coding {
        "gzip" => {
            GzEncoder::new(body, Compression::fast())
                .read_to_end(&mut out)
                .expect(done);
        }
        "deflate" => {
            ZlibEncoder::new(body, Compression::fast())
                .read_to_end(&mut out)
                .expect(done);
        }
        "br" => {
            let mut encoder = brotli::CompressorWriter::new(&mut out, 4096, 5, 22);
            encoder.write_all(body).expect(done);
        }
        "zstd" => out = compress_to_vec(body, CompressionLevel::Fastest),
        "identity" => out.extend(body),
        other => panic!("no such coding: {other}"),
    }
    out
}

/// A request with its body in these codings, under this spelling of them.
fn request(path: &str, body: &Value, codings: &[&str], header: &str) -> Request {
    let body = codings
        .iter()
        .fold(body.to_string().into_bytes(), |body, coding| {
            compressed(coding, &body)
        });
    Request::post(path, &Value::Null)
        .header("content-encoding", header)
        .body(body)
}

async fn rill() -> (ScriptedUpstream, Rill) {
    let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
    let rill = Rill::before(&upstream).await;
    (upstream, rill)
}

const SPELLINGS: &[(&[&str], &str)] = &[
    (&["gzip"], "gzip"),
    (&["gzip"], "X-GZIP"),
    (&["deflate"], "Deflate"),
    (&["br"], "BR"),
    (&["zstd"], "zstd"),
    (&["zstd"], "Zstd, identity"),
    (&["identity"], "identity"),
    (&["gzip", "zstd"], "gzip,zstd"),
    (&["br", "deflate", "gzip"], "br , deflate , gzip"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_request_is_read_for_its_model_and_passed_on_as_it_was() {
    let (upstream, rill) = rill().await;
    for path in PATHS {
        for (codings, header) in SPELLINGS {
            let body = json!({
                "model": "m", "stream": true, "seed": 7, "input": "é".repeat(300),
                "messages": [{ "role": "user", "content": log::PROMPT }],
            });
            let answer = soon(rill.send(&request(path, &body, codings, header))).await;
            assert_eq!(answer.status, 200, "{header}");
            soon(answer.body()).await.expect("a whole body");
            let asked = upstream.exchanges();
            let asked = asked.last().expect("a request");
            assert_eq!(asked.request_line, format!("POST {path} HTTP/1.1"));
            assert_eq!(asked.body, body, "{header}");
            assert_eq!(asked.header("content-encoding"), None, "{header}");
            let length = body.to_string().len().to_string();
            assert_eq!(asked.header("content-length"), Some(length.as_str()));
        }
    }
    assert_eq!(upstream.request_count(), 2 * SPELLINGS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_interface_reads_compressed_requests_too() {
    let (upstream, rill) = rill().await;
    for (codings, header) in SPELLINGS {
        let whole = request("/api/chat", &question(), codings, header);
        let reply = soon(soon(rill.begin_with(&whole)).await.finish()).await;
        assert_eq!(reply.transcript.text, "fine", "{header}");
        let conversation = server::store::new_id();
        let body = json!({ "request_id": server::store::new_id(), "content": log::PROMPT });
        let saved = request(&messages_path(&conversation), &body, codings, header);
        let reply = soon(soon(rill.begin_with(&saved)).await.finish()).await;
        assert_eq!(reply.transcript.text, "fine", "{header}");
        let list = request(
            "/api/conversations/list",
            &json!({ "limit": 1 }),
            codings,
            header,
        );
        let answer = soon(rill.send(&list)).await;
        assert_eq!(answer.status, 200, "{header}");
        let list = soon(answer.json()).await;
        assert_eq!(list["conversations"][0]["id"], conversation.as_str());
    }
    assert_eq!(upstream.request_count(), 2 * SPELLINGS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_coding_is_refused_with_those_that_are_known() {
    let (upstream, rill) = rill().await;
    let own = ["/api/chat", "/api/conversations/list"].map(str::to_owned);
    let saved = messages_path(&server::store::new_id());
    let all = PATHS
        .map(str::to_owned)
        .into_iter()
        .chain(own)
        .chain([saved]);
    for path in all {
        for header in ["snappy", "gzip, compress", "gzip;q=1"] {
            let answer = soon(rill.send(&request(&path, &question(), &["gzip"], header))).await;
            assert_eq!(answer.status, 415, "{path} {header}");
            assert_eq!(
                answer.header("accept-encoding"),
                Some("gzip, deflate, br, zstd")
            );
            let error = soon(answer.json()).await;
            let message = error["error"]["message"].as_str().expect("a sentence");
            assert_eq!(
                message,
                "The body's Content-Encoding must be one of: gzip, deflate, br, zstd, identity."
            );
            let kind = if path.starts_with("/v1") {
                "code"
            } else {
                "kind"
            };
            assert_eq!(error["error"][kind], "unsupported_media_type");
        }
        // Another media type is not refused for its coding.
        let form =
            request(&path, &question(), &["gzip"], "gzip").header("content-type", "text/plain");
        let answer = soon(rill.send(&form)).await;
        assert_eq!(
            (answer.status, answer.header("accept-encoding")),
            (415, None)
        );
    }
    let import = request("/api/import", &json!([]), &["gzip"], "gzip");
    assert_eq!(soon(rill.send(&import)).await.status, 415);
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_too_large_and_what_is_broken_a_bad_request() {
    let (upstream, rill) = rill().await;
    let spaces = |megabytes: usize| vec![b' '; megabytes * 1024 * 1024];
    for (path, megabytes) in [(PATHS[0], 33), (PATHS[1], 33), ("/api/chat", 2)] {
        let bomb = spaces(megabytes);
        for coding in ["gzip", "deflate", "br", "zstd"] {
            let plain = Request::post(path, &Value::Null).header("content-encoding", coding);
            let answer = soon(rill.send(&plain.clone().body(compressed(coding, &bomb)))).await;
            assert_eq!(answer.status, 413, "{path} {coding}");
            let good = compressed(coding, question().to_string().as_bytes());
            for broken in [&good[..good.len() / 2], b"{\"model\":\"m\"}", b"x"] {
                let answer = soon(rill.send(&plain.clone().body(broken))).await;
                assert_eq!(answer.status, 400, "{path} {coding}");
            }
        }
    }
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_that_is_within_the_limit_is_read() {
    let (upstream, rill) = rill().await;
    let body = json!({ "model": "m", "messages": [], "picture": "x".repeat(20 * 1024 * 1024) });
    let answer = soon(rill.send(&request(PATHS[0], &body, &["zstd"], "zstd"))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(upstream.exchanges()[0].body, body);
    // Nor is a small one larger than it is.
    let answer = soon(rill.send(&chat(&question()).header("content-encoding", "identity"))).await;
    assert_eq!(answer.status, 200);
}
