//! Titles of new conversations: first the beginning of the question, then a title that the model writes.
//!
//! The request for a title is sent when the answer has begun, so that a provider that handles one request at a
//! time answers the question first. An answer that does not look like a title is ignored.

use std::sync::Arc;
use std::time::Duration;

use app::protocol::{ChatEvent, ChatMessage, ChatRequest, Finish, Role};
use tokio::time::timeout;

use super::Replies;
use super::relay::{EventSink, Outcome, Report, relay};
use super::running::RunningReply;
use super::title_text::{outside_reasoning, title_in};
use crate::providers::Reuse;
use crate::store::TitledBy;
use crate::traces::CurrentSpan;

/// The most characters of a question that become its title.
const FIRST_WORDS: usize = 60;
/// The most characters of the question in the request for a title.
const SHOWN: usize = 2_000;
/// The most bytes that are read of an answer, without reasoning and with it. A longer answer is no title.
const MOST_BYTES: usize = 1_000;
const MOST_BYTES_WITH_REASONING: usize = 64 * 1024;
/// The time limit of the request.
const LIMIT: Duration = Duration::from_secs(60);

const INSTRUCTION: &str = "Write a title for a conversation that begins with the message below: at most six \
    words, in the language of the message, without quotes, without a full stop, nothing else.\n\n";

/// The first words of a question, as a title.
pub(crate) fn from_question(question: &str) -> String {
    let line = question.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut title: String = line.chars().take(FIRST_WORDS).collect();
    if title.len() < line.len() {
        // Cut between two words, if the text has spaces.
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

/// Requests a title from the model in a task of its own.
pub(crate) fn request_title(
    replies: &Replies,
    running: &Arc<RunningReply>,
    question: &str,
    model: &str,
) {
    if replies.providers.is_demo() || !replies.settings.titles_by_model {
        return;
    }
    let shown: String = question.chars().take(SHOWN).collect();
    let request = ChatRequest::new(vec![ChatMessage {
        role: Role::User,
        content: format!("{INSTRUCTION}{shown}"),
    }]);
    let (replies, running, model) = (replies.clone(), Arc::clone(running), model.to_owned());
    let tracker = replies.tasks.clone();
    let report = Report::new("title");
    let span = report.span();
    tracker.spawn(CurrentSpan::carried(span, async move {
        let drain = replies.drain.clone();
        tokio::select! {
            () = drain.cancelled() => {}
            _ = timeout(LIMIT, title(&replies, &running, &request, &model, report)) => {}
        }
    }));
}

async fn title(
    replies: &Replies,
    running: &RunningReply,
    request: &ChatRequest,
    model: &str,
    mut report: Report,
) {
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
    let mut model = model.to_owned();
    let outcome = relay(
        &replies.providers,
        request,
        &Reuse::Never,
        &mut model,
        &mut collect,
        &mut report,
    )
    .await;
    // A truncated or filtered title may end in the middle of a word.
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
        // The conversation was renamed or deleted meanwhile, or the store failed, which the reply reports.
        Err(error) => tracing::debug!(%error, "the title was not kept"),
    }
}

struct Collect {
    text: String,
}

impl EventSink for Collect {
    fn push(&mut self, event: &ChatEvent<'_>) {
        if let ChatEvent::Text(text) = event {
            self.text.push_str(text);
        }
    }

    fn size(&self) -> usize {
        self.text.len()
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        let answer_bytes = outside_reasoning(&self.text).len();
        if answer_bytes > MOST_BYTES || self.text.len() > MOST_BYTES_WITH_REASONING {
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
