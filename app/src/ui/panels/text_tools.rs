//! Tools that appear beside a text: copying a table, and quoting a selection.
//!
//! They are elements of the page and not of the text, so that nothing disturbs a text that is being written.

use std::time::Duration;

use leptos::html::{Button, Div};
use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{DomRect, Element, HtmlElement, Node, Selection};

use crate::chat::Chat;
use crate::ui::composer::composer_field::ComposerField;
use crate::ui::controls::icon::small_icon;
use crate::ui::panels::commands::Commands;
use crate::ui::panels::table_text::TableFormat;
use crate::ui::transcript::follow::Follow;

/// The time without a change after which a selection counts as made.
const SELECTED: Duration = Duration::from_millis(200);

/// The tools, which are hidden until they are needed.
#[component]
pub fn TextTools() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let field = expect_context::<ComposerField>();
    let commands = Commands::of_page();
    let tools = NodeRef::<Div>::new();
    let quote = NodeRef::<Button>::new();
    let table = StoredValue::new_local(None::<Element>);
    let selected = StoredValue::new(String::new());
    show_at_tables(tools, table);
    show_at_selection(quote, tools, selected);
    hide_on_scroll(tools, quote);
    let copy = move |format| {
        if let Some(table) = table.get_value() {
            commands.copy_table(&table, format);
        }
    };
    let quote_selection = move |_| {
        if let Some(quote) = quote.get_untracked() {
            quote.set_hidden(true);
        }
        chat.quote(&selected.get_value());
        field.focus();
    };
    view! {
        <div class="text-tools" role="toolbar" aria-label="Table" node_ref=tools hidden>
            <button type="button" class="button" on:click=move |_| copy(TableFormat::Csv)>
                {small_icon("copy")}"Copy as CSV"
            </button>
            <button type="button" class="button" on:click=move |_| copy(TableFormat::Markdown)>
                {small_icon("copy")}"Copy as Markdown"
            </button>
        </div>
        <button
            type="button"
            class="button text-tools"
            node_ref=quote
            hidden
            // The press would end the selection.
            on:pointerdown=|press| press.prevent_default()
            on:click=quote_selection
        >
            {small_icon("quote")}"Quote in reply"
        </button>
    }
}

/// Shows the tools at the table that the pointer or the focus is at.
fn show_at_tables(tools: NodeRef<Div>, table: StoredValue<Option<Element>, LocalStorage>) {
    let at = move |target: Option<web_sys::EventTarget>| {
        let Some(tools) = tools.get_untracked() else {
            return;
        };
        let Some(target) = target.and_then(|target| target.dyn_into::<Element>().ok()) else {
            return;
        };
        if tools.contains(Some(&target)) {
            return;
        }
        let found = target.closest(".prose .table").ok().flatten();
        tools.set_hidden(found.is_none());
        if let Some(found) = &found {
            // Above the table, so that they cover no cell.
            let place = found.get_bounding_client_rect();
            move_to(&tools, place.right(), place.top(), true);
        }
        table.set_value(found);
    };
    let over = window_event_listener(leptos::ev::pointerover, move |event| at(event.target()));
    let focus = window_event_listener(leptos::ev::focusin, move |event| at(event.target()));
    on_cleanup(move || {
        over.remove();
        focus.remove();
    });
}

/// Shows the button below the end of a selection in a message.
fn show_at_selection(quote: NodeRef<Button>, tools: NodeRef<Div>, selected: StoredValue<String>) {
    let due = StoredValue::new(None::<TimeoutHandle>);
    let check = move || {
        let Some(quote) = quote.get_untracked() else {
            return;
        };
        let found = selection_in_message();
        quote.set_hidden(found.is_none());
        if let Some((text, place)) = found {
            // One thing at a time stands beside the text.
            if let Some(tools) = tools.get_untracked() {
                tools.set_hidden(true);
            }
            selected.set_value(text);
            move_to(&quote, place.right(), place.bottom(), false);
        }
    };
    let changed = Closure::<dyn Fn()>::new(move || {
        due.update_value(|due| {
            if let Some(due) = due.take() {
                due.clear();
            }
            *due = set_timeout_with_handle(check, SELECTED).ok();
        });
    });
    // The panels live as long as the page.
    let _ = document()
        .add_event_listener_with_callback("selectionchange", changed.as_ref().unchecked_ref());
    changed.forget();
}

/// The selected text, if it is within one message, and the place of its end.
fn selection_in_message() -> Option<(String, DomRect)> {
    let selection: Selection = window().get_selection().ok()??;
    if selection.is_collapsed() {
        return None;
    }
    let text = String::from(selection.to_string());
    let message = |node: Option<Node>| -> Option<Element> {
        let node = node?;
        let element = node
            .dyn_ref::<Element>()
            .cloned()
            .or_else(|| node.parent_element());
        element?.closest(".transcript article").ok()?
    };
    let begins = message(selection.anchor_node())?;
    if text.trim().is_empty() || message(selection.focus_node())? != begins {
        return None;
    }
    let range = selection
        .get_range_at(selection.range_count().checked_sub(1)?)
        .ok()?;
    let lines = range.get_client_rects()?;
    let last = lines.item(lines.length().checked_sub(1)?)?;
    Some((text, last))
}

/// Places a tool with its far edge at `x`, and above or below `y`, within the window.
fn move_to(tool: &HtmlElement, x: f64, y: f64, is_above: bool) {
    const GAP: f64 = 6.0;
    let size = tool.get_bounding_client_rect();
    let number = |value: Result<wasm_bindgen::JsValue, _>| {
        value
            .ok()
            .and_then(|value| value.as_f64())
            .unwrap_or_default()
    };
    let (width, height) = (
        number(window().inner_width()),
        number(window().inner_height()),
    );
    let top = if is_above {
        y - size.height() - GAP
    } else {
        y + GAP
    };
    let top = top.clamp(GAP, (height - size.height() - GAP).max(GAP));
    let left = (x - size.width()).clamp(GAP, (width - size.width() - GAP).max(GAP));
    let style = tool.style();
    for (property, value) in [("top", top), ("left", left)] {
        // Setting fails only for an invalid property.
        let _ = style.set_property(property, &format!("{value}px"));
    }
}

/// Hides the tools when the text moves below them.
fn hide_on_scroll(tools: NodeRef<Div>, quote: NodeRef<Button>) {
    let follow = expect_context::<Follow>();
    let hide = Closure::<dyn Fn()>::new(move || {
        if let (Some(tools), Some(quote)) = (tools.get_untracked(), quote.get_untracked()) {
            tools.set_hidden(true);
            quote.set_hidden(true);
        }
    })
    .into_js_value();
    Effect::new(move |_| {
        if let Some(scroller) = follow.scroller.get() {
            // A listener that is there already is not added again.
            let _ = scroller.add_event_listener_with_callback("scroll", hide.unchecked_ref());
        }
    });
}
