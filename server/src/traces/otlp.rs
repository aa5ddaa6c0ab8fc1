//! The messages of OTLP in the encoding of Protocol Buffers, as far as spans need them.
//!
//! The numbers of the fields are those of `opentelemetry/proto/trace/v1/trace.proto`, version 1, which only adds fields.

use super::{EndedSpan, Value};

/// What a field holds on the wire.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// The bits of `Span.flags` that say that it is known whether the parent is of another system.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;
const STATUS_ERROR: u64 = 2;

/// The attributes of the resource, and the version of the program.
pub(super) struct Origin<'a> {
    pub(super) resource: &'a [(String, String)],
    pub(super) version: &'static str,
}

/// An `ExportTraceServiceRequest` with these spans.
pub(super) fn request(origin: &Origin<'_>, spans: &[EndedSpan]) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |resource_spans| {
        resource_spans.message(1, |resource| {
            for (name, value) in origin.resource {
                attribute(resource, 1, name, |any| any.bytes(1, value.as_bytes()));
            }
        });
        resource_spans.message(2, |scope_spans| {
            scope_spans.message(1, |scope| {
                scope.bytes(1, b"rill");
                scope.bytes(2, origin.version.as_bytes());
            });
            for span in spans {
                scope_spans.message(2, |message| encode(message, span));
            }
        });
    });
    request.0
}

fn encode(message: &mut Message, span: &EndedSpan) {
    message.bytes(1, &span.context.trace);
    message.bytes(2, &span.context.span);
    if let Some(parent) = &span.parent {
        message.bytes(4, parent);
    }
    message.bytes(5, span.name.as_bytes());
    message.varint(6, span.kind as u64);
    message.fixed64(7, span.started);
    message.fixed64(8, span.ended);
    for (name, value) in &span.attributes {
        attribute(message, 9, name, |any| match value {
            Value::Text(text) => any.bytes(1, text.as_bytes()),
            // A number below zero is written with all its 64 bits.
            Value::Number(number) => any.varint(3, number.cast_unsigned()),
        });
    }
    if span.has_failed {
        message.message(15, |status| status.varint(3, STATUS_ERROR));
    }
    let is_remote = span.parent.is_some() && span.kind == super::SpanKind::Server;
    let flags =
        u32::from(span.context.is_sampled) | HAS_IS_REMOTE | if is_remote { IS_REMOTE } else { 0 };
    message.fixed32(16, flags);
}

/// A `KeyValue`.
fn attribute(message: &mut Message, field: u64, name: &str, value: impl FnOnce(&mut Message)) {
    message.message(field, |pair| {
        pair.bytes(1, name.as_bytes());
        pair.message(2, value);
    });
}

/// A message that grows.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn message(&mut self, field: u64, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, BYTES);
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn varint(&mut self, field: u64, number: u64) {
        self.key(field, VARINT);
        self.number(number);
    }

    fn fixed64(&mut self, field: u64, number: u64) {
        self.key(field, FIXED64);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn fixed32(&mut self, field: u64, number: u32) {
        self.key(field, FIXED32);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn key(&mut self, field: u64, wire_type: u64) {
        self.number(field << 3 | wire_type);
    }

    /// Seven bits a byte, the lowest first.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f | 0x80) as u8);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}
