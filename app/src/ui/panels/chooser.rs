//! A dialog with a field and a list that typing filters: the ARIA pattern "combobox" with a list box that is always
//! shown. The field keeps the focus; the arrow keys move the active row and Enter chooses it.
//!
//! The rows are created as plain elements: as views they would add more to the page's wasm than all other code here.

use std::sync::Arc;

use leptos::ev::{KeyboardEvent, MouseEvent};
use leptos::html::{Dialog, Div, Input};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::Element;

use crate::ui::controls::icon::{icon, symbol_use};
use crate::ui::dom::{append, create, set};
use crate::ui::panels::{Panel, Panels, is_beside};

/// A row that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<A> {
    /// What choosing the row does.
    pub action: A,
    /// The symbol of its icon; empty for none.
    pub symbol: &'static str,
    /// The text, in pieces; the marked ones match what was typed.
    pub label: Vec<(String, bool)>,
    /// A second line, in pieces.
    pub detail: Vec<(String, bool)>,
    /// The text at the end of the row, such as a shortcut.
    pub note: String,
    /// Whether this is the current choice.
    pub is_chosen: bool,
}

impl<A> Row<A> {
    /// A row with a label.
    pub fn new(action: A, label: impl Into<String>) -> Self {
        Self {
            action,
            symbol: "",
            label: vec![(label.into(), false)],
            detail: Vec::new(),
            note: String::new(),
            is_chosen: false,
        }
    }
}

/// Rows under a heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<A> {
    /// The heading.
    pub heading: String,
    /// The rows.
    pub rows: Vec<Row<A>>,
}

/// How a row was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// With Enter or a click.
    Plain,
    /// With Alt and Enter or Alt and a click.
    WithAlt,
}

type Find<A> = Arc<dyn Fn(&str) -> Vec<Section<A>> + Send + Sync>;
type Choose<A> = Arc<dyn Fn(A, How) -> bool + Send + Sync>;

/// The state of a chooser.
pub struct Chooser<A: 'static> {
    panels: Panels,
    panel: Panel,
    dialog: NodeRef<Dialog>,
    input: NodeRef<Input>,
    results: NodeRef<Div>,
    /// The id of the list box; the rows have it with their number.
    id: &'static str,
    /// Returns the rows for what was typed.
    find: StoredValue<Find<A>>,
    /// Performs the action of a row. Returns whether the dialog closes.
    choose: StoredValue<Choose<A>>,
    actions: StoredValue<Vec<A>>,
    active: StoredValue<usize>,
}

impl<A> Clone for Chooser<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Chooser<A> {}

impl<A: Clone + Send + Sync + 'static> Chooser<A> {
    /// A chooser for this panel. `id` is unique in the document.
    pub fn new(
        panel: Panel,
        id: &'static str,
        find: impl Fn(&str) -> Vec<Section<A>> + Send + Sync + 'static,
        choose: impl Fn(A, How) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            panels: expect_context(),
            panel,
            dialog: NodeRef::new(),
            input: NodeRef::new(),
            results: NodeRef::new(),
            id,
            find: StoredValue::new(Arc::new(find)),
            choose: StoredValue::new(Arc::new(choose)),
            actions: StoredValue::new(Vec::new()),
            active: StoredValue::new(0),
        }
    }

    /// What was typed.
    pub fn typed(self) -> String {
        let input = self.input.get_untracked();
        input.map_or_else(String::new, |input| input.value())
    }

    /// Renders the list. The active row stays active if `keeps_place`.
    pub fn show(self, keeps_place: bool) {
        let Some(results) = self.results.get_untracked() else {
            return;
        };
        let sections = self.find.with_value(|find| find(&self.typed()));
        results.set_text_content(None);
        let mut actions = Vec::new();
        for (at, section) in sections.into_iter().enumerate() {
            if section.rows.is_empty() {
                continue;
            }
            let group = create("div");
            set(&group, "role", "group");
            let heading = create("div");
            set(&heading, "class", "label");
            set(&heading, "id", &format!("{}-heading-{at}", self.id));
            set(
                &group,
                "aria-labelledby",
                &format!("{}-heading-{at}", self.id),
            );
            heading.set_text_content(Some(&section.heading));
            append(&group, &heading);
            for row in section.rows {
                let option = option(&row);
                set(&option, "id", &format!("{}-{}", self.id, actions.len()));
                append(&group, &option);
                actions.push(row.action);
            }
            append(&results, &group);
        }
        if actions.is_empty() {
            let nothing = create("p");
            set(&nothing, "class", "nothing");
            nothing.set_text_content(Some("Nothing was found."));
            append(&results, &nothing);
        }
        let last = actions.len().saturating_sub(1);
        self.actions.set_value(actions);
        let active = if keeps_place {
            self.active.get_value()
        } else {
            0
        };
        self.activate(active.min(last));
    }

    fn row(self, number: usize) -> Option<Element> {
        document().get_element_by_id(&format!("{}-{number}", self.id))
    }

    /// Makes the row with this number the active one.
    fn activate(self, number: usize) {
        if let Some(before) = self.row(self.active.get_value()) {
            set(&before, "class", "row");
        }
        self.active.set_value(number);
        let row = self.row(number);
        if let Some(row) = &row {
            set(row, "class", "row active");
            row.scroll_into_view_with_bool(false);
        }
        if let Some(input) = self.input.get_untracked() {
            let id = row.map_or_else(String::new, |row| row.id());
            set(&input, "aria-activedescendant", &id);
        }
    }

    fn choose(self, number: usize, how: How) {
        let action = self
            .actions
            .with_value(|actions| actions.get(number).cloned());
        let Some(action) = action else { return };
        let choose = self.choose.get_value();
        // It is closed first, because closing moves the focus, and the action may move it again.
        if how == How::Plain {
            self.panels.closed(self.panel);
            if let Some(dialog) = self.dialog.get_untracked() {
                dialog.close();
            }
        }
        if !choose(action, how) {
            self.show(true);
        }
    }

    fn on_key(self, key: &KeyboardEvent) {
        // The browser closes the dialog on Escape; the reply behind it must not stop.
        key.stop_propagation();
        if key.is_composing() {
            return;
        }
        let last = self.actions.with_value(Vec::len).saturating_sub(1);
        let at = self.active.get_value();
        let how = if key.alt_key() {
            How::WithAlt
        } else {
            How::Plain
        };
        match key.key().as_str() {
            "ArrowDown" => self.activate(if at < last { at + 1 } else { 0 }),
            "ArrowUp" => self.activate(at.checked_sub(1).unwrap_or(last)),
            "PageDown" => self.activate((at + 8).min(last)),
            "PageUp" => self.activate(at.saturating_sub(8)),
            "Enter" => self.choose(at, how),
            _ => return,
        }
        key.prevent_default();
    }

    fn on_click(self, click: &MouseEvent) {
        if is_beside(click) {
            return self.panels.closed(self.panel);
        }
        let row = click.target().and_then(|target| {
            target
                .dyn_into::<Element>()
                .ok()?
                .closest("[role=option]")
                .ok()?
        });
        let number = row.and_then(|row| row.id().rsplit_once('-')?.1.parse().ok());
        if let Some(number) = number {
            self.choose(
                number,
                if click.alt_key() {
                    How::WithAlt
                } else {
                    How::Plain
                },
            );
        }
    }

    /// The dialog. `name` is its accessible name and that of the field.
    pub fn view(
        self,
        class: &'static str,
        name: &'static str,
        placeholder: &'static str,
        hints: AnyView,
    ) -> AnyView {
        self.panels.follow(self.panel, self.dialog, move || {
            if let Some(input) = self.input.get_untracked() {
                input.set_value("");
            }
            self.active.set_value(0);
            self.show(false);
        });
        view! {
            <dialog
                class=format!("panel {class}")
                aria-label=name
                node_ref=self.dialog
                on:keydown=move |key| self.on_key(&key)
                on:click=move |click| self.on_click(&click)
                on:close=move |_| self.panels.closed(self.panel)
            >
                <label class="find">
                    {icon("search")}
                    <input
                        node_ref=self.input
                        type="text"
                        role="combobox"
                        aria-label=name
                        aria-expanded="true"
                        aria-controls=self.id
                        aria-autocomplete="list"
                        autocomplete="off"
                        autocapitalize="off"
                        spellcheck="false"
                        placeholder=placeholder
                        on:input=move |_| self.show(false)
                    />
                </label>
                // The field keeps the focus while a row is pressed.
                <div
                    class="results"
                    id=self.id
                    role="listbox"
                    aria-label=format!("{name} list")
                    node_ref=self.results
                    on:mousedown=move |press| press.prevent_default()
                ></div>
                <p class="hints">{hints}</p>
            </dialog>
        }
        .into_any()
    }
}

/// The element of a row.
fn option<A>(row: &Row<A>) -> Element {
    let option = create("div");
    set(&option, "role", "option");
    set(&option, "class", "row");
    set(
        &option,
        "aria-selected",
        if row.is_chosen { "true" } else { "false" },
    );
    if !row.symbol.is_empty() {
        append(&option, &picture(row.symbol, "icon"));
    }
    let words = create("span");
    set(&words, "class", "words");
    set(&words, "dir", "auto");
    append_pieces(&words, &row.label);
    if !row.detail.is_empty() {
        let detail = create("span");
        set(&detail, "class", "snippet");
        append_pieces(&detail, &row.detail);
        append(&words, &detail);
    }
    append(&option, &words);
    if row.is_chosen {
        append(&option, &picture("check", "icon chosen"));
    }
    if !row.note.is_empty() {
        let note = create("span");
        set(&note, "class", "from");
        note.set_text_content(Some(&row.note));
        append(&option, &note);
    }
    option
}

fn append_pieces(parent: &Element, pieces: &[(String, bool)]) {
    for (text, is_marked) in pieces {
        let piece = create(if *is_marked { "mark" } else { "span" });
        piece.set_text_content(Some(text));
        append(parent, &piece);
    }
}

fn picture(symbol: &str, class: &str) -> Element {
    let frame = create("span");
    // The content is a constant of this program.
    frame.set_inner_html(&format!(
        "<svg class=\"{class}\" aria-hidden=\"true\">{}</svg>",
        symbol_use(symbol)
    ));
    frame.first_element_child().expect("it was just created")
}

/// A text in pieces, of which those that match a word of the query are marked, without regard to case.
#[must_use]
pub fn marked(text: &str, query: &str) -> Vec<(String, bool)> {
    let lower = text.to_lowercase();
    let is_same_length = lower.len() == text.len();
    let mut is_hit = vec![false; text.len()];
    for word in query.split_whitespace().map(str::to_lowercase) {
        // Where lower case has another length, the places would be wrong.
        for (at, found) in lower.match_indices(&word).filter(|_| is_same_length) {
            is_hit[at..at + found.len()].fill(true);
        }
    }
    let mut pieces: Vec<(String, bool)> = Vec::new();
    for (at, character) in text.char_indices() {
        match pieces.last_mut() {
            Some((piece, hit)) if *hit == is_hit[at] => piece.push(character),
            _ => pieces.push((character.to_string(), is_hit[at])),
        }
    }
    pieces
}

/// Whether a text contains all words of a query, without regard to case.
#[must_use]
pub fn fits(text: &str, query: &str) -> bool {
    let text = text.to_lowercase();
    query
        .split_whitespace()
        .all(|word| text.contains(&word.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_query_are_marked_wherever_they_stand() {
        let check = |text: &str, query: &str, expect: &[(&str, bool)]| {
            let pieces = marked(text, query);
            let pieces: Vec<_> = pieces
                .iter()
                .map(|(text, hit)| (text.as_str(), *hit))
                .collect();
            assert_eq!(pieces, expect, "{text} {query}");
        };
        check("New chat", "", &[("New chat", false)]);
        check(
            "New chat",
            "CHAT n",
            &[("N", true), ("ew ", false), ("chat", true)],
        );
        check("straße", "SSE", &[("straße", false)]);
        check("İstanbul", "ist", &[("İstanbul", false)]);
        check("aaa", "aa a", &[("aaa", true)]);
    }

    #[test]
    fn a_text_fits_if_it_has_all_words() {
        let check = |text: &str, query: &str, expect: bool| {
            assert_eq!(fits(text, query), expect, "{text} {query}");
        };
        check("gpt-5-mini", "MINI gpt", true);
        check("gpt-5-mini", "  ", true);
        check("gpt-5-mini", "mini x", false);
    }
}
