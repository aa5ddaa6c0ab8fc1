//! Numbers as a person's language writes them. It knows nothing of what they count.

use leptos::prelude::window;

/// A number as the language of the person's browser writes it; there is none on the server.
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
