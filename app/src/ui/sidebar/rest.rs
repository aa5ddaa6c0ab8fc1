//! The list and the foot of the sidebar: rendered by the server, and made interactive by a lazy part.

use leptos::mount::mount_to;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::library::index::Group;
use crate::library::list::Conversations;
use crate::page::lazy::lazy_part;
use crate::ui::sidebar::entry::Entry;
use crate::ui::sidebar::foot::Foot;
use crate::ui::sidebar::found::Found;

lazy_part! {
    /// Replaces the server's list by the interactive one. The focus stays at the same item, and the button that was
    /// clicked meanwhile is clicked again.
    pub(in crate::ui) fn rest(place: web_sys::HtmlDivElement, owner: Owner, clicked: EarlyClick) -> () {
        let focused = document().active_element();
        let at = focused.and_then(|focused| position(&place, &focused));
        let clicked = clicked.take();
        place.set_text_content(None);
        owner.with(|| mount_to(place.clone().unchecked_into(), Rest).forget());
        let item = at.and_then(|at| items(&place).into_iter().nth(at));
        if let Some(item) = item.and_then(|item| item.dyn_into().ok()) {
            crate::ui::dom::focus_in_place(&item);
        }
        let button = clicked.and_then(|at| items(&place).into_iter().nth(at));
        if let Some(button) = button.and_then(|button| button.dyn_into::<web_sys::HtmlElement>().ok()) {
            button.click();
        }
    }
}

/// The button that was clicked before the list is interactive, by its place among the elements that can have the focus.
/// The element itself could not be kept here: the server renders a page on one thread and drops it on another.
#[derive(Clone, Copy)]
pub(in crate::ui) struct EarlyClick(StoredValue<Option<usize>>);

impl EarlyClick {
    /// No button was clicked.
    pub(in crate::ui) fn new() -> Self {
        Self(StoredValue::new(None))
    }

    /// Notes a click on a button. A link works without scripts.
    pub(in crate::ui) fn note(self, click: &web_sys::MouseEvent) {
        let target = click
            .target()
            .and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        let button = target.and_then(|target| target.closest("button").ok().flatten());
        let at = button.and_then(|button| {
            let place = button.closest(".rest").ok().flatten()?;
            position(&place, &button)
        });
        self.0.set_value(at);
    }

    fn take(self) -> Option<usize> {
        self.0.try_update_value(Option::take).flatten()
    }
}

/// The place of an element among those that can have the focus.
fn position(place: &web_sys::Element, element: &web_sys::Element) -> Option<usize> {
    items(place).iter().position(|item| item == element)
}

/// The elements that can have the focus.
fn items(place: &web_sys::Element) -> Vec<web_sys::Element> {
    let Ok(found) = place.query_selector_all("a, button") else {
        return Vec::new();
    };
    (0..found.length())
        .filter_map(|index| found.item(index)?.dyn_into().ok())
        .collect()
}

/// The list or the hits of a search, and the foot.
#[component]
pub fn Rest() -> impl IntoView {
    let conversations = expect_context::<Conversations>();
    conversations.search_on_input();
    let is_searching = Memo::new(move |_| conversations.hits().is_some());
    view! {
        <div class="list">
            {move || if is_searching.get() {
                view! { <Found/> }.into_any()
            } else {
                view! { <ByDay/> }.into_any()
            }}
        </div>
        <Foot/>
    }
}

/// A row of the list. Both kinds are in one list, because each list adds code to the wasm.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Row {
    Heading(Group),
    Entry(String),
}

/// The list, grouped by day.
#[component]
fn ByDay() -> impl IntoView {
    let conversations = expect_context::<Conversations>();
    let rows = Memo::new(move |_| {
        let today = conversations.today().get();
        let groups = conversations.index().with(|index| index.groups(today));
        let rows = groups.into_iter().flat_map(|(group, ids)| {
            let entries = ids.into_iter().map(Row::Entry);
            std::iter::once(Row::Heading(group)).chain(entries)
        });
        rows.collect::<Vec<_>>()
    });
    let rest = Memo::new(move |_| {
        let index = conversations.index();
        index.with(|index| (index.is_empty(), index.next().is_some()))
    });
    view! {
        <ul>
            <For each=move || rows.get() key=Row::clone children=|row| match row {
                Row::Heading(group) => {
                    view! { <li class="heading"><h2>{group.heading()}</h2></li> }.into_any()
                }
                Row::Entry(id) => view! { <Entry id/> }.into_any(),
            }/>
        </ul>
        {move || match rest.get() {
            (true, _) => view! { <p class="nothing">"Your conversations will be here."</p> }.into_any(),
            (_, true) => view! {
                <button type="button" class="row more" on:click=move |_| conversations.load_more()>
                    "Show older conversations"
                </button>
            }.into_any(),
            (false, false) => ().into_any(),
        }}
    }
}
