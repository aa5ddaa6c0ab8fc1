//! The algorithm of the HTML standard, sections 9.2.5 and 9.2.6, sentence by sentence: slow and plain. It reads whole
//! streams only.

use crate::harness::{Dispatched, State};

/// Reads a whole stream. Returns its events, and the state at its end.
pub(crate) fn parse(stream: &[u8]) -> (Vec<Dispatched>, State) {
    // "Streams must be decoded using the UTF-8 decode algorithm", which strips one mark.
    let stream = stream.strip_prefix("\u{feff}".as_bytes()).unwrap_or(stream);
    let text = String::from_utf8_lossy(stream)
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    // A line without a line end is ignored.
    lines.pop();

    let (mut data, mut event_type, mut id) = (String::new(), String::new(), String::new());
    let (mut last_event_id, mut retry) = (String::new(), None);
    let mut events = Vec::new();
    for line in lines {
        if line.is_empty() {
            last_event_id.clone_from(&id);
            if let Some(data) = data.strip_suffix('\n') {
                let name = if event_type.is_empty() {
                    "message"
                } else {
                    &event_type
                };
                events.push(Dispatched {
                    name: name.to_owned(),
                    data: data.to_owned(),
                    id: last_event_id.clone(),
                    retry,
                });
            }
            data.clear();
            event_type.clear();
            continue;
        }
        let (field, value) = match line.split_once(':') {
            Some((field, value)) => (field, value.strip_prefix(' ').unwrap_or(value)),
            None => (line, ""),
        };
        match field {
            "event" => event_type = value.to_owned(),
            "data" => data.extend([value, "\n"]),
            "id" if !value.contains('\0') => id = value.to_owned(),
            "retry" if !value.is_empty() && value.chars().all(|c| c.is_ascii_digit()) => {
                // The standard has no largest number; the decoder clamps.
                retry = Some(value.parse().unwrap_or(u64::MAX));
            }
            _ => {}
        }
    }
    let state = State {
        events: events.len(),
        last_event_id,
        retry,
    };
    (events, state)
}
