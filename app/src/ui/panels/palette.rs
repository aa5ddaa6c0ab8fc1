//! The command palette: conversations by title and full text, commands, and models, found by typing.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::chat::Chat;
use crate::library::SearchConversations;
use crate::library::backend::use_server;
use crate::library::list::Conversations;
use crate::page::navigation::{Address, Navigation};
use crate::platform::clock::{BrowserClock, Clock};
use crate::protocol::saved::SearchHit;
use crate::ui::panels::Panel;
use crate::ui::panels::chooser::{Chooser, How, Row, Section, fits, marked};
use crate::ui::panels::commands::{Command, Commands};

/// The most conversations that are listed by their title.
const MOST_TITLES: usize = 8;
/// The most hits of the search in texts.
const MOST_HITS: u32 = 8;
/// The pause of typing after which the server is asked.
const TYPING_PAUSE: Duration = Duration::from_millis(120);

/// What a row of the palette does.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Open { id: String, message: Option<String> },
    Run(Command),
}

/// The palette.
#[component]
pub fn Palette() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let conversations = expect_context::<Conversations>();
    let navigation = expect_context::<Navigation>();
    let commands = Commands::of_page();
    let server = StoredValue::new(use_server());
    // The query that was searched, and what the server found.
    let found = StoredValue::new((String::new(), Vec::<SearchHit>::new()));
    let searching = StoredValue::new(None::<Chooser<Action>>);
    let find = move |typed: &str| {
        search(typed, server, found, searching);
        let titles = titles(conversations, chat, typed);
        let texts = found.with_value(|(query, hits)| {
            if query == typed.trim() {
                texts(hits)
            } else {
                Vec::new()
            }
        });
        let section = |heading: &str, rows| Section {
            heading: heading.to_owned(),
            rows,
        };
        let commands = section("Commands", command_rows(commands, typed));
        let titles = section(
            if typed.trim().is_empty() {
                "Recent"
            } else {
                "Conversations"
            },
            titles,
        );
        let texts = section("In messages", texts);
        if typed.trim().is_empty() {
            vec![titles, commands, texts]
        } else {
            vec![commands, titles, texts]
        }
    };
    let choose = move |action: Action, _: How| {
        match action {
            Action::Open { id, message } => {
                if let Some(message) = message {
                    chat.seek(id.clone(), message);
                }
                navigation.go(Address::Conversation(id));
            }
            Action::Run(command) => commands.run(command),
        }
        true
    };
    let chooser = Chooser::new(Panel::Palette, "palette", find, choose);
    searching.set_value(Some(chooser));
    let hints = view! {
        <span><b>"↑ ↓"</b>" move"</span>
        <span><b>"↵"</b>" open"</span>
        <span><b>"Esc"</b>" close"</span>
    };
    chooser.view(
        "palette",
        "Search and commands",
        "Search, or type a command",
        hints.into_any(),
    )
}

/// The conversations whose titles have the words, the newest first.
fn titles(conversations: Conversations, chat: Chat, typed: &str) -> Vec<Row<Action>> {
    let today = conversations.today().get_untracked();
    let open = chat.id_untracked();
    conversations.index().with_untracked(|index| {
        let groups = index.groups(today);
        let ids = groups.into_iter().flat_map(|(_, ids)| ids);
        let rows = ids.filter_map(|id| {
            let title = &index.get(&id)?.title;
            (fits(title, typed) && Some(&id) != open.as_ref()).then(|| Row {
                label: marked(title, typed),
                ..Row::new(
                    Action::Open {
                        id: id.clone(),
                        message: None,
                    },
                    "",
                )
            })
        });
        rows.take(MOST_TITLES).collect()
    })
}

/// The rows of the hits in texts.
fn texts(hits: &[SearchHit]) -> Vec<Row<Action>> {
    hits.iter()
        .map(|hit| {
            let open = Action::Open {
                id: hit.conversation.clone(),
                message: hit.message.clone(),
            };
            Row {
                detail: hit
                    .snippet
                    .iter()
                    .map(|part| (part.text.clone(), part.marked))
                    .collect(),
                ..Row::new(open, hit.title.clone())
            }
        })
        .collect()
}

/// The rows of the commands that make sense now and have the words.
fn command_rows(commands: Commands, typed: &str) -> Vec<Row<Action>> {
    Command::ALL
        .into_iter()
        .filter(|command| *command != Command::Palette && commands.is_possible(*command))
        .filter(|command| fits(command.label(), typed))
        .map(|command| Row {
            symbol: command.symbol(),
            label: marked(command.label(), typed),
            note: command.keys().to_owned(),
            ..Row::new(Action::Run(command), "")
        })
        .collect()
}

/// Asks the server for messages with the words, after a pause of typing.
fn search(
    typed: &str,
    server: StoredValue<crate::library::backend::Server>,
    found: StoredValue<(String, Vec<SearchHit>)>,
    chooser: StoredValue<Option<Chooser<Action>>>,
) {
    let query = typed.trim().to_owned();
    if query.chars().count() < 2 || found.with_value(|(searched, _)| *searched == query) {
        return;
    }
    spawn_local(async move {
        BrowserClock.wait(TYPING_PAUSE).await;
        let Some(chooser) = chooser.get_value() else {
            return;
        };
        let is_wanted = || chooser.typed().trim() == query;
        if !is_wanted() {
            return;
        }
        let search = SearchConversations {
            query: query.clone(),
            limit: Some(MOST_HITS),
        };
        // The titles stay if the search fails; the sidebar's search tells why.
        if let Ok(hits) = server.get_value().call(search).await
            && is_wanted()
        {
            let in_texts = hits.hits.into_iter().filter(|hit| hit.message.is_some());
            found.set_value((query, in_texts.collect()));
            chooser.show(true);
        }
    });
}
