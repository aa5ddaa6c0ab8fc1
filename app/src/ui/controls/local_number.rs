//! Numbers in the format of the user's language.

use leptos::prelude::window;

/// Formats a number in the language of the browser. In the browser only.
#[must_use]
pub fn local_number(number: usize) -> String {
    let language = window().navigator().language().unwrap_or_default();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of words is far below 2^52"
    )]
    let number = js_sys::Number::from(number as f64);
    number.to_locale_string(&language).into()
}
