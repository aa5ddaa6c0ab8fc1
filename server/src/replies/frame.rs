//! Encodes events as the bytes of an event stream, numbers them, and joins consecutive pieces of text.
//!
//! The buffers are reused for the next frame.

use app::protocol::{ChatEvent, Done};
use app::sse;
use bytes::Bytes;
use serde::Serialize;

/// A buffer of events that are sent in one write.
#[derive(Default)]
pub struct Frame {
    bytes: Vec<u8>,
    /// The name of the text event that is still growing.
    open: Option<&'static str>,
    text: String,
    next_id: u64,
    /// The model that answers, if it is not the one of the start event.
    model: Option<String>,
}

impl Frame {
    /// Adds an event. Consecutive pieces of the same text become one event.
    pub fn push(&mut self, event: &ChatEvent<'_>) {
        match event {
            ChatEvent::Text(text) => self.push_text("message", text),
            ChatEvent::Reasoning(text) => self.push_text("reasoning", text),
            ChatEvent::Start(start) => self.push_json("start", start),
            ChatEvent::Usage(usage) => self.push_json("usage", usage),
            ChatEvent::Notice(notice) => self.push_json("notice", notice),
            ChatEvent::Retrying(retrying) => self.push_comment("retry", retrying),
            ChatEvent::Model(model) => {
                self.push_comment("model", model);
                self.model = Some(model.clone().into_owned());
            }
            ChatEvent::Done(finish) => {
                let model = self.model.take();
                let finish = *finish;
                self.push_json("done", &Done { finish, model });
            }
            ChatEvent::Error(error) => self.push_json("error", error),
        }
    }

    /// The approximate number of bytes in the frame.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.text.len()
    }

    /// The bytes of all events that were added since the last [`Frame::clear`].
    pub fn finish(&mut self) -> &[u8] {
        self.close_text();
        &self.bytes
    }

    /// Takes the bytes of all events. The numbers of the events continue.
    pub fn take(&mut self) -> Bytes {
        /// Fewer bytes are copied, and the buffer is used for the next frame.
        const LARGE: usize = 4096;
        if self.finish().len() >= LARGE {
            return std::mem::take(&mut self.bytes).into();
        }
        let bytes = Bytes::copy_from_slice(&self.bytes);
        self.bytes.clear();
        bytes
    }

    /// Clears the frame. The numbers of the events continue.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    fn push_text(&mut self, name: &'static str, text: &str) {
        if self.open != Some(name) {
            self.close_text();
            self.open = Some(name);
        }
        self.text.push_str(text);
    }

    fn close_text(&mut self) {
        if let Some(name) = self.open.take() {
            let text = std::mem::take(&mut self.text);
            self.write_event(name, text.as_str());
            self.text = text;
            self.text.clear();
        }
    }

    fn push_json(&mut self, name: &'static str, data: &impl Serialize) {
        self.close_text();
        self.write_event(name, data);
    }

    fn push_comment(&mut self, name: &str, data: &impl Serialize) {
        self.close_text();
        write_comment(&mut self.bytes, name, data);
    }

    fn write_event(&mut self, name: &str, data: &(impl Serialize + ?Sized)) {
        write_json(&mut self.bytes, self.next_id, name, data);
        self.next_id += 1;
    }
}

/// Writes an event whose data is JSON. JSON is one line, so it is written in place without a scan for line ends.
pub(super) fn write_json(out: &mut Vec<u8>, id: u64, name: &str, data: &(impl Serialize + ?Sized)) {
    const END: &[u8] = b"\n\n";
    sse::write_event(out, id, name, "");
    out.truncate(out.len() - END.len());
    serde_json::to_writer(&mut *out, data).expect("our events are JSON, and a Vec takes all");
    out.extend_from_slice(END);
}

/// Writes a transient event as a comment, which readers of Server-Sent Events ignore.
pub(super) fn write_comment(out: &mut Vec<u8>, name: &str, data: &impl Serialize) {
    for part in [": ", name, " "] {
        out.extend_from_slice(part.as_bytes());
    }
    serde_json::to_writer(&mut *out, data)
        .expect("our comments are JSON of one line, and a Vec takes all");
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::protocol::{Finish, Retrying, Start};

    fn check(events: &[ChatEvent<'_>], expect: &str) {
        let mut frame = Frame::default();
        events.iter().for_each(|event| frame.push(event));
        assert_eq!(
            std::str::from_utf8(frame.finish()).expect("UTF-8"),
            expect,
            "{events:?}"
        );
    }

    #[test]
    fn pieces_that_arrive_together_are_one_event() {
        check(
            &[
                ChatEvent::Reasoning("r".into()),
                ChatEvent::Text("a".into()),
                ChatEvent::Text("b".into()),
                ChatEvent::Done(Finish::Stop),
            ],
            "id: 0\nevent: reasoning\ndata: \"r\"\n\nid: 1\ndata: \"ab\"\n\nid: 2\nevent: done\ndata: {\"finish\":\"stop\"}\n\n",
        );
    }

    #[test]
    fn a_transient_event_is_a_comment_without_a_number() {
        check(
            &[
                ChatEvent::Retrying(Retrying { in_ms: 500 }),
                ChatEvent::Model("b\n".into()),
                ChatEvent::Text("a".into()),
                ChatEvent::Done(Finish::Stop),
            ],
            ": retry {\"in_ms\":500}\n\n: model \"b\\n\"\n\nid: 0\ndata: \"a\"\n\nid: 1\nevent: done\ndata: {\"finish\":\"stop\",\"model\":\"b\\n\"}\n\n",
        );
    }

    #[test]
    fn no_text_can_break_out_of_its_event() {
        check(
            &[ChatEvent::Text("\n\nevent: done\r\0\u{2028}".into())],
            "id: 0\ndata: \"\\n\\nevent: done\\r\\u0000\u{2028}\"\n\n",
        );
    }

    #[test]
    fn the_numbers_go_on_from_frame_to_frame() {
        let mut frame = Frame::default();
        frame.push(&ChatEvent::Start(Start {
            generation: "g".into(),
            model: "m".into(),
            ..Start::default()
        }));
        assert!(frame.finish().starts_with(b"id: 0\nevent: start\n"));
        frame.clear();
        assert!(frame.finish().is_empty());
        frame.push(&ChatEvent::Text("a".into()));
        assert_eq!(frame.finish(), b"id: 1\ndata: \"a\"\n\n");
        assert_eq!(frame.take(), "id: 1\ndata: \"a\"\n\n");
        assert!(frame.finish().is_empty());
        let large = "b".repeat(10_000);
        frame.push(&ChatEvent::Text(large.as_str().into()));
        assert_eq!(frame.take(), format!("id: 2\ndata: \"{large}\"\n\n"));
        assert!(frame.finish().is_empty());
    }
}
