//! Types that accept any value in a field of a provider's JSON, so that an unneeded field cannot fail an
//! answer.
//!
//! Each type asks serde for any value and keeps what it can use. A usual value costs what a strict type costs:
//! nothing is copied, buffered or scanned twice.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A field that is usually a string.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::providers) enum Text<'a> {
    /// Missing, null, true or false.
    #[default]
    Missing,
    /// A string, borrowed from the JSON if it has no escapes.
    Plain(Cow<'a, str>),
    /// A list, an object or a number, which may contain text.
    Other,
}

impl Text<'_> {
    /// The string, if the value is a string that is not empty.
    pub(in crate::providers) fn get(&self) -> Option<&str> {
        match self {
            Self::Plain(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Whether the value is something other than a string.
    pub(in crate::providers) fn is_other(&self) -> bool {
        *self == Self::Other
    }
}

/// A field that is usually a count or an index: a whole number from 0 to 2^53, as any number or as a string.
/// Any other value counts as missing.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::providers) struct Number(pub(super) Option<u64>);

/// A field that is usually an object.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::providers) enum Object<T> {
    /// Missing or empty: null, a number, an empty string.
    #[default]
    Missing,
    /// An object.
    Is(T),
    /// A string or a list.
    Other,
}

impl<T> Object<T> {
    /// The object, if the value is one.
    pub(in crate::providers) fn get(&self) -> Option<&T> {
        match self {
            Self::Is(object) => Some(object),
            Self::Missing | Self::Other => None,
        }
    }

    /// Whether the value is something other than an object.
    pub(in crate::providers) fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

/// A field that is usually a list of objects. Other items are dropped. A single object counts as a list of one.
/// place of the list is a list of one.
#[derive(Debug)]
pub(in crate::providers) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Whether a field is present: not null, false, 0, `""`, `[]` or `{}`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::providers) struct IsPresent(pub(super) bool);

/// The number in a string or a float, if it is a whole number in range.
fn whole(number: f64) -> Option<u64> {
    const MOST: f64 = 9_007_199_254_740_992.0;
    let is_count = (0.0..=MOST).contains(&number) && number.fract() == 0.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was looked at"
    )]
    is_count.then_some(number as u64)
}

fn drain_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<bool, A::Error> {
    let mut has_any = false;
    while list.next_element::<IgnoredAny>()?.is_some() {
        has_any = true;
    }
    Ok(has_any)
}

fn drain_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<bool, A::Error> {
    let mut has_any = false;
    while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
        has_any = true;
    }
    Ok(has_any)
}

/// The methods of a [`Visitor`] that ignore any other value.
macro_rules! nothing_of_scalars {
    ($nothing:expr) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($nothing)
        }
    };
}

macro_rules! expecting_anything {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            expecting_anything!();
            nothing_of_scalars!(Text::Missing);
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text::Plain(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text::Plain(Cow::Owned(text.to_owned())))
            }
            fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
                Ok(Text::Plain(Cow::Owned(text)))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Text::Other)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Text::Other)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Text::Other)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                drain_list(list).map(|_| Text::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
                drain_object(object).map(|_| Text::Other)
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl<'de> Visitor<'de> for NumberVisitor {
            type Value = Number;
            expecting_anything!();
            nothing_of_scalars!(Number(None));
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Number(Some(number).filter(|number| *number <= 1 << 53)))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Number(u64::try_from(number).ok()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Number(whole(number)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Number(text.trim().parse().ok().and_then(whole)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                drain_list(list).map(|_| Number(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
                drain_object(object).map(|_| Number(None))
            }
        }
        deserializer.deserialize_any(NumberVisitor)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;
            expecting_anything!();
            nothing_of_scalars!(Object::Missing);
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Object::Missing)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Object::Missing)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Object::Missing)
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(if text.is_empty() {
                    Object::Missing
                } else {
                    Object::Other
                })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                Ok(if drain_list(list)? {
                    Object::Other
                } else {
                    Object::Missing
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(object)).map(Object::Is)
            }
        }
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;
            expecting_anything!();
            nothing_of_scalars!(List::default());
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(List::default())
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(List::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(List::default())
            }
            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(List::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                // The list usually has one item, and more capacity would cost memory with each event.
                let mut objects = Vec::with_capacity(1);
                while let Some(element) = list.next_element::<Object<T>>()? {
                    if let Object::Is(object) = element {
                        objects.push(object);
                    }
                }
                Ok(List(objects))
            }
            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
                let only = T::deserialize(MapAccessDeserializer::new(object))?;
                Ok(List(vec![only]))
            }
        }
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for IsPresent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IsPresentVisitor;
        impl<'de> Visitor<'de> for IsPresentVisitor {
            type Value = IsPresent;
            expecting_anything!();
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(IsPresent(false))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(IsPresent(value))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(IsPresent(number != 0))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(IsPresent(number != 0))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(IsPresent(number != 0.0))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(IsPresent(!text.is_empty()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                drain_list(list).map(IsPresent)
            }
            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
                drain_object(object).map(IsPresent)
            }
        }
        deserializer.deserialize_any(IsPresentVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize as Derive;
    use serde_json::json;

    #[derive(Debug, Derive)]
    struct Inner {
        #[serde(default)]
        n: Number,
    }

    #[test]
    fn a_number_is_read_in_any_spelling_that_is_a_count() {
        let check = |json: &str, expect: Option<u64>| {
            let got: Number = serde_json::from_str(json).expect("any value");
            assert_eq!(got.0, expect, "{json}");
        };
        check("7", Some(7));
        check("7.0", Some(7));
        check("\" 7 \"", Some(7));
        check("\"7.0\"", Some(7));
        check("1e3", Some(1000));
        for none in [
            "-35",
            "-0.5",
            "7.5",
            "18446744073709551615",
            "123456789012345678901234567890",
            "\"many\"",
            "null",
            "true",
            "[7]",
            "{\"a\":[{}]}",
        ] {
            check(none, None);
        }
    }

    #[test]
    fn a_text_is_borrowed_and_what_is_none_is_told_apart() {
        let read = |json| serde_json::from_str::<Text<'_>>(json).expect("any value");
        assert!(matches!(read("\"a\""), Text::Plain(Cow::Borrowed("a"))));
        assert!(matches!(read("\"a\\n\""), Text::Plain(Cow::Owned(_))));
        for json in ["null", "false"] {
            assert_eq!(read(json), Text::Missing, "{json}");
        }
        for json in ["[1,[2]]", "{\"a\":{}}", "4", "-4", "0.5"] {
            assert_eq!(read(json), Text::Other, "{json}");
        }
        // The same out of a value that was parsed before.
        let value = json!("a");
        assert!(matches!(
            Text::deserialize(&value),
            Ok(Text::Plain(Cow::Borrowed("a")))
        ));
    }

    #[test]
    fn a_list_keeps_its_objects_and_an_object_is_read_in_its_place() {
        let list = |json| {
            let List(list) = serde_json::from_str::<List<Inner>>(json).expect("any value");
            list.iter().map(|inner| inner.n.0).collect::<Vec<_>>()
        };
        assert_eq!(list("[{\"n\":1},null,3,[],{}]"), [Some(1), None]);
        assert_eq!(list("{\"n\":2}"), [Some(2)]);
        for none in ["null", "0", "-1", "0.1", "\"x\"", "true"] {
            assert!(list(none).is_empty(), "{none}");
        }
        let object = |json| serde_json::from_str::<Object<Inner>>(json).expect("any value");
        assert!(object("{\"n\":2}").get().is_some());
        assert!(object("[1]").is_other() && object("\"x\"").is_other());
        for none in ["null", "0", "-1", "0.1", "\"\"", "false", "[]"] {
            assert!(matches!(object(none), Object::Missing), "{none}");
        }
    }

    #[test]
    fn nothing_of_any_form_is_nothing() {
        let check = |json: &str, expect| {
            let IsPresent(got) = serde_json::from_str(json).expect("any value");
            assert_eq!(got, expect, "{json}");
        };
        for nothing in ["null", "false", "0", "0.0", "\"\"", "[]", "{}"] {
            check(nothing, false);
        }
        for something in ["true", "1", "-1", "0.5", "\"x\"", "[null]", "{\"a\":null}"] {
            check(something, true);
        }
    }

    #[test]
    fn what_is_not_kept_may_be_nested_without_end() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(
            serde_json::from_str::<Number>(&deep).ok(),
            Some(Number(None))
        );
        assert_eq!(
            serde_json::from_str::<Text<'_>>(&deep).ok(),
            Some(Text::Other)
        );
    }
}
