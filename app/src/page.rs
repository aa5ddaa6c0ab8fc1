//! The page of a conversation: a header, the conversation, the composer.

use leptos::prelude::*;

use crate::chat::Chat;
use crate::clock::BrowserClock;
use crate::components::composer::Composer;
use crate::components::composer_field::ComposerField;
use crate::components::follow::Follow;
use crate::components::model_picker::ModelPicker;
use crate::components::settings::Settings;
use crate::components::theme_switch::{ChosenTheme, ThemeSwitch};
use crate::components::transcript::Transcript;
use crate::preferences::Preferences;
use crate::protocol::PageInfo;
use crate::transport::use_transport;
use crate::wording;

/// A conversation and all that is around it.
#[component]
pub fn ChatPage() -> impl IntoView {
    let preferences = Preferences::new();
    preferences.recall();
    provide_context(preferences);
    provide_context(ChosenTheme::new());
    let chat = Chat::new(use_transport(), BrowserClock, preferences);
    let field = ComposerField::new();
    provide_context(chat);
    provide_context(field);
    provide_context(Follow::new());
    listen_to_keys(chat, field);

    view! {
        <a class="skip" href="#message" on:click=move |click| {
            click.prevent_default();
            field.focus();
        }>
            {wording::SKIP_LINK}
        </a>
        <Header/>
        <main>
            <noscript>{wording::NO_SCRIPT}</noscript>
            <Transcript/>
            <Composer/>
            <p role="status" class="visually-hidden">
                {move || wording::announcement(&chat.announcement(), local_number)}
            </p>
        </main>
    }
}

#[component]
fn Header() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let field = expect_context::<ComposerField>();
    let is_demo = use_context::<PageInfo>().unwrap_or_default().demo;
    view! {
        <header>
            <h1>
                <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
                    <path d="M8 27V15a8 8 0 0 1 16 0"/>
                    <path d="M16 27V16"/>
                </svg>
                "Rill"
            </h1>
            <ModelPicker/>
            {is_demo.then(|| view! { <span class="badge">"Demo"</span> })}
            <button type="button" class="new-chat" on:click=move |_| {
                chat.start_anew();
                field.focus();
            }>"New chat"</button>
            <ThemeSwitch/>
            <Settings/>
        </header>
    }
}

/// Keys that work wherever one is: Esc stops, and who begins to type writes a message.
fn listen_to_keys(chat: Chat, field: ComposerField) {
    // An effect runs in the browser only.
    Effect::new(move |_| {
        let listener = window_event_listener(leptos::ev::keydown, move |key| {
            if key.is_composing() || key.default_prevented() {
                return;
            }
            if key.key() == "Escape" && chat.is_streaming_untracked() {
                chat.stop();
                return;
            }
            let name = key.key();
            let is_typing = name.chars().count() == 1 && name != " ";
            if is_typing
                && !(key.ctrl_key() || key.meta_key() || key.alt_key())
                && nothing_has_focus()
            {
                field.focus();
            }
        });
        on_cleanup(move || listener.remove());
    });
}

fn nothing_has_focus() -> bool {
    let document = document();
    match (document.active_element(), document.body()) {
        (Some(active), Some(body)) => active == *body,
        _ => true,
    }
}

/// A number as the person's language writes it.
fn local_number(number: usize) -> String {
    let language = window().navigator().language().unwrap_or_default();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of words is far below 2^52"
    )]
    let number = js_sys::Number::from(number as f64);
    number.to_locale_string(&language).into()
}
