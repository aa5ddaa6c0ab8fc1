//! What every store must do, held to SQLite and, where the variable `RILL_TEST_POSTGRES` names a
//! server, to PostgreSQL: `scripts/test` starts one.

mod numbers;
mod paths;

use std::sync::Arc;

use app::protocol::saved::{ExportedConversation, MessageState, SavedMessage, Timing};
use app::protocol::{ChatEvent, Finish, Role, Start, Usage};
use server::config::Saving;
use server::replies::log::Log;
use server::store::{
    self, Ask, Begun, ConversationHead, Finished, ImportCursor, ImportPart, LOCAL_OWNER, NewReply,
    Store, StoreError, TitledBy, new_id,
};
use server::store::{End, Piece};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, query};
use tempfile::TempDir;

const OTHER: &str = "somebody else";

/// A store of its own, and what keeps it.
struct Place {
    saving: Saving,
    _folder: TempDir,
    /// The server, and the database in it that is dropped in the end.
    postgres: Option<(String, String)>,
}

impl Place {
    fn sqlite() -> Self {
        let folder = TempDir::new().expect("a folder");
        Self {
            saving: saving(&["--data-dir", folder.path().to_str().expect("a plain path")]),
            _folder: folder,
            postgres: None,
        }
    }

    /// A database of its own, if there is a server.
    async fn postgres() -> Option<Self> {
        let server = std::env::var("RILL_TEST_POSTGRES").ok()?;
        sqlx::any::install_default_drivers();
        let name = format!("rill_{}", new_id().replace('-', ""));
        let mut connection = AnyConnection::connect(&server).await.expect("PostgreSQL");
        query(AssertSqlSafe(format!("create database {name}")))
            .execute(&mut connection)
            .await
            .expect("a database");
        let url = server.replacen("/postgres", &format!("/{name}"), 1);
        Some(Self {
            saving: saving(&["--database-url", &url]),
            _folder: TempDir::new().expect("a folder"),
            postgres: Some((server, name)),
        })
    }

    async fn open(&self) -> Store {
        store::open(&self.saving.store())
            .await
            .expect("a store")
            .store
    }

    async fn drop_database(self) {
        if let Some((server, name)) = self.postgres {
            let mut connection = AnyConnection::connect(&server).await.expect("PostgreSQL");
            query(AssertSqlSafe(format!("drop database {name} with (force)")))
                .execute(&mut connection)
                .await
                .expect("it is ours");
        }
    }
}

fn saving(arguments: &[&str]) -> Saving {
    use clap::Parser;
    server::config::Config::try_parse_from(["rill"].iter().chain(arguments))
        .expect("flags that are right")
        .saving
}

/// Runs a test on each store there is.
async fn each(test: impl AsyncFn(Arc<Store>)) {
    let sqlite = Place::sqlite();
    test(Arc::new(sqlite.open().await)).await;
    if let Some(postgres) = Place::postgres().await {
        let store: Arc<Store> = Arc::new(postgres.open().await);
        test(Arc::clone(&store)).await;
        store.close().await;
        postgres.drop_database().await;
    }
}

fn question(conversation: &str, parent: Option<&str>, text: &str) -> NewReply {
    new_reply(
        conversation,
        Ask::Question {
            parent: parent.map(str::to_owned),
            text: text.to_owned(),
        },
    )
}

fn new_reply(conversation: &str, ask: Ask) -> NewReply {
    NewReply {
        conversation: conversation.to_owned(),
        request_id: new_id(),
        generation: new_id(),
        ask,
        model: "m".into(),
        parameters: "{}".into(),
        title: "Title".into(),
        now: store::now(),
    }
}

/// A piece as a log would cut it, one event for each text.
fn piece(texts: &[&str]) -> Piece {
    let log = Log::new(Start::default());
    for text in texts {
        let mut writer = log.writer();
        writer.add(&ChatEvent::Text((*text).into()));
        writer.show();
    }
    log.whole().0
}

fn finished(texts: &[&str]) -> Finished {
    Finished {
        whole: piece(texts),
        end: End::Done(Finish::Stop),
        model: "m2".into(),
        usage: Some(Usage {
            prompt_tokens: Some(3),
            ..Usage::default()
        }),
        timing: Timing {
            first_token_ms: Some(1),
            duration_ms: Some(2),
            thinking_ms: None,
        },
        now: store::now(),
    }
}

/// A question with its answer.
async fn say(store: &Arc<Store>, owner: &str, new: &NewReply, answer: &str) -> Begun {
    let begun = store.begin(owner, new).await.expect("it is saved");
    store
        .finish(owner, &begun.generation, &finished(&[answer]))
        .await
        .expect("it is saved");
    begun
}

fn is_missing<T>(result: store::Result<T>) -> bool {
    matches!(result, Err(StoreError::NotFound))
}

#[tokio::test]
async fn a_reply_is_kept_while_it_runs_and_when_it_has_ended() {
    each(async |store| {
        let conversation = new_id();
        let new = question(&conversation, None, "What?");
        let begun = store.begin(LOCAL_OWNER, &new).await.expect("saved");
        assert!(begun.is_first);
        assert_eq!(begun.generation, new.generation);
        assert_eq!(begun.history.len(), 1);
        let generation = &begun.generation;
        for (number, texts) in [(0, &["a ", "b "][..]), (1, &["c"])] {
            store
                .append(LOCAL_OWNER, generation, number, &piece(texts))
                .await
                .expect("saved");
        }
        let running = store.get(LOCAL_OWNER, &conversation).await.expect("there");
        assert_eq!(running.messages[1].text, "a b c");
        assert_eq!(
            running.messages[1].state,
            MessageState::Streaming {
                generation: generation.clone(),
                last_seq: 3
            }
        );
        let summary = store
            .summary(LOCAL_OWNER, &conversation)
            .await
            .expect("there");
        assert!(summary.running && !summary.unread);
        store
            .finish(LOCAL_OWNER, generation, &finished(&["a ", "b ", "c", "d"]))
            .await
            .expect("saved");
        let ended = store.get(LOCAL_OWNER, &conversation).await.expect("there");
        let reply = &ended.messages[1];
        assert_eq!(
            (reply.role, reply.text.as_str()),
            (Role::Assistant, "a b cd")
        );
        assert_eq!(reply.model.as_deref(), Some("m2"));
        assert_eq!(reply.usage.and_then(|usage| usage.prompt_tokens), Some(3));
        assert_eq!(reply.timing, Some(finished(&[]).timing));
        assert_eq!(reply.parent.as_ref(), Some(&ended.messages[0].id));
        let summary = store
            .summary(LOCAL_OWNER, &conversation)
            .await
            .expect("there");
        assert!(!summary.running && summary.unread);
        let stored = store.reply(LOCAL_OWNER, generation).await.expect("there");
        assert_eq!(stored.piece, piece(&["a ", "b ", "c", "d"]));
        assert_eq!(stored.end, Some(End::Done(Finish::Stop)));
    })
    .await;
}

#[tokio::test]
async fn the_same_request_is_the_same_reply() {
    each(async |store| {
        let new = question(&new_id(), None, "What?");
        let first = store.begin(LOCAL_OWNER, &new).await.expect("saved");
        let again = NewReply {
            generation: new_id(),
            ..new.clone()
        };
        let second = store.begin(LOCAL_OWNER, &again).await.expect("known");
        assert_eq!(first.generation, second.generation);
        assert_eq!(first.message, second.message);
        assert_eq!(first.user_message, second.user_message);
        // To somebody else it says nothing.
        let other = NewReply {
            conversation: new_id(),
            generation: new_id(),
            ..new
        };
        let other = store.begin(OTHER, &other).await.expect("saved");
        assert_ne!(other.generation, first.generation);
    })
    .await;
}

#[tokio::test]
async fn what_is_somebody_elses_is_not_found() {
    each(async |store| {
        let conversation = new_id();
        let new = question(&conversation, None, "secret words");
        let begun = say(&store, LOCAL_OWNER, &new, "secret answer").await;
        let id = conversation.as_str();
        assert!(is_missing(store.get(OTHER, id).await));
        assert!(is_missing(store.key(OTHER, id).await));
        assert!(is_missing(store.summary(OTHER, id).await));
        assert!(is_missing(
            store.rename(OTHER, id, "t", TitledBy::Person).await
        ));
        assert!(is_missing(store.pin(OTHER, id, true).await));
        assert!(is_missing(store.delete(OTHER, id, 1).await));
        assert!(is_missing(store.restore(OTHER, id).await));
        assert!(is_missing(store.show(OTHER, id, &begun.message).await));
        assert!(is_missing(store.mark_read(OTHER, id, 1).await));
        assert!(is_missing(store.reply(OTHER, &begun.generation).await));
        let finish = finished(&["changed"]);
        assert!(is_missing(
            store.finish(OTHER, &begun.generation, &finish).await
        ));
        for ask in [
            Ask::Question {
                parent: None,
                text: "mine".into(),
            },
            Ask::Again(begun.message.clone()),
            Ask::Continue(begun.message.clone()),
        ] {
            assert!(is_missing(store.begin(OTHER, &new_reply(id, ask)).await));
        }
        assert!(store.keys(OTHER).await.expect("none").is_empty());
        assert!(
            store
                .search(OTHER, "secret", 10)
                .await
                .expect("none")
                .is_empty()
        );
        let list = store.list(OTHER, None, 10).await.expect("none");
        assert!(list.conversations.is_empty());
        // Nothing of it has changed.
        let kept = store.get(LOCAL_OWNER, id).await.expect("there");
        assert_eq!(kept.messages[1].text, "secret answer");
        // A message of mine in a conversation of somebody else's is not there either.
        let theirs = new_id();
        say(&store, OTHER, &question(&theirs, None, "x"), "y").await;
        let parent = Some(begun.message.as_str());
        assert!(is_missing(
            store.begin(OTHER, &question(&theirs, parent, "x")).await
        ));
    })
    .await;
}

#[tokio::test]
async fn a_conversation_is_a_tree_and_the_model_sees_one_path() {
    each(async |store| {
        let conversation = new_id();
        let first = say(
            &store,
            LOCAL_OWNER,
            &question(&conversation, None, "1"),
            "a",
        )
        .await;
        let next = question(&conversation, Some(&first.message), "2");
        say(&store, LOCAL_OWNER, &next, "b").await;
        // Another second question, and another answer to it.
        let other = question(&conversation, Some(&first.message), "3");
        let other = say(&store, LOCAL_OWNER, &other, "c").await;
        let told: Vec<_> = other
            .history
            .iter()
            .map(|message| message.content.as_str())
            .collect();
        assert_eq!(told, ["1", "a", "3"]);
        let again = new_reply(&conversation, Ask::Again(other.message.clone()));
        let again = store.begin(LOCAL_OWNER, &again).await.expect("saved");
        assert_eq!(again.user_message, other.user_message);
        assert_eq!(again.history, other.history);
        // What is being made cannot be the ground of more.
        let early = question(&conversation, Some(&again.message), "4");
        let refused = store.begin(LOCAL_OWNER, &early).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))));
        let kept = store.get(LOCAL_OWNER, &conversation).await.expect("there");
        assert_eq!(kept.messages.len(), 7);
        assert_eq!(kept.leaf, Some(again.message));
    })
    .await;
}

#[tokio::test]
async fn a_reply_goes_on_where_it_ended() {
    each(async |store| {
        let conversation = new_id();
        let begun = say(
            &store,
            LOCAL_OWNER,
            &question(&conversation, None, "1"),
            "half ",
        )
        .await;
        let go_on = new_reply(&conversation, Ask::Continue(begun.message.clone()));
        let going = store.begin(LOCAL_OWNER, &go_on).await.expect("saved");
        assert_eq!(
            (going.message.as_str(), going.base.text.as_str()),
            (&*begun.message, "half ")
        );
        // The earlier generation has nothing more to say.
        let late = store
            .finish(LOCAL_OWNER, &begun.generation, &finished(&["late"]))
            .await;
        assert!(is_missing(late));
        let whole = finished(&["half ", "whole"]);
        store
            .finish(LOCAL_OWNER, &going.generation, &whole)
            .await
            .expect("saved");
        let kept = store.get(LOCAL_OWNER, &conversation).await.expect("there");
        assert_eq!(
            (kept.messages.len(), kept.messages[1].text.as_str()),
            (2, "half whole")
        );
        // By its earlier generation it is found as that one left it.
        for (generation, text) in [
            (begun.generation, "half "),
            (going.generation, "half whole"),
        ] {
            let reply = store.reply(LOCAL_OWNER, &generation).await.expect("there");
            assert_eq!((&*reply.piece.text, reply.generation), (text, generation));
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_crash_left_running_is_interrupted_with_all_that_was_kept() {
    for place in [Some(Place::sqlite()), Place::postgres().await]
        .into_iter()
        .flatten()
    {
        let conversation = new_id();
        let store = place.open().await;
        let new = question(&conversation, None, "What?");
        let begun = store.begin(LOCAL_OWNER, &new).await.expect("saved");
        for (number, text) in [(0, "a needle "), (1, "b")] {
            store
                .append(LOCAL_OWNER, &begun.generation, number, &piece(&[text]))
                .await
                .expect("saved");
        }
        store.close().await;
        drop(store);
        let store = place.open().await;
        let kept = store.get(LOCAL_OWNER, &conversation).await.expect("there");
        assert_eq!(kept.messages[1].text, "a needle b");
        assert_eq!(kept.messages[1].state, MessageState::Interrupted);
        let reply = store
            .reply(LOCAL_OWNER, &begun.generation)
            .await
            .expect("there");
        assert_eq!(reply.piece, piece(&["a needle ", "b"]));
        assert!(matches!(reply.end, Some(End::Failed(_))));
        let hits = store
            .search(LOCAL_OWNER, "needle", 10)
            .await
            .expect("found");
        assert_eq!(hits.len(), 1);
        store.close().await;
        place.drop_database().await;
    }
}

#[tokio::test]
async fn the_list_is_given_in_parts_without_gaps() {
    each(async |store| {
        let mut ids = Vec::new();
        for number in 0..7_i64 {
            let id = new_id();
            let new = NewReply {
                // Some of the same time.
                now: 1_000 + number / 2,
                ..question(&id, None, "x")
            };
            store.begin(LOCAL_OWNER, &new).await.expect("saved");
            ids.insert(0, id);
        }
        store.pin(LOCAL_OWNER, &ids[4], true).await.expect("there");
        let pinned = ids.remove(4);
        ids.insert(0, pinned);
        let mut listed = Vec::new();
        let mut before = None;
        loop {
            let part = store
                .list(LOCAL_OWNER, before.as_deref(), 3)
                .await
                .expect("a part");
            listed.extend(part.conversations.into_iter().map(|one| one.id));
            before = part.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(listed, ids);
        for wrong in ["", "1", "1.2", "1.2.3.4", "a.b.c"] {
            assert!(matches!(
                store.list(LOCAL_OWNER, Some(wrong), 3).await,
                Err(StoreError::Invalid(_))
            ));
        }
    })
    .await;
}

#[tokio::test]
async fn a_persons_title_is_not_replaced_by_the_models() {
    each(async |store| {
        let id = new_id();
        store
            .begin(LOCAL_OWNER, &question(&id, None, "x"))
            .await
            .expect("saved");
        let title = async || store.summary(LOCAL_OWNER, &id).await.expect("there").title;
        assert_eq!(title().await, "Title");
        store
            .rename(LOCAL_OWNER, &id, "Model's", TitledBy::Model)
            .await
            .expect("there");
        assert_eq!(title().await, "Model's");
        store
            .rename(LOCAL_OWNER, &id, "Mine", TitledBy::Person)
            .await
            .expect("there");
        let late = store
            .rename(LOCAL_OWNER, &id, "Late", TitledBy::Model)
            .await;
        assert!(is_missing(late));
        assert_eq!(title().await, "Mine");
        let hits = store.search(LOCAL_OWNER, "mine", 10).await.expect("found");
        assert_eq!((hits.len(), &hits[0].message), (1, &None));
        let hits = store.search(LOCAL_OWNER, "model", 10).await.expect("found");
        assert!(hits.is_empty());
    })
    .await;
}

#[tokio::test]
async fn words_of_any_script_are_found_from_their_first_letters() {
    each(async |store| {
        for (text, answer) in [
            ("Hello World", "naïve café"),
            ("東京タワーはどこ", "港区です"),
            ("Привет, мир", "שלום עולם"),
            ("हिन्दी भाषा", "안녕하세요 세계"),
            ("zero\0in it", "C'est l'été; drop table"),
        ] {
            say(
                &store,
                LOCAL_OWNER,
                &question(&new_id(), None, text),
                answer,
            )
            .await;
        }
        let check = async |query: &str, expect: usize| {
            let hits = store
                .search(LOCAL_OWNER, query, 10)
                .await
                .expect("an answer");
            assert_eq!(hits.len(), expect, "{query}");
            for hit in hits {
                assert!(hit.snippet.iter().any(|part| part.marked), "{query}");
            }
        };
        check("h", 1).await;
        check("hel wor", 1).await;
        check("wor hel", 1).await;
        check("cafe", 1).await;
        check("CAFÉ", 1).await;
        check("東", 1).await;
        check("京タ", 1).await;
        check("京東", 0).await;
        check("港区", 1).await;
        check("при", 1).await;
        check("של", 1).await;
        check("हि", 1).await;
        check("안녕", 1).await;
        check("세", 1).await;
        check("zero in", 1).await;
        check("ete", 1).await;
        check("orld", 0).await;
        check("' & !", 0).await;
        check("title", 5).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_deleted_can_be_restored_until_it_is_purged() {
    each(async |store| {
        let id = new_id();
        let begun = say(&store, LOCAL_OWNER, &question(&id, None, "needle"), "x").await;
        store.delete(LOCAL_OWNER, &id, 1_000).await.expect("there");
        assert!(is_missing(store.get(LOCAL_OWNER, &id).await));
        assert!(is_missing(
            store.reply(LOCAL_OWNER, &begun.generation).await
        ));
        assert!(is_missing(
            store.begin(LOCAL_OWNER, &question(&id, None, "more")).await
        ));
        assert!(
            store
                .search(LOCAL_OWNER, "needle", 9)
                .await
                .expect("none")
                .is_empty()
        );
        assert_eq!(store.purge(1_000).await.expect("done"), 0);
        store.restore(LOCAL_OWNER, &id).await.expect("there");
        assert_eq!(
            store
                .search(LOCAL_OWNER, "needle", 9)
                .await
                .expect("one")
                .len(),
            1
        );
        store.delete(LOCAL_OWNER, &id, 1_000).await.expect("there");
        assert_eq!(store.purge(1_001).await.expect("done"), 1);
        assert!(is_missing(store.restore(LOCAL_OWNER, &id).await));
        // Its id is free again.
        store
            .begin(LOCAL_OWNER, &question(&id, None, "new"))
            .await
            .expect("saved");
    })
    .await;
}

fn exported(id: &str, texts: &[&str]) -> ExportedConversation {
    let message = |(number, text): (usize, &&str)| SavedMessage {
        id: number.to_string(),
        parent: number.checked_sub(1).map(|before| before.to_string()),
        role: if number.is_multiple_of(2) {
            Role::User
        } else {
            Role::Assistant
        },
        text: (*text).to_owned(),
        reasoning: String::new(),
        model: None,
        created_at: 5,
        usage: None,
        timing: None,
        state: MessageState::Done {
            finish: Finish::Stop,
        },
        could_not_be_saved: false,
    };
    ExportedConversation {
        id: id.to_owned(),
        title: "Imported".into(),
        created_at: 5,
        updated_at: 6,
        pinned: false,
        leaf: Some("0".into()),
        messages: texts.iter().enumerate().map(message).collect(),
    }
}

/// The parts of an import of these conversations.
fn parts(conversations: &[ExportedConversation]) -> Vec<ImportPart> {
    let mut parts = Vec::new();
    for conversation in conversations.iter().cloned() {
        parts.push(ImportPart::Begin(Some(conversation.id.clone())));
        let ids: std::collections::HashMap<String, String> = conversation
            .messages
            .iter()
            .map(|message| (message.id.clone(), new_id()))
            .collect();
        for message in conversation.messages {
            parts.push(ImportPart::Message(Box::new(SavedMessage {
                id: ids[&message.id].clone(),
                parent: message.parent.map(|parent| ids[&parent].clone()),
                ..message
            })));
        }
        parts.push(ImportPart::End(ConversationHead {
            id: conversation.id,
            title: conversation.title,
            created_at: conversation.created_at,
            updated_at: conversation.updated_at,
            pinned: conversation.pinned,
            leaf: conversation.leaf.map(|leaf| ids[&leaf].clone()),
        }));
    }
    parts
}

/// Adds conversations, and says of each whether it was added.
async fn import(
    store: &Arc<Store>,
    owner: &str,
    name: &str,
    conversations: &[ExportedConversation],
) -> Vec<bool> {
    let mut cursor = ImportCursor::default();
    store
        .import(owner, name, &mut cursor, parts(conversations))
        .await
        .expect("saved")
}

#[tokio::test]
async fn an_import_is_seen_as_a_whole_or_not_at_all() {
    each(async |store| {
        let (known, new) = (new_id(), new_id());
        say(&store, LOCAL_OWNER, &question(&known, None, "x"), "y").await;
        let all = [exported(&known, &["1"]), exported(&new, &["needle", "2"])];
        assert_eq!(
            import(&store, LOCAL_OWNER, "one", &all).await,
            [false, true]
        );
        assert!(is_missing(store.get(LOCAL_OWNER, &new).await));
        assert!(
            store
                .search(LOCAL_OWNER, "needle", 9)
                .await
                .expect("none")
                .is_empty()
        );
        store.abandon_import("one").await.expect("done");
        store
            .finish_import(LOCAL_OWNER, "one")
            .await
            .expect("nothing");
        assert!(is_missing(store.get(LOCAL_OWNER, &new).await));

        import(&store, LOCAL_OWNER, "two", &all).await;
        store.finish_import(OTHER, "two").await.expect("nothing");
        assert!(is_missing(store.get(LOCAL_OWNER, &new).await));
        store.finish_import(LOCAL_OWNER, "two").await.expect("done");
        let summary = store.summary(LOCAL_OWNER, &new).await.expect("there");
        assert_eq!((summary.created_at, summary.updated_at), (5, 6));
        let kept = store.get(LOCAL_OWNER, &new).await.expect("there");
        assert_eq!(kept.messages[1].parent.as_ref(), Some(&kept.messages[0].id));
        assert_eq!(kept.leaf.as_ref(), Some(&kept.messages[0].id));
        assert_eq!(
            store
                .search(LOCAL_OWNER, "needle", 9)
                .await
                .expect("one")
                .len(),
            1
        );

        // Somebody else's id is no obstacle and gives nothing away.
        assert_eq!(import(&store, OTHER, "three", &all[1..]).await, [true]);
        store.finish_import(OTHER, "three").await.expect("done");
        assert_eq!(store.keys(OTHER).await.expect("one").len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_a_crash_left_of_an_import_is_in_nobodys_way_and_is_removed() {
    for place in [Some(Place::sqlite()), Place::postgres().await]
        .into_iter()
        .flatten()
    {
        let store: Arc<Store> = Arc::new(place.open().await);
        let (whole, half) = (new_id(), new_id());
        let all = [
            exported(&whole, &["left"; 40]),
            exported(&half, &["left"; 40]),
        ];
        let mut cut_off = parts(&all);
        cut_off.truncate(cut_off.len() - 5);
        let mut cursor = ImportCursor::default();
        let added = store.import(LOCAL_OWNER, "one", &mut cursor, cut_off).await;
        assert_eq!(added.expect("saved"), [true]);
        store.close().await;
        drop(store);
        let store: Arc<Store> = Arc::new(place.open().await);
        // The same file can be imported at once, under the same ids.
        let again = all.map(|conversation| exported(&conversation.id, &["again", "found"]));
        assert_eq!(
            import(&store, LOCAL_OWNER, "two", &again).await,
            [true, true]
        );
        // What was left is removed, and of what is being imported nothing.
        assert_eq!(store.purge(0).await.expect("done"), 0);
        store
            .finish_import(LOCAL_OWNER, "one")
            .await
            .expect("nothing");
        store.finish_import(LOCAL_OWNER, "two").await.expect("done");
        for id in [&whole, &half] {
            let kept = store.get(LOCAL_OWNER, id).await.expect("there");
            assert_eq!(kept.messages.len(), 2);
        }
        let found = async |word| {
            let hits = store.search(LOCAL_OWNER, word, 100).await;
            hits.expect("an answer").len()
        };
        assert_eq!((found("left").await, found("found").await), (0, 2));
        store.close().await;
        place.drop_database().await;
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_with_one_sentence() {
    for place in [Some(Place::sqlite()), Place::postgres().await]
        .into_iter()
        .flatten()
    {
        place.open().await.close().await;
        let url = match &place.saving.database_url {
            Some(url) => secrecy::ExposeSecret::expose_secret(url).to_owned(),
            None => {
                let folder = place.saving.data_dir.as_ref().expect("a folder");
                format!("sqlite://{}", folder.join("rill.db").display())
            }
        };
        let mut connection = AnyConnection::connect(&url).await.expect("a database");
        query(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             select 999, description, success, checksum, execution_time from _sqlx_migrations
             where version = 1",
        )
        .execute(&mut connection)
        .await
        .expect("a table of sqlx");
        connection.close().await.expect("closed");
        let error = store::open(&place.saving.store())
            .await
            .err()
            .expect("it is refused");
        assert!(error.contains("newer version of Rill"), "{error}");
        assert_eq!(error.matches(". ").count(), 0, "{error}");
        place.drop_database().await;
    }
}
