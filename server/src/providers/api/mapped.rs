//! Test helper of the three APIs: plays the events of a stream through a mapper.

use app::protocol::{ChatEvent, ErrorKind, Finish};
use app::sse;

use super::Api;

/// The result of a stream: its text, its reasoning, and its end.
pub(super) type Mapped = (String, String, Result<Option<Finish>, ErrorKind>);

/// Maps the events of a stream, each with its name and data, up to the first error.
///
/// # Panics
/// When an event becomes something other than text or reasoning.
pub(super) fn mapped(api: Api, events: &[(&str, &str)]) -> Mapped {
    let mut mapper = api.mapper();
    let (mut text, mut reasoning) = (String::new(), String::new());
    for (name, data) in events {
        let result = mapper.map(
            sse::Event { name, data, id: "" },
            &mut |event| match event {
                ChatEvent::Text(piece) => text.push_str(&piece),
                ChatEvent::Reasoning(piece) => reasoning.push_str(&piece),
                other => panic!("{other:?}"),
            },
        );
        if let Err(failure) = result {
            return (text, reasoning, Err(failure.kind));
        }
    }
    let end = mapper.verdict().transpose();
    (text, reasoning, end.map_err(|failure| failure.kind))
}
