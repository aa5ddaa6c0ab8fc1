//! The keyboard shortcuts, and the dialog that lists them.

use leptos::html::Dialog;
use leptos::prelude::*;

use crate::ui::controls::icon::icon;
use crate::ui::panels::commands::{Command, Commands};
use crate::ui::panels::{Panel, Panels, is_beside};

/// Performs the commands of shortcuts, anywhere on the page.
pub fn listen_to_shortcuts() {
    let commands = Commands::of_page();
    // Its owner is the page, which lives as long as the window.
    let _ = window_event_listener(leptos::ev::keydown, move |key| {
        if key.is_composing() || key.default_prevented() {
            return;
        }
        let command = Command::of_key(&key, is_writing());
        if let Some(command) = command.filter(|command| commands.is_possible(*command)) {
            key.prevent_default();
            commands.run(command);
        }
    });
}

/// Whether the focus is in a field with text.
pub fn is_writing() -> bool {
    let active = document().active_element();
    active
        .is_some_and(|active| matches!(active.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT"))
}

/// The list of shortcuts.
#[component]
pub fn Shortcuts() -> impl IntoView {
    let panels = expect_context::<Panels>();
    let dialog = NodeRef::<Dialog>::new();
    panels.follow(Panel::Shortcuts, dialog, || ());
    let of_composer = [("Send", "↵"), ("New line", "Shift ↵")];
    let of_commands = Command::ALL
        .into_iter()
        .map(|command| (command.label(), command.keys()))
        .filter(|(_, keys)| !keys.is_empty());
    let rows = of_commands
        .chain(of_composer)
        .map(|(label, keys)| {
            view! { <div><dt>{label}</dt><dd><kbd>{keys}</kbd></dd></div> }.into_any()
        })
        .collect_view();
    view! {
        <dialog
            class="keys"
            aria-label="Keyboard shortcuts"
            node_ref=dialog
            on:keydown=|key| key.stop_propagation()
            on:click=move |click| if is_beside(&click) { panels.closed(Panel::Shortcuts) }
            on:close=move |_| panels.closed(Panel::Shortcuts)
        >
            <div class="sheet">
                <h2>"Keyboard shortcuts"</h2>
                <dl>{rows}</dl>
                <p class="help">"On a Mac, ⌘ does what Ctrl does."</p>
                <button
                    type="button"
                    class="icon-button close"
                    aria-label="Close"
                    on:click=move |_| panels.closed(Panel::Shortcuts)
                >
                    {icon("close")}
                </button>
            </div>
        </dialog>
    }
}
