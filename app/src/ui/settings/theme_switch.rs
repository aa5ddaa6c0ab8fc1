//! The theme: light, dark, or that of the system.
//!
//! The choice is in the document's `data-theme`, which the style sheet uses, and in the browser's storage.
//! `public/theme.js` sets the attribute before the first paint; this module only changes it.

use leptos::prelude::*;

use crate::platform::storage::{StorageKey, use_storage};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Theme {
    System,
    Light,
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

    /// The path of the icon: half a disc, a sun, a moon.
    fn icon(self) -> &'static str {
        match self {
            Self::System => "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
            Self::Light => {
                "M12 8a4 4 0 1 0 0 8a4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5"
            }
            Self::Dark => "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
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
pub struct ChosenTheme(RwSignal<Theme>);

impl ChosenTheme {
    /// The system's theme.
    #[must_use]
    pub fn new() -> Self {
        Self(RwSignal::new(Theme::System))
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
    #[prop(default = "theme")]
    group: &'static str,
) -> impl IntoView {
    let storage = StoredValue::new(use_storage());
    let ChosenTheme(chosen) = expect_context();
    // The choice of an earlier visit, read after hydration, because the server does not know it.
    Effect::new(move |_| {
        let name = storage.with_value(|storage| {
            storage
                .as_ref()
                .and_then(|storage| storage.get(StorageKey::Theme))
        });
        chosen.set(Theme::named(&name.unwrap_or_default()));
    });
    let choose = move |theme: Theme| {
        chosen.set(theme);
        if let Some(root) = document().document_element() {
            // Setting fails only for an invalid attribute name.
            let _ = root.set_attribute("data-theme", theme.name());
        }
        storage.with_value(|storage| {
            if let Some(storage) = storage {
                storage.set(StorageKey::Theme, theme.name());
            }
        });
    };
    let option = move |theme: Theme| {
        view! {
            <label title=theme.label()>
                <input
                    type="radio"
                    name=group
                    aria-label=theme.label()
                    prop:checked=move || chosen.get() == theme
                    on:change=move |_| choose(theme)
                />
                <svg viewBox="0 0 24 24" aria-hidden="true" class=theme.name()><path d=theme.icon()/></svg>
            </label>
        }
    };
    view! {
        <fieldset class="themes">
            <legend class="visually-hidden">"Theme"</legend>
            {Theme::ALL.into_iter().map(option).collect_view()}
        </fieldset>
    }
}
