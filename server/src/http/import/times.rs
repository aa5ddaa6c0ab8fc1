//! Times as programs write them: numbers in several units, and ISO 8601.

use std::time::UNIX_EPOCH;

use serde_json::value::RawValue;

use super::values::value;

/// A time in milliseconds since 1970.
pub(super) fn time(raw: &RawValue) -> Option<i64> {
    match value::<f64>(raw) {
        Some(number) => from_number(number),
        None => from_text(&value::<String>(raw)?),
    }
}

/// Reads seconds, milliseconds, microseconds or nanoseconds. The magnitude decides the unit.
pub(super) fn from_number(number: f64) -> Option<i64> {
    let milliseconds = match number.abs() {
        ..1e11 => number * 1e3,
        ..1e14 => number,
        ..1e17 => number / 1e3,
        ..1e20 => number / 1e6,
        _ => return None,
    };
    Some(milliseconds as i64)
}

/// Reads ISO 8601, with or without a fraction and an offset (default UTC), or a number in quotation marks.
pub(super) fn from_text(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(number) = text.parse() {
        return from_number(number);
    }
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.trim_start_matches(['T', 't', ' ']);
    let (clock, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(place) => rest.split_at(place),
        None => (rest, ""),
    };
    let clock = match clock.trim() {
        "" => "00:00:00".to_owned(),
        clock if clock.len() == 5 => format!("{clock}:00"),
        clock => clock.replace(',', "."),
    };
    let time = humantime::parse_rfc3339(&format!("{date}T{clock}Z")).ok()?;
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    let milliseconds = i64::try_from(since.as_millis()).ok()?;
    Some(milliseconds - minutes(offset)? * 60_000)
}

/// The minutes of an offset such as `+02:00`, `-0530` or `Z`.
fn minutes(offset: &str) -> Option<i64> {
    let sign = match offset.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Some(0),
    };
    let digits: String = offset.chars().filter(char::is_ascii_digit).collect();
    let hours: i64 = digits.get(..2)?.parse().ok()?;
    let rest: i64 = match digits.get(2..4) {
        Some(minutes) => minutes.parse().ok()?,
        None => 0,
    };
    Some(sign * (hours * 60 + rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_each_form_in_which_programs_write_it() {
        let expect = 1_709_642_096_789;
        for json in [
            "1709642096.789",
            "1709642096789",
            "1709642096789012",
            "1709642096789012345",
            "\"1709642096.789\"",
            "\"2024-03-05T12:34:56.789Z\"",
            "\"2024-03-05T12:34:56.789012Z\"",
            "\"2024-03-05T12:34:56.789012+00:00\"",
            "\"2024-03-05T14:34:56.789+02:00\"",
            "\"2024-03-05 07:04:56,789-0530\"",
            "\"2024-03-05T12:34:56.789\"",
        ] {
            let raw: &RawValue = serde_json::from_str(json).expect("JSON");
            assert_eq!(time(raw), Some(expect), "{json}");
        }
        assert_eq!(from_text("2024-03-05"), Some(1_709_596_800_000));
        assert_eq!(from_text("2024-03-05T00:00"), Some(1_709_596_800_000));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for json in [
            "null",
            "[]",
            "{}",
            "true",
            "\"\"",
            "\"yesterday\"",
            "1e30",
            "\"2024-99-05T12:34:56Z\"",
            "\"08:12:16 GMT-0400 (Eastern Daylight Time)\"",
            "\"2024-03-05T12:34:56+x\"",
            "\"東京東京\"",
        ] {
            let raw: &RawValue = serde_json::from_str(json).expect("JSON");
            assert_eq!(time(raw), None, "{json}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_time_or_none(text in "[-0-9T:.Z+ é]{0,40}") {
            let _ = from_text(&text);
        }
    }
}
