//! The list of conversations, their titles, owners and deletions.

use server::store::TitledBy;

use super::*;

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
        for turn in [
            Turn::Question {
                parent: None,
                text: "mine".into(),
            },
            Turn::Regenerate(begun.message.clone()),
            Turn::Continue(begun.message.clone()),
        ] {
            assert!(is_missing(store.begin(OTHER, &new_reply(id, turn)).await));
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
        // The message of one owner is not found in the conversation of another.
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

#[tokio::test]
async fn what_was_not_used_for_long_is_deleted_unless_it_is_pinned() {
    each(async |store| {
        let mut ids = Vec::new();
        for title in ["old", "pinned", "new"] {
            let id = new_id();
            let mut asked = question(&id, None, title);
            asked.now = if title == "new" { 2_000 } else { 1_000 };
            say(&store, LOCAL_OWNER, &asked, "x").await;
            ids.push(id);
        }
        store.pin(LOCAL_OWNER, &ids[1], true).await.expect("there");
        // The end of a reply counts as use, and is now.
        let now = server::store::now();
        assert_eq!(store.expire(1_500, now).await.expect("done"), []);
        let all_unused = i64::MAX;
        let mut deleted = store.expire(all_unused, 5_000).await.expect("done");
        deleted.sort();
        let mut expected = [ids[0].clone(), ids[2].clone()].map(|id| (LOCAL_OWNER.to_owned(), id));
        expected.sort();
        assert_eq!(deleted, expected);
        assert!(is_missing(store.get(LOCAL_OWNER, &ids[0]).await));
        assert!(store.get(LOCAL_OWNER, &ids[1]).await.is_ok());
        assert_eq!(store.expire(all_unused, 6_000).await.expect("done"), []);
        store
            .restore(LOCAL_OWNER, &ids[0])
            .await
            .expect("for a day");
        assert_eq!(store.purge(5_001).await.expect("done"), 1);
    })
    .await;
}
