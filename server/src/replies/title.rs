//! Titles of new conversations: the first words of the question at once, and better ones by the model
//! beside the first answer.
//!
//! The model is asked when the answer has begun, so that a provider that does one thing at a time does
//! the answer first. What it says counts only if it looks like a title.

use std::sync::Arc;
use std::time::Duration;

use app::protocol::{ChatEvent, ChatMessage, ChatRequest, Finish, Role};
use tokio::time::timeout;

use super::Replies;
use super::relay::{Outcome, Report, Sink, relay};
use super::running::Running;
use super::title_text::{beside_reasoning, title_in};
use crate::providers::Reuse;
use crate::store::TitledBy;

/// How much of a question makes its title, in characters.
const FIRST_WORDS: usize = 60;
/// How much of the question the model is shown, in characters.
const SHOWN: usize = 2_000;
/// How much is read of an answer until it is no title, and how much with reasoning in it.
const MOST_BYTES: usize = 1_000;
const MOST_BYTES_WITH_REASONING: usize = 64 * 1024;
/// How long the model may take.
const LIMIT: Duration = Duration::from_secs(60);

const WISH: &str = "Write a title for a conversation that begins with the message below: at most six \
    words, in the language of the message, without quotes, without a full stop, nothing else.\n\n";

/// The first words of a question, as a title.
pub(crate) fn from_question(question: &str) -> String {
    let line = question.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut title: String = line.chars().take(FIRST_WORDS).collect();
    if title.len() < line.len() {
        // Not in the middle of a word, where it has words.
        if let Some((whole, _)) = title.rsplit_once(' ') {
            title = whole.to_owned();
        }
        title.push('…');
    }
    if title.is_empty() {
        title.push('…');
    }
    title
}

/// Asks the model for a title, beside the answer that runs.
pub(crate) fn ask_beside(replies: &Replies, running: &Arc<Running>, question: &str, model: &str) {
    if replies.providers.is_demo() || !replies.settings.titles_by_model {
        return;
    }
    let shown: String = question.chars().take(SHOWN).collect();
    let request = ChatRequest::new(vec![ChatMessage {
        role: Role::User,
        content: format!("{WISH}{shown}"),
    }]);
    let (replies, running, model) = (replies.clone(), Arc::clone(running), model.to_owned());
    let tracker = replies.tasks.clone();
    tracker.spawn(async move {
        let drain = replies.drain.clone();
        tokio::select! {
            () = drain.cancelled() => {}
            _ = timeout(LIMIT, title(&replies, &running, &request, &model)) => {}
        }
    });
}

async fn title(replies: &Replies, running: &Running, request: &ChatRequest, model: &str) {
    let answer = running
        .log
        .read_after(Some(running.log.last_seq()))
        .expect("its last event is there");
    tokio::select! {
        () = answer.grows() => {}
        () = running.over() => {}
    }
    let (text, _) = running.log.whole();
    if text.is_empty() {
        return;
    }
    let mut collect = Collect {
        text: String::new(),
    };
    let (mut model, mut report) = (model.to_owned(), Report::new());
    let outcome = relay(
        &replies.providers,
        request,
        &Reuse::Never,
        &mut model,
        &mut collect,
        &mut report,
    )
    .await;
    // One that was cut off or filtered may end in the middle of a word.
    let (Outcome::Done(Finish::Stop), Some(title)) = (outcome, title_in(&collect.text)) else {
        tracing::debug!("the model gave no title");
        return;
    };
    let (owner, conversation) = (&running.owner, &running.conversation);
    let renamed = replies
        .store
        .rename(owner, conversation, &title, TitledBy::Model)
        .await;
    match renamed {
        Ok(()) => {
            replies
                .changes
                .announce_conversation(owner, conversation)
                .await
        }
        // The person has named it or deleted it meanwhile, or the answer tells of the failure.
        Err(error) => tracing::debug!(%error, "the title was not kept"),
    }
}

struct Collect {
    text: String,
}

impl Sink for Collect {
    fn push(&mut self, event: &ChatEvent<'_>) {
        if let ChatEvent::Text(text) = event {
            self.text.push_str(text);
        }
    }

    fn size(&self) -> usize {
        self.text.len()
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        let said = beside_reasoning(&self.text).len();
        if said > MOST_BYTES || self.text.len() > MOST_BYTES_WITH_REASONING {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_words_of_the_question() {
        let check = |question: &str, expect: &str| assert_eq!(from_question(question), expect);
        check("What is a rill?", "What is a rill?");
        check(" two\n\nlines ", "two lines");
        check("", "…");
        check(
            &"word ".repeat(40),
            "word word word word word word word word word word word word…",
        );
        assert_eq!(from_question(&"東".repeat(100)).chars().count(), 61);
    }
}
