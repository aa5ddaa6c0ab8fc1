//! Imports, which are visible as a whole or not at all.

use app::protocol::saved::ExportedConversation;
use server::store::{ConversationHead, ImportCursor, ImportPart};

use super::*;

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
        edited: false,
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

        // An id of another owner is replaced by a new one, which reveals nothing.
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
        // The purge removes the rest of the first import, and nothing of the running one.
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
