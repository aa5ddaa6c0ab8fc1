//! What a reply cost, in one quiet line that is shown when somebody asks for it.

use leptos::prelude::*;

use crate::reply::Reply;
use crate::wording;

/// The button that shows the line, and the line.
#[component]
pub fn Figures(
    /// A reply that has ended.
    reply: RwSignal<Reply>,
) -> impl IntoView {
    let is_shown = RwSignal::new(false);
    let line =
        move || reply.with_untracked(|reply| wording::figures(&reply.figures(), local_number));
    view! {
        <button
            type="button"
            aria-expanded=move || is_shown.get().to_string()
            on:click=move |_| is_shown.update(|shown| *shown = !*shown)
        >"Details"</button>
        {move || is_shown.get().then(|| view! { <p class="figures">{line()}</p> })}
    }
}

/// A number as the person's language writes it.
fn local_number(number: f64) -> String {
    let language = window().navigator().language().unwrap_or_default();
    js_sys::Number::from(number)
        .to_locale_string(&language)
        .into()
}
