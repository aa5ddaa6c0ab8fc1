//! The theme: light, dark, or that of the system.
//!
//! The choice is in the document's `data-theme`, which the style sheet uses, and in the browser's storage.
//! `public/theme.js` sets the attribute before the first paint; this module only changes it.

use std::sync::Arc;

use leptos::prelude::*;

use crate::platform::storage::{Storage, StorageKey, use_storage};
use crate::ui::controls::icon::small_icon;

/// A theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// That of the system.
    System,
    /// The light one.
    Light,
    /// The dark one.
    Dark,
}

impl Theme {
    const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// The name in the document and in the storage; empty for the system's theme.
    fn name(self) -> &'static str {
        match self {
            Self::System => "",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::System => "System theme",
            Self::Light => "Light theme",
            Self::Dark => "Dark theme",
        }
    }

    /// The symbol of its icon.
    fn symbol(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "sun",
            Self::Dark => "moon",
        }
    }

    fn named(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|theme| theme.name() == name)
            .unwrap_or(Self::System)
    }
}

/// The chosen theme, shared by all switches of the page.
#[derive(Clone, Copy)]
pub struct ChosenTheme {
    theme: RwSignal<Theme>,
    storage: StoredValue<Option<Arc<dyn Storage>>>,
}

impl ChosenTheme {
    /// The theme of an earlier visit, or else the system's.
    #[must_use]
    pub fn new() -> Self {
        Self {
            theme: RwSignal::new(Theme::System),
            storage: StoredValue::new(use_storage()),
        }
    }

    /// Reads the choice of an earlier visit. After hydration, because the server does not know it.
    fn load(self) {
        let name = self
            .storage
            .with_value(|storage| storage.as_ref()?.get(StorageKey::Theme));
        self.theme.set(Theme::named(&name.unwrap_or_default()));
    }

    /// Chooses a theme, now and for later visits.
    pub fn choose(self, theme: Theme) {
        self.theme.set(theme);
        if let Some(root) = document().document_element() {
            // Setting fails only for an invalid attribute name.
            let _ = root.set_attribute("data-theme", theme.name());
        }
        self.storage.with_value(|storage| {
            if let Some(storage) = storage {
                storage.set(StorageKey::Theme, theme.name());
            }
        });
    }
}

impl Default for ChosenTheme {
    fn default() -> Self {
        Self::new()
    }
}

/// Three radio buttons.
#[component]
pub fn ThemeSwitch(
    /// The name of the radio group, unique in the document.
    group: &'static str,
    /// Whether the switch is in a menu, whose items have roles of their own.
    #[prop(default = false)]
    is_in_menu: bool,
) -> impl IntoView {
    let role = is_in_menu.then_some("menuitemradio");
    let tab_index = is_in_menu.then_some("-1");
    let chosen = expect_context::<ChosenTheme>();
    Effect::new(move |_| chosen.load());
    let option = move |theme: Theme| {
        view! {
            <label title=theme.label()>
                <input
                    type="radio"
                    role=role
                    tabindex=tab_index
                    name=group
                    aria-label=theme.label()
                    prop:checked=move || chosen.theme.get() == theme
                    on:change=move |_| chosen.choose(theme)
                />
                {small_icon(theme.symbol())}
            </label>
        }
    };
    view! {
        <fieldset class="segments">
            <legend class="visually-hidden">"Theme"</legend>
            {Theme::ALL.into_iter().map(option).collect_view()}
        </fieldset>
    }
}
