//! The encoder: events to bytes.

use std::io::Write;

/// Appends one event to `out`.
///
/// `name` is the event's type, without line ends; nothing is written for `message` or an empty name.
/// `data` may contain line feeds. A carriage return is indistinguishable from a line feed on this wire and
/// arrives as one, so text that may contain one is sent as JSON.
pub fn write_event(out: &mut Vec<u8>, id: u64, name: &str, data: &str) {
    debug_assert!(!name.contains(['\n', '\r']), "a name is one line: {name:?}");
    writeln!(out, "id: {id}").expect("a vector takes all that is written");
    if !matches!(name, "" | "message") {
        for part in ["event: ", name, "\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    for line in data.split(['\n', '\r']) {
        for part in ["data: ", line, "\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn check(name: &str, data: &str, expect: &str) {
        let mut out = b"before ".to_vec();
        write_event(&mut out, 7, name, data);
        assert_eq!(String::from_utf8_lossy(&out), format!("before {expect}"));
    }

    #[test]
    fn events_are_written_in_their_shortest_form() {
        check("message", r#""a\nb""#, "id: 7\ndata: \"a\\nb\"\n\n");
        check("", "a", "id: 7\ndata: a\n\n");
        check("done", "{}", "id: 7\nevent: done\ndata: {}\n\n");
    }

    #[test]
    fn data_is_split_at_line_ends_so_that_none_of_it_can_be_another_field() {
        check(
            "message",
            "a\n\nb\n",
            "id: 7\ndata: a\ndata: \ndata: b\ndata: \n\n",
        );
        check(
            "message",
            "a\rid: 9\r\nb",
            "id: 7\ndata: a\ndata: id: 9\ndata: \ndata: b\n\n",
        );
        check("message", "", "id: 7\ndata: \n\n");
    }
}
