//! What the command palette and the keyboard shortcuts do.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use web_sys::Element;

use crate::chat::tree::MessageId;
use crate::chat::{Chat, Message};
use crate::library::index::ConversationIndex;
use crate::library::list::Conversations;
use crate::page::base::below;
use crate::page::navigation::{Address, Navigation};
use crate::protocol::saved::EXPORT_PATH;
use crate::ui::composer::composer_field::ComposerField;
use crate::ui::controls::copy_button::copy_to_clipboard;
use crate::ui::controls::theme_switch::{ChosenTheme, Theme};
use crate::ui::panels::outline::has_outline;
use crate::ui::panels::table_text::{TableFormat, table_text};
use crate::ui::panels::{Panel, Panels};
use crate::ui::sidebar::{SidebarState, begin};
use crate::ui::transcript::follow::Follow;

/// A command of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Opens the palette.
    Palette,
    /// Starts a conversation.
    NewChat,
    /// Starts a temporary conversation.
    TemporaryChat,
    /// Stops the reply.
    Stop,
    /// Requests another version of the last reply.
    Regenerate,
    /// Edits the last question.
    EditLast,
    /// Copies the last reply.
    CopyReply,
    /// Copies the last block of code.
    CopyCode,
    /// Copies the last table.
    CopyTable(TableFormat),
    /// Opens the conversation above the open one in the list.
    Previous,
    /// Opens the conversation below the open one.
    Next,
    /// Shows or hides the sidebar.
    ToggleSidebar,
    /// Opens the model picker.
    ChooseModel,
    /// Lists the questions of the conversation.
    Outline,
    /// Opens the settings.
    Settings,
    /// Opens the list of shortcuts.
    Shortcuts,
    /// Chooses the light theme, the dark one, or that of the system.
    Theme(Theme),
    /// Downloads all conversations.
    ExportAll,
}

impl Command {
    /// All commands, in the order of the palette and of the list of shortcuts.
    pub const ALL: [Self; 21] = [
        Self::NewChat,
        Self::Palette,
        Self::Stop,
        Self::Regenerate,
        Self::EditLast,
        Self::CopyReply,
        Self::CopyCode,
        Self::CopyTable(TableFormat::Csv),
        Self::CopyTable(TableFormat::Markdown),
        Self::Previous,
        Self::Next,
        Self::Outline,
        Self::ToggleSidebar,
        Self::TemporaryChat,
        Self::ChooseModel,
        Self::Settings,
        Self::Shortcuts,
        Self::Theme(Theme::Light),
        Self::Theme(Theme::Dark),
        Self::Theme(Theme::System),
        Self::ExportAll,
    ];

    /// What the command does, in words.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Palette => "Search and commands",
            Self::NewChat => "New chat",
            Self::TemporaryChat => "New temporary chat",
            Self::Stop => "Stop the answer",
            Self::Regenerate => "Regenerate the last answer",
            Self::EditLast => "Edit the last question",
            Self::CopyReply => "Copy the last answer",
            Self::CopyCode => "Copy the last block of code",
            Self::CopyTable(TableFormat::Csv) => "Copy the last table as CSV",
            Self::CopyTable(TableFormat::Markdown) => "Copy the last table as Markdown",
            Self::Previous => "Previous conversation",
            Self::Next => "Next conversation",
            Self::Outline => "Outline of the conversation",
            Self::ToggleSidebar => "Show or hide the sidebar",
            Self::ChooseModel => "Choose a model",
            Self::Settings => "Settings",
            Self::Shortcuts => "Keyboard shortcuts",
            Self::Theme(Theme::Light) => "Light theme",
            Self::Theme(Theme::Dark) => "Dark theme",
            Self::Theme(Theme::System) => "System theme",
            Self::ExportAll => "Export all conversations",
        }
    }

    /// The symbol of its icon.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Palette => "search",
            Self::NewChat => "new",
            Self::TemporaryChat => "temporary",
            Self::Stop => "stop",
            Self::Regenerate => "again",
            Self::EditLast => "edit",
            Self::CopyReply | Self::CopyCode | Self::CopyTable(_) => "copy",
            Self::Previous => "up",
            Self::Next => "down",
            Self::Outline => "outline",
            Self::ToggleSidebar => "sidebar",
            Self::ChooseModel => "star",
            Self::Settings => "settings",
            Self::Shortcuts => "keyboard",
            Self::Theme(Theme::Light) => "sun",
            Self::Theme(Theme::Dark) => "moon",
            Self::Theme(Theme::System) => "system",
            Self::ExportAll => "download",
        }
    }

    /// The keys, as they are shown; empty if there are none.
    ///
    /// None of them is one of a browser: letters with Ctrl, ⌘ or Alt nearly all are. Screen readers use keys of their
    /// own with Insert, Caps Lock or Ctrl and Option.
    #[must_use]
    pub fn keys(self) -> &'static str {
        match self {
            Self::Palette => "Ctrl K",
            Self::NewChat => "Ctrl ;",
            Self::Stop => "Esc",
            Self::Regenerate => "Alt ↵",
            Self::EditLast => "↑",
            Self::CopyReply => "Ctrl '",
            Self::CopyCode => "Ctrl Shift '",
            Self::Previous => "Alt Page Up",
            Self::Next => "Alt Page Down",
            Self::ToggleSidebar => "Ctrl \\",
            Self::Shortcuts => "?",
            _ => "",
        }
    }

    /// The command for a key; `is_writing` is whether the focus is in a field.
    #[must_use]
    pub fn of_key(key: &web_sys::KeyboardEvent, is_writing: bool) -> Option<Self> {
        let is_command = (key.ctrl_key() || key.meta_key()) && !key.alt_key();
        let is_alt = key.alt_key() && !key.ctrl_key() && !key.meta_key();
        let is_bare = !is_command && !is_alt;
        Some(match key.key().as_str() {
            "k" | "K" if is_command && !key.shift_key() => Self::Palette,
            ";" if is_command => Self::NewChat,
            "'" if is_command && !key.shift_key() => Self::CopyReply,
            "\"" | "'" if is_command => Self::CopyCode,
            "\\" if is_command => Self::ToggleSidebar,
            "/" if is_command => Self::Shortcuts,
            "?" if is_bare && !is_writing => Self::Shortcuts,
            "Enter" if is_alt => Self::Regenerate,
            "PageUp" if is_alt => Self::Previous,
            "PageDown" if is_alt => Self::Next,
            _ => return None,
        })
    }
}

/// What the commands act on. The handle is `Copy`.
#[derive(Clone, Copy)]
pub struct Commands {
    chat: Chat,
    conversations: Conversations,
    navigation: Navigation,
    panels: Panels,
    sidebar: SidebarState,
    follow: Follow,
    field: ComposerField,
    theme: ChosenTheme,
}

impl Commands {
    /// The commands of the page around the component that is being built.
    #[must_use]
    pub fn of_page() -> Self {
        Self {
            chat: expect_context(),
            conversations: expect_context(),
            navigation: expect_context(),
            panels: expect_context(),
            sidebar: expect_context(),
            follow: expect_context(),
            field: expect_context(),
            theme: expect_context(),
        }
    }

    /// Whether the command makes sense now.
    #[must_use]
    pub fn is_possible(self, command: Command) -> bool {
        untrack(|| match command {
            Command::Stop => self.chat.is_streaming(),
            Command::Regenerate => !self.chat.is_streaming() && self.last_reply().is_some(),
            Command::EditLast => !self.chat.is_empty(),
            Command::CopyReply => self.last_reply().is_some(),
            Command::CopyCode => last_code().is_some(),
            Command::CopyTable(_) => last_table().is_some(),
            Command::Outline => has_outline(self.chat),
            Command::Previous | Command::Next => {
                !self.conversations.index().with(ConversationIndex::is_empty)
            }
            _ => true,
        })
    }

    /// Performs a command.
    pub fn run(self, command: Command) {
        match command {
            Command::Palette => self.panels.open(Panel::Palette),
            Command::NewChat => self.begin(false),
            Command::TemporaryChat => self.begin(true),
            Command::Stop => self.chat.stop(),
            Command::Regenerate => {
                if let Some(id) = self.last_reply() {
                    self.chat.regenerate(id);
                    self.follow.resume();
                }
            }
            Command::EditLast => {
                self.chat.edit_last();
                self.field.focus();
            }
            Command::CopyReply => self.copy_reply(),
            Command::CopyCode => {
                if let Some(code) = last_code() {
                    self.copy(code, "The last block of code was copied.");
                }
            }
            Command::CopyTable(format) => {
                if let Some(table) = last_table() {
                    self.copy_table(&table, format);
                }
            }
            Command::Previous => self.step(false),
            Command::Next => self.step(true),
            Command::Outline => self.panels.open(Panel::Outline),
            Command::ToggleSidebar => self.sidebar.toggle(),
            Command::ChooseModel => self.panels.open(Panel::Models),
            Command::Settings => self.panels.open(Panel::Settings),
            Command::Shortcuts => self.panels.open(Panel::Shortcuts),
            Command::Theme(theme) => self.theme.choose(theme),
            Command::ExportAll => {
                // This fails only where the browser forbids any navigation.
                let _ = window().location().set_href(&below(EXPORT_PATH));
            }
        }
    }

    fn begin(self, is_temporary: bool) {
        begin(
            self.chat,
            self.navigation,
            self.sidebar,
            self.field,
            is_temporary,
        );
    }

    fn last_reply(self) -> Option<MessageId> {
        let path = untrack(|| self.chat.path());
        let is_reply = |id: &MessageId| matches!(self.chat.message(*id), Message::Reply(_));
        path.into_iter().rfind(is_reply)
    }

    fn copy_reply(self) {
        let Some(id) = self.last_reply() else { return };
        if let Message::Reply(reply) = self.chat.message(id) {
            let text = reply.with_untracked(|reply| reply.transcript().text.clone());
            self.copy(text, "The last answer was copied.");
        }
    }

    /// Copies a table.
    pub fn copy_table(self, table: &Element, format: TableFormat) {
        self.copy(table_text(table, format), "The table was copied.");
    }

    fn copy(self, text: String, sentence: &'static str) {
        spawn_local(async move {
            if copy_to_clipboard(&text).await.is_ok() {
                self.chat.announce(sentence.to_owned());
                self.conversations.say(sentence.to_owned());
            }
        });
    }

    /// Opens the conversation below or above the open one.
    fn step(self, is_down: bool) {
        let today = self.conversations.today().get_untracked();
        let groups = self
            .conversations
            .index()
            .with_untracked(|index| index.groups(today));
        let ids: Vec<String> = groups.into_iter().flat_map(|(_, ids)| ids).collect();
        let open = self.chat.id_untracked();
        let at = ids.iter().position(|id| Some(id) == open.as_ref());
        let to = match (at, is_down) {
            (Some(at), true) => at + 1,
            (Some(at), false) => at.checked_sub(1).unwrap_or(ids.len()),
            (None, _) => 0,
        };
        if let Some(id) = ids.into_iter().nth(to) {
            self.navigation.go(Address::Conversation(id));
        }
    }
}

/// The last table of a reply on the page.
fn last_table() -> Option<Element> {
    let tables = document().query_selector_all(".reply .prose .table").ok()?;
    let last = tables.item(tables.length().checked_sub(1)?)?;
    last.dyn_into().ok()
}

/// The text of the last block of code on the page.
fn last_code() -> Option<String> {
    let blocks = document().query_selector_all(".reply .code code").ok()?;
    let last = blocks.item(blocks.length().checked_sub(1)?)?;
    last.text_content()
}
