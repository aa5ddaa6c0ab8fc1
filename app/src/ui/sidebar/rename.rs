//! A title as a field.

use leptos::html::Input;
use leptos::prelude::*;

use crate::ui::dom::focus_in_place;

/// The title as a field. Enter and leaving the field save the title, Escape does not.
#[component]
pub fn Rename(
    /// The title before.
    title: String,
    /// Called once: with the new title, or with `None` after Escape.
    done: impl Fn(Option<String>) + Copy + 'static,
) -> impl IntoView {
    let field = NodeRef::<Input>::new();
    let is_done = StoredValue::new(false);
    let end = move |keep: bool| {
        if !is_done
            .try_update_value(|is_done| std::mem::replace(is_done, true))
            .unwrap_or(true)
        {
            let written = field.get_untracked().map(|field| field.value());
            done(written.filter(|_| keep));
        }
    };
    Effect::new(move |_| {
        if let Some(field) = field.get() {
            focus_in_place(&field);
            field.select();
        }
    });
    view! {
        <input
            class="rename"
            aria-label="Title"
            maxlength="200"
            dir="auto"
            prop:value=title
            node_ref=field
            on:keydown=move |key| {
                if key.is_composing() {
                    return;
                }
                match key.key().as_str() {
                    "Enter" => {
                        key.prevent_default();
                        end(true);
                    }
                    "Escape" => {
                        key.prevent_default();
                        key.stop_propagation();
                        end(false);
                    }
                    _ => {}
                }
            }
            on:blur=move |_| end(true)
        />
    }
}
