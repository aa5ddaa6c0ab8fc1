//! The rules for repeating a failed request, without a clock and without I/O.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Whether a request with this status may be repeated.
///
/// The header `x-should-retry` of the provider counts more than the status.
#[must_use]
pub(crate) fn may_retry(status: u16, headers: &HeaderMap) -> bool {
    match headers
        .get("x-should-retry")
        .map(reqwest::header::HeaderValue::as_bytes)
    {
        Some(b"true") => true,
        Some(b"false") => false,
        _ => matches!(status, 408 | 409 | 429) || status >= 500,
    }
}

/// The wait that the provider asks for, in any of the three forms in use: `retry-after-ms`, and `retry-after`
/// in seconds or as a date (RFC 9110, section 10.2.3).
#[must_use]
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(wait) = text("retry-after-ms").and_then(|value| milliseconds(value, 1.0)) {
        return Some(wait);
    }
    let value = text(RETRY_AFTER.as_str())?;
    if let Some(wait) = milliseconds(value, 1000.0) {
        return Some(wait);
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

fn milliseconds(value: &str, unit: f64) -> Option<Duration> {
    let number: f64 = value
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
    // The limit of a year avoids an overflow.
    Duration::try_from_secs_f64((number * unit / 1000.0).min(31_536_000.0)).ok()
}

/// The pause before a retry (1, 2, …). It doubles with each retry and is shortened by up to a quarter, so that
/// many clients do not retry at the same moment. `random` is in 0..1.
#[must_use]
pub(crate) fn backoff(base: Duration, retry: u32, random: f64) -> Duration {
    let doubled = base.saturating_mul(1 << (retry.clamp(1, 16) - 1));
    doubled
        .min(Duration::from_secs(30))
        .mul_f64(1.0 - random.clamp(0.0, 1.0) / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    (*name).parse().expect("name"),
                    value.parse().expect("value"),
                )
            })
            .collect()
    }

    #[test]
    fn the_status_decides_unless_the_provider_does() {
        let check = |status, pairs: &[_], expect| {
            assert_eq!(
                may_retry(status, &headers(pairs)),
                expect,
                "{status} {pairs:?}"
            );
        };
        for status in [408, 409, 429, 500, 502, 503, 504, 529] {
            check(status, &[], true);
            check(status, &[("x-should-retry", "false")], false);
        }
        for status in [400, 401, 402, 403, 404, 413, 422] {
            check(status, &[], false);
            check(status, &[("x-should-retry", "true")], true);
        }
    }

    #[test]
    fn all_forms_of_retry_after_are_read() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let check = |pairs: &[_], expect: Option<u64>| {
            assert_eq!(
                retry_after(&headers(pairs), now),
                expect.map(Duration::from_millis),
                "{pairs:?}"
            );
        };
        check(&[], None);
        check(&[("retry-after", "1")], Some(1000));
        check(&[("retry-after", "0.25")], Some(250));
        check(&[("retry-after-ms", "30"), ("retry-after", "9")], Some(30));
        check(
            &[("retry-after", "Sun, 06 Nov 1994 08:49:39 GMT")],
            Some(2000),
        );
        check(&[("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT")], Some(0));
        for nonsense in ["soon", "-5", "NaN", "inf", ""] {
            check(&[("retry-after", nonsense)], None);
        }
        check(&[("retry-after", "1e300")], Some(31_536_000_000));
    }

    #[test]
    fn pauses_double_and_are_shortened_by_chance() {
        let base = Duration::from_millis(500);
        assert_eq!(backoff(base, 1, 0.0), Duration::from_millis(500));
        assert_eq!(backoff(base, 3, 0.0), Duration::from_millis(2000));
        assert_eq!(backoff(base, 1, 1.0), Duration::from_millis(375));
        assert_eq!(backoff(base, u32::MAX, 0.0), Duration::from_secs(30));
    }
}
