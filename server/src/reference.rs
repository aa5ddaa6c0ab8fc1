//! The reference of a request: a short id that is in the log, in the header `x-request-id` of the response, and
//! in the sentence of an error. So a person can tell which line of the log is theirs.
//!
//! A proxy may name it in the same header. It is known while the handler of the request runs; work that goes on
//! after it takes it along.

use std::fmt;
use std::sync::Arc;

use futures::future::Either;

/// The longest reference that is taken from a request, in bytes.
const MAX_BYTES: usize = 64;

tokio::task_local! {
    static CURRENT: Reference;
}

/// The reference of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference(Arc<str>);

impl Reference {
    /// A new random reference.
    pub(crate) fn new() -> Self {
        Self(format!("{:012x}", rand::random::<u64>() >> 16).into())
    }

    /// The reference that a proxy has chosen, if it is plain.
    pub(crate) fn given(text: &str) -> Option<Self> {
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_one = (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(is_plain);
        is_one.then(|| Self(text.into()))
    }

    /// The reference of the request whose handler runs.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs the handler of the request with this reference.
    pub(crate) fn scope<T>(self, handler: impl Future<Output = T>) -> impl Future<Output = T> {
        CURRENT.scope(self, handler)
    }

    /// Runs a task of the same request.
    pub(crate) fn carried<T>(
        reference: Option<Self>,
        task: impl Future<Output = T>,
    ) -> impl Future<Output = T> {
        // As an `async fn` it would have room for the task twice.
        match reference {
            Some(reference) => Either::Left(CURRENT.scope(reference, task)),
            None => Either::Right(task),
        }
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A sentence for a person, with the reference behind it.
pub(crate) fn with_reference(sentence: &str, reference: Option<&Reference>) -> String {
    match reference {
        Some(reference) => format!("{sentence} Reference {reference}."),
        None => sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_is_carried_takes_its_room_once() {
        async fn task() -> u8 {
            let room = [1_u8; 4096];
            tokio::task::yield_now().await;
            std::hint::black_box(room)[0]
        }
        let room = size_of_val(&task()) + 256;
        let carried = Reference::carried(Some(Reference::new()), task());
        assert!(size_of_val(&carried) < room);
        assert_eq!(carried.await, 1);
    }

    #[test]
    fn only_a_plain_reference_is_taken_from_a_request() {
        let check = |text: &str, expect: bool| {
            assert_eq!(Reference::given(text).is_some(), expect, "{text}");
        };
        check("4f2a9c01b2d3", true);
        check("0af7651916cd43dd8448eb211c80319c", true);
        check("req_A-1.2", true);
        check(&"a".repeat(64), true);
        check(&"a".repeat(65), false);
        for odd in ["", "a b", "a\n", "\"", "ü", "a=b", "a\u{1b}[31m"] {
            check(odd, false);
        }
    }

    #[tokio::test]
    async fn a_reference_is_known_where_its_request_is_handled() {
        assert_eq!(Reference::current(), None);
        let reference = Reference::new();
        assert!(
            Reference::given(reference.as_str()).is_some(),
            "{reference}"
        );
        let inside = reference
            .clone()
            .scope(async { Reference::current() })
            .await;
        assert_eq!(inside, Some(reference));
    }
}
