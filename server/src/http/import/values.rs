//! Lenient access to values: a value of another type than expected counts as missing and is counted.
//!
//! Objects and lists are visited as they are parsed, so that only the wanted parts of a message are in memory.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Reads a value if it has this type.
pub(super) fn value<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// Reads a string.
pub(super) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    value(raw)
}

/// Whether a value is present and not `null`.
pub(super) fn is_something(raw: Option<&RawValue>) -> bool {
    raw.is_some_and(|raw| raw.get() != "null")
}

/// Reads a value of a type. `null` counts as missing. Another type counts as missing and as invalid.
pub(super) fn expect<'a, T: Deserialize<'a>>(
    raw: Option<&'a RawValue>,
    odd: &mut u64,
) -> Option<T> {
    let raw = raw.filter(|raw| raw.get() != "null")?;
    let value = value(raw);
    *odd += u64::from(value.is_none());
    value
}

/// The values of these fields of an object. A value of another type has no fields.
pub(super) fn pick<'a, const COUNT: usize>(
    object: Option<&'a RawValue>,
    names: [&str; COUNT],
) -> [Option<&'a RawValue>; COUNT] {
    let mut found = [None; COUNT];
    if let Some(object) = object {
        let mut parser = serde_json::Deserializer::from_str(object.get());
        // A value that is no object has no fields.
        let _ = parser.deserialize_map(Pick(&names, &mut found));
    }
    found
}

struct Pick<'f, 'a>(&'f [&'f str], &'f mut [Option<&'a RawValue>]);

impl<'a> Visitor<'a> for Pick<'_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match self.0.iter().position(|name| *name == key) {
                Some(place) => self.1[place] = Some(map.next_value()?),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Visits the items of a list without keeping them. Returns whether the value is a list.
pub(super) fn each<'a>(list: Option<&'a RawValue>, take: impl FnMut(&'a RawValue)) -> bool {
    let Some(list) = list else {
        return false;
    };
    let mut parser = serde_json::Deserializer::from_str(list.get());
    parser
        .deserialize_seq(Each(take, PhantomData::<&RawValue>))
        .is_ok()
}

/// Passes the items of a list to a function.
struct Each<F, T>(F, PhantomData<T>);

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Each<F, T> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(next) = list.next_element()? {
            (self.0)(next);
        }
        Ok(())
    }
}
