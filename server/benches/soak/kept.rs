//! Compares what was received with what the store holds, by a connection of its own.

use std::collections::HashMap;

use app::protocol::{ErrorKind, ReplyError};
use app::reply::transcript::ReplyEnd;
use sqlx::{Row, query};

use crate::chats::BY_ITS_QUESTION;
use crate::received::Received;
use crate::world::{World, lock};

/// A message as it is kept.
struct Kept {
    conversation: String,
    text: String,
    state: String,
    finish: Option<String>,
    error: Option<String>,
}

pub(crate) async fn compare(world: &World) {
    let kept = match read(world).await {
        Ok(kept) => kept,
        Err(error) => return world.violated(format!("the store cannot be read: {error}")),
    };
    for received in lock(&world.received).iter() {
        check(world, received, &kept);
    }
    let known = lock(&world.conversations);
    for message in kept.values() {
        if !known.contains(&message.conversation) {
            world.violated(format!("nobody asked for {}", message.conversation));
        }
        if message.state == "streaming" {
            world.count("kept without an end, which was said");
        }
    }
}

async fn read(world: &World) -> Result<HashMap<String, Kept>, sqlx::Error> {
    let mut connection = world.data.connect().await?;
    let rows = query(
        "select m.id, c.id, m.text, m.state, m.finish, m.error from messages m
         join conversations c on c.key = m.conversation",
    )
    .fetch_all(&mut connection)
    .await?;
    let mut kept = HashMap::new();
    for row in rows {
        let message = Kept {
            conversation: row.try_get(1)?,
            text: row.try_get(2)?,
            state: row.try_get(3)?,
            finish: row.try_get(4)?,
            error: row.try_get(5)?,
        };
        kept.insert(row.try_get(0)?, message);
    }
    let titles = query("select id, title from conversations")
        .fetch_all(&mut connection)
        .await?;
    for row in titles {
        let (id, title): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let by_its_question = || vec![BY_ITS_QUESTION.to_owned()];
        let may_be = lock(&world.titles).get(&id).cloned();
        let may_be = may_be.unwrap_or_else(by_its_question);
        let is_by_its_question = title.starts_with(BY_ITS_QUESTION);
        let shown = if is_by_its_question {
            BY_ITS_QUESTION
        } else {
            &title
        };
        if !may_be.iter().any(|one| one == shown) {
            world.violated(format!("{id}: the title is {title}, not one of {may_be:?}"));
        }
    }
    let answer = query("pragma integrity_check")
        .fetch_one(&mut connection)
        .await?;
    let answer: String = answer.try_get(0)?;
    if answer != "ok" {
        world.violated(format!("the database is damaged: {answer}"));
    }
    Ok(kept)
}

fn check(world: &World, received: &Received, kept: &HashMap<String, Kept>) {
    let Some(start) = &received.start else { return };
    let name = &start.generation;
    let message = start.message.as_ref().and_then(|id| kept.get(id));
    let question = start.user_message.as_ref().and_then(|id| kept.get(id));
    let Some(message) = message else {
        if received.has_notice {
            world.count("not kept, which was said");
        } else {
            world.violated(format!("{name} is not kept"));
        }
        return;
    };
    if question.is_none() {
        world.violated(format!("the question of {name} is not kept"));
    }
    let text = &received.transcript.text;
    if received.has_notice {
        let is_part = text.starts_with(&message.text) || message.text.starts_with(text);
        if !is_part {
            world.violated(format!("{name}: another text is kept: {}", message.text));
        }
        world.count(if message.text == *text {
            "kept after all"
        } else {
            "kept in part, which was said"
        });
        return;
    }
    if message.text != *text {
        let (is, was) = (message.text.len(), text.len());
        world.violated(format!("{name}: {is} bytes are kept, {was} were received"));
    }
    let is_same_end = match &received.transcript.end {
        Some(ReplyEnd::Done(finish)) => {
            message.state == "done" && message.finish.as_deref() == Some(finish.as_str())
        }
        Some(ReplyEnd::Error(error)) if error.kind == ErrorKind::Interrupted => {
            message.state == "interrupted"
        }
        Some(ReplyEnd::Error(error)) => {
            let kept: Option<ReplyError> = message
                .error
                .as_deref()
                .and_then(|json| serde_json::from_str(json).ok());
            message.state == "error" && kept.is_some_and(|kept| kept.kind == error.kind)
        }
        Some(ReplyEnd::Cut) | None => false,
    };
    if !is_same_end {
        let (state, end) = (&message.state, &received.transcript.end);
        world.violated(format!("{name}: kept as {state}, received as {end:?}"));
    }
    world.count("kept as received");
}
