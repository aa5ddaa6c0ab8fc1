//! Replies in the store: begun, added to, finished, continued and interrupted.

use app::protocol::Role;
use app::protocol::saved::MessageState;

use server::store::NewPiece;

use super::*;

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
                .append(|| {
                    vec![NewPiece::new(
                        LOCAL_OWNER,
                        generation,
                        number,
                        &piece(texts),
                    )]
                })
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
        assert_eq!(stored.end, Some(GenerationEnd::Done(Finish::Stop)));
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
        // The request of another owner is another request.
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
        let again = new_reply(&conversation, Turn::Regenerate(other.message.clone()));
        let again = store.begin(LOCAL_OWNER, &again).await.expect("saved");
        assert_eq!(again.user_message, other.user_message);
        assert_eq!(again.history, other.history);
        // A reply that is being made cannot be answered.
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
        let go_on = new_reply(&conversation, Turn::Continue(begun.message.clone()));
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
        // Each generation finds the reply as that generation left it.
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
                .append(|| {
                    vec![NewPiece::new(
                        LOCAL_OWNER,
                        &begun.generation,
                        number,
                        &piece(&[text]),
                    )]
                })
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
        assert!(matches!(reply.end, Some(GenerationEnd::Failed(_))));
        let hits = store
            .search(LOCAL_OWNER, "needle", 10)
            .await
            .expect("found");
        assert_eq!(hits.len(), 1);
        store.close().await;
        place.drop_database().await;
    }
}
