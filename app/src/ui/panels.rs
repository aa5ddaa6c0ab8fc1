//! What opens over the page: the model picker, the command palette, the settings, the list of shortcuts, and the toast.
//!
//! All of it is one lazy part, loaded at the first interaction or when something of it is opened. The first file of the
//! page contains the buttons and [`Panels`] only.

pub mod choice_fields;
pub mod chooser;
pub mod commands;
pub mod conversation_title;
pub mod edit_reply;
pub mod message_menu;
pub mod model_picker;
pub mod outline;
pub mod palette;
pub mod preset_form;
pub mod presets;
pub mod settings;
pub mod shortcuts;
pub mod table_text;
pub mod text_tools;
pub mod toast;

use leptos::html::{Button, Dialog, Div};
use leptos::mount::mount_to;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use self::commands::{Command, Commands};
use self::conversation_title::ConversationTitle;
use self::edit_reply::EditReplyDialog;
use self::message_menu::MessageMenu;
use self::model_picker::ModelPicker;
use self::outline::Outline;
use self::palette::Palette;
use self::preset_form::PresetForm;
use self::presets::{PresetList, Presets, SlashPresets};
use self::settings::Settings;
use self::shortcuts::{Shortcuts, is_writing, listen_to_shortcuts};
use self::text_tools::TextTools;
use self::toast::ToastView;
use crate::chat::tree::MessageId;
use crate::library::list::Conversations;
use crate::page::lazy::{FIRST_INTERACTION, LazyPart, lazy_part, on_each};

/// A panel that can be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Panel {
    /// The list of models.
    Models,
    /// The command palette.
    Palette,
    /// The settings.
    Settings,
    /// The list of keyboard shortcuts.
    Shortcuts,
    /// The questions of the conversation.
    Outline,
    /// The presets.
    Presets,
    /// The form of a preset.
    PresetForm,
    /// The menu of a message.
    Menu(MessageId),
    /// The text of a reply, to be edited.
    EditReply(MessageId),
}

/// Which panel is open, and the place of the title in the header. The handle is `Copy`.
#[derive(Clone, Copy)]
pub struct Panels {
    open: RwSignal<Option<Panel>>,
    /// The button that opened the menu of a message.
    menu_button: StoredValue<Option<NodeRef<Button>>>,
    /// The element in the header that contains the title.
    pub title: NodeRef<Div>,
}

impl Panels {
    /// No panel is open.
    #[must_use]
    pub fn new() -> Self {
        Self {
            open: RwSignal::new(None),
            menu_button: StoredValue::new(None),
            title: NodeRef::new(),
        }
    }

    /// Opens a panel.
    pub fn open(self, panel: Panel) {
        self.open.set(Some(panel));
    }

    /// Opens the menu of a message at its button, or closes it.
    pub fn toggle_menu(self, message: MessageId, button: NodeRef<Button>) {
        self.menu_button.set_value(Some(button));
        let menu = Panel::Menu(message);
        let is_open = self.open.get_untracked() == Some(menu);
        self.open.set((!is_open).then_some(menu));
    }

    /// Notes that a panel was closed.
    fn closed(self, panel: Panel) {
        if self.open.get_untracked() == Some(panel) {
            self.open.set(None);
        }
    }

    /// Whether this panel is open.
    #[must_use]
    pub fn is_open(self, panel: Panel) -> bool {
        self.open.get() == Some(panel)
    }

    /// Opens and closes a dialog with its panel. `on_open` is called before it is shown.
    fn follow(self, panel: Panel, dialog: NodeRef<Dialog>, on_open: impl Fn() + 'static) {
        Effect::new(move |_| {
            let is_open = self.is_open(panel);
            let Some(dialog) = dialog.get() else { return };
            if is_open && !dialog.open() {
                on_open();
                // This fails only if the dialog is open already.
                let _ = dialog.show_modal();
            } else if !is_open && dialog.open() {
                dialog.close();
            }
        });
    }
}

impl Default for Panels {
    fn default() -> Self {
        Self::new()
    }
}

/// The place of the panels.
#[component]
pub fn PanelHost() -> impl IntoView {
    let opened = expect_context::<Panels>();
    let conversations = expect_context::<Conversations>();
    let place = NodeRef::<Div>::new();
    let part = LazyPart::new();
    let early = StoredValue::new(None::<Command>);
    let owner = Owner::current().expect("a component has one");
    let load = move || {
        if let Some(place) = place.get_untracked() {
            part.load(panels(place, owner.clone(), early));
        }
    };
    on_each(FIRST_INTERACTION, load.clone());
    note_early_shortcut(part, early);
    Effect::new(move |_| {
        if opened.open.get().is_some() || conversations.toast().is_some() {
            load();
        }
    });
    view! { <div class="panels" node_ref=place></div> }
}

/// Notes the command of a shortcut that is pressed before the part is loaded, which performs it then.
fn note_early_shortcut(part: LazyPart, early: StoredValue<Option<Command>>) {
    Effect::new(move |_| {
        let keys = window_event_listener(leptos::ev::keydown, move |key| {
            if untrack(|| part.is_live()) || key.is_composing() || key.default_prevented() {
                return;
            }
            if let Some(command) = Command::of_key(&key, is_writing()) {
                key.prevent_default();
                early.set_value(Some(command));
            }
        });
        on_cleanup(move || keys.remove());
    });
}

lazy_part! {
    /// Mounts the panels, and performs the command that was called for meanwhile.
    fn panels(place: web_sys::HtmlDivElement, owner: Owner, early: StoredValue<Option<Command>>) -> () {
        owner.with(|| {
            listen_to_shortcuts();
            provide_context(PresetList::of_page());
            let title = expect_context::<Panels>().title;
            if let Some(title) = title.get_untracked() {
                title.set_text_content(None);
                mount_to(title.unchecked_into(), ConversationTitle).forget();
            }
            mount_to(place.unchecked_into(), || {
                view! {
                    <ModelPicker/>
                    <Palette/>
                    <Outline/>
                    <Presets/>
                    <PresetForm/>
                    <SlashPresets/>
                    <Settings/>
                    <Shortcuts/>
                    <MessageMenu/>
                    <EditReplyDialog/>
                    <TextTools/>
                    <ToastView/>
                }
            })
            .forget();
            let commands = Commands::of_page();
            let early = early.try_update_value(Option::take).flatten();
            if let Some(command) = early.filter(|command| commands.is_possible(*command)) {
                commands.run(command);
            }
        });
    }
}

/// Whether a click is beside the content of a dialog, where its target is the dialog itself.
fn is_beside(click: &leptos::ev::MouseEvent) -> bool {
    let target = click
        .target()
        .and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    target.is_some_and(|target| target.tag_name() == "DIALOG")
}
