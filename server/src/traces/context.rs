//! What identifies a span across systems: the header `traceparent` of W3C Trace Context.

use std::fmt;

pub(super) type TraceId = [u8; 16];
pub(super) type SpanId = [u8; 8];

/// The identity of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SpanContext {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    /// Whether the trace is recorded.
    pub(super) is_sampled: bool,
}

impl SpanContext {
    /// A span of a new trace.
    pub(super) fn root() -> Self {
        Self {
            trace: rand::random::<u128>().max(1).to_be_bytes(),
            span: new_span(),
            is_sampled: true,
        }
    }

    /// A new span of the same trace.
    pub(super) fn child(&self) -> Self {
        Self {
            span: new_span(),
            ..*self
        }
    }

    /// Reads a header. `None` for what the standard says to ignore: other lengths, capital letters, ids of zeros, and
    /// the version `ff`. Later versions begin as the first one does.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let version = hexadecimal::<1>(parts.next()?)?;
        let context = Self {
            trace: hexadecimal(parts.next()?)?,
            span: hexadecimal(parts.next()?)?,
            is_sampled: hexadecimal::<1>(parts.next()?)?[0] & 1 == 1,
        };
        let has_more = parts.next().is_some();
        let is_valid = version != [0xff] && (version != [0] || !has_more);
        let has_ids = context.trace != [0; 16] && context.span != [0; 8];
        (is_valid && has_ids).then_some(context)
    }
}

fn new_span() -> SpanId {
    rand::random::<u64>().max(1).to_be_bytes()
}

fn hexadecimal<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(digits.as_chunks().0) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// The header.
impl fmt::Display for SpanContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (
            u128::from_be_bytes(self.trace),
            u64::from_be_bytes(self.span),
        );
        let flags = u8::from(self.is_sampled);
        write!(formatter, "00-{trace:032x}-{span:016x}-{flags:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_header_is_read_as_the_standard_says() {
        let check = |header: &str, expect: Option<bool>| {
            let context = SpanContext::parse(header);
            assert_eq!(
                context.map(|context| context.is_sampled),
                expect,
                "{header}"
            );
        };
        check(HEADER, Some(true));
        check(&HEADER.replace("-01", "-00"), Some(false));
        check(&HEADER.replace("-01", "-03"), Some(true));
        // A later version may have more.
        check(
            &format!("{}-more", HEADER.replacen("00", "cc", 1)),
            Some(true),
        );
        for ignored in [
            "",
            "00",
            &HEADER[..54],
            &format!("{HEADER}-more"),
            &HEADER.to_uppercase(),
            &HEADER.replacen("00", "ff", 1),
            &HEADER.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &HEADER.replace("b7ad6b7169203331", &"0".repeat(16)),
            &HEADER.replace("b7ad", "b7ä"),
        ] {
            check(ignored, None);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(is_sampled: bool) {
            let context = SpanContext { is_sampled, ..SpanContext::root() };
            prop_assert_eq!(SpanContext::parse(&context.to_string()), Some(context));
            let child = context.child();
            prop_assert_eq!(child.trace, context.trace);
            prop_assert_ne!(child.span, context.span);
        }

        #[test]
        fn no_header_is_too_odd(header: String) {
            let _ = SpanContext::parse(&header);
        }
    }
}
