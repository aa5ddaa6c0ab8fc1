//! The sentences that the page shows or announces: the end of a reply, waiting, the result of an import.
//!
//! The sentences of errors belong to their kinds ([`crate::protocol::ErrorKind::sentence`]), because the server uses them too.
//! Labels of buttons are in the components.

use std::time::Duration;

use crate::chat::announcement::Announcement;
use crate::page::earlier::Loading;
use crate::protocol::Finish;
use crate::protocol::saved::ImportReport;
use crate::reply::Figures;
use crate::reply::transcript::ReplyEnd;

/// The skip link for keyboard users.
pub const SKIP_LINK: &str = "Skip to the message field";

/// The text of `noscript`. It has no markup: browsers that run scripts treat the content as plain text, so hydration must
/// see the same.
pub const NO_SCRIPT: &str = "Rill needs JavaScript and WebAssembly to send messages. Without them this page can only be read.";

/// The lazy part with the messages could not be loaded.
pub const MESSAGES_NOT_LOADED: &str = "A part of this page could not be loaded, so the conversation cannot be shown. Nothing of it is lost.";

/// The mark of a reply that a person changed.
pub const EDITED: &str = "Edited";

/// The error where notifications are not allowed.
pub const NO_NOTIFICATIONS: &str = "Your browser does not allow them for this page. Allow them in its settings, then switch them on here.";

/// The error for an edited answer without a text.
pub const NO_TEXT: &str = "An answer needs a text. To take it back, delete it.";

/// The link to the end of a conversation that is shown only up to a message.
pub const LATEST: &str = "Latest messages";

/// Announced when all messages are loaded for a search of the browser.
pub const ALL_LOADED: &str = "All messages are loaded.";

/// Announced when the selection was copied after all messages were loaded.
pub const ALL_COPIED: &str = "All messages were copied.";

/// The text above the first loaded message.
#[must_use]
pub fn earlier(loading: Loading) -> &'static str {
    match loading {
        Loading::Idle => "Earlier messages",
        Loading::Part => "Loading earlier messages…",
        Loading::All => "Loading all messages…",
        Loading::Failed => "Earlier messages could not be loaded. Try again",
    }
}

/// The diagram frame could not be loaded.
pub const DRAWING_NOT_LOADED: &str =
    "The diagram renderer could not be loaded: check the connection and try again.";

/// Drawing a diagram timed out.
pub const DRAWING_TOO_LONG: &str = "Drawing this diagram takes too long, so it was stopped.";

/// The code of a diagram has an error, in this line if it is known.
#[must_use]
pub fn no_diagram(line: Option<u32>) -> String {
    match line {
        Some(line) => format!("This diagram cannot be drawn: there is a mistake in line {line}."),
        None => "This diagram cannot be drawn: there is a mistake in its code.".to_owned(),
    }
}

/// Shown above the composer while a question is edited.
pub const EDITING: &str = "Editing your question. The earlier version and its answers are kept.";

/// Shown while the connection of a saved reply is lost; the reply continues on the server.
pub const CONNECTION_LOST: &str = "Connection lost, resuming";

/// Shown when a proxy buffers the stream.
pub const HELD_BACK: &str = "A proxy between this page and Rill holds the text back, so it comes in bursts. Set proxy_buffering off in nginx, flush_interval -1 in Caddy, or what turns buffering off in yours.";

/// The progress of an import, in percent of what is sent.
#[must_use]
pub fn importing(percent: u8) -> String {
    match percent {
        100 => "Importing…".to_owned(),
        percent => format!("Importing… {percent} %"),
    }
}

/// The result of an import.
#[must_use]
pub fn imported(report: &ImportReport) -> String {
    let counted = |count: u64, one: &str, more: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {more}"),
    };
    let mut sentence = format!(
        "Imported {} with {}.",
        counted(report.conversations, "conversation", "conversations"),
        counted(report.messages, "message", "messages"),
    );
    let skipped = report.skipped.len() as u64 + report.more_skipped;
    if skipped > 0 {
        sentence += &format!(" Left out {}:", counted(skipped, "part", "parts"));
        // The first few are enough to recognise the problem.
        for part in report.skipped.iter().take(3) {
            sentence += &format!(" {}: {}", part.what, part.why);
        }
    }
    sentence
}

/// The result of importing several files: the sum of the successful ones, and those that failed by name.
#[must_use]
pub fn imported_files(outcomes: Vec<(String, Result<ImportReport, String>)>) -> String {
    let count = outcomes.len();
    let mut sum = ImportReport::default();
    let mut failed = Vec::new();
    for (name, outcome) in outcomes {
        match outcome {
            Ok(report) => {
                sum.conversations += report.conversations;
                sum.messages += report.messages;
                sum.skipped.extend(report.skipped);
                sum.more_skipped += report.more_skipped;
            }
            Err(sentence) if count == 1 => return sentence,
            Err(sentence) => failed.push((name, sentence)),
        }
    }
    if failed.is_empty() {
        return imported(&sum);
    }
    let mut sentence = format!("{} of {count} files could not be imported:", failed.len());
    // The first few are enough to recognise the problem.
    for (name, why) in failed.iter().take(3) {
        sentence += &format!(" {name}: {why}");
    }
    if failed.len() < count {
        sentence += &format!(" {}", imported(&sum));
    }
    sentence
}

/// Shown above the composer of a temporary conversation.
pub const TEMPORARY: &str = "Temporary chat: it is not saved, and ends when you leave it.";

/// A line below a reply that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndNote {
    /// The sentence.
    pub sentence: String,
    /// How serious the note is.
    pub tone: Tone,
}

/// The severity of an [`EndNote`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Information.
    Plain,
    /// An error.
    Error,
}

/// The note below a reply with this end; `None` for an ordinary end. `is_empty` is whether the reply has no text.
#[must_use]
pub fn end_note(end: &ReplyEnd, is_empty: bool) -> Option<EndNote> {
    let (sentence, tone) = match end {
        ReplyEnd::Done(Finish::Stop) if is_empty => {
            ("The model returned an empty answer.", Tone::Plain)
        }
        ReplyEnd::Done(Finish::Stop) => return None,
        ReplyEnd::Done(Finish::Length) if is_empty => {
            ("The token limit was reached before any text.", Tone::Plain)
        }
        ReplyEnd::Done(Finish::Length) => {
            ("The answer was cut off at the token limit.", Tone::Plain)
        }
        ReplyEnd::Done(Finish::ContentFilter) if is_empty => {
            ("The provider's filter blocked the answer.", Tone::Plain)
        }
        ReplyEnd::Done(Finish::ContentFilter) => {
            ("The provider's filter cut the answer off.", Tone::Plain)
        }
        ReplyEnd::Done(Finish::Refusal) => ("The model refused to answer.", Tone::Plain),
        ReplyEnd::Done(Finish::ToolCalls) => (
            "The model asked for a tool this app does not offer.",
            Tone::Plain,
        ),
        ReplyEnd::Done(Finish::Stopped) => ("Stopped", Tone::Plain),
        ReplyEnd::Cut => (
            "The connection was cut before the answer was complete.",
            Tone::Error,
        ),
        ReplyEnd::Error(error) => (error.kind.sentence_or(&error.message), Tone::Error),
    };
    Some(EndNote {
        sentence: sentence.to_owned(),
        tone,
    })
}

/// The text of an announcement. `count` formats a number in the user's language.
#[must_use]
pub fn announcement(what: &Announcement, count: impl FnOnce(usize) -> String) -> String {
    match what {
        Announcement::Nothing => String::new(),
        Announcement::Answering => "Answering".to_owned(),
        Announcement::ConnectionLost => CONNECTION_LOST.to_owned(),
        Announcement::Ended { end, words } => match (end_note(end, *words == 0), *words) {
            (Some(note), _) => note.sentence,
            (None, 1) => "Answer complete, 1 word".to_owned(),
            (None, words) => format!("Answer complete, {} words", count(words)),
        },
        Announcement::Sentence(sentence) => sentence.clone(),
    }
}

/// The line in place of the answer after a long wait.
#[must_use]
pub fn still_waiting(model: &str, waited: Duration) -> String {
    let who = if model.is_empty() { "the model" } else { model };
    format!("Still waiting for {who}… {} s", waited.as_secs())
}

/// The figures of a reply, each with its name. Unknown ones are left out.
#[must_use]
pub fn figures(figures: &Figures) -> Vec<(&'static str, String)> {
    let usage = figures.usage;
    let part_of = |tokens: Option<u64>, what: &str| match tokens {
        Some(tokens @ 1..) => format!(", {tokens} of them {what}"),
        _ => String::new(),
    };
    let mut rows = Vec::new();
    rows.extend(figures.model.clone().map(|model| ("Model", model)));
    if let Some(time) = figures.first_token {
        let tenths = u64::try_from(time.as_millis()).unwrap_or(u64::MAX) / 100;
        rows.push(("First token after", format!("{} s", with_tenths(tenths))));
    }
    if let Some(tokens) = usage.completion_tokens {
        let thought = part_of(usage.reasoning_tokens, "reasoning");
        rows.push(("Length", format!("{tokens} tokens{thought}")));
        let millis = figures.writing.map_or(0, |time| time.as_millis());
        // A rate over a shorter time than this is meaningless.
        if let Ok(millis @ 200..) = u64::try_from(millis) {
            let pace = with_tenths(tokens.saturating_mul(10_000) / millis);
            rows.push(("Speed", format!("{pace} tokens/s")));
        }
    }
    if let Some(tokens) = usage.prompt_tokens {
        let cached = match (usage.cached_tokens, usage.cache_write_tokens) {
            (Some(read @ 1..), Some(new @ 1..)) => {
                format!(", {read} of them cached, {new} newly cached")
            }
            (None | Some(0), new @ Some(1..)) => part_of(new, "newly cached"),
            (read, _) => part_of(read, "cached"),
        };
        rows.push(("Read", format!("{tokens} tokens{cached}")));
    }
    let end = match &figures.end {
        Some(ReplyEnd::Done(finish)) => Some(finish.as_str()),
        Some(ReplyEnd::Error(error)) => Some(error.kind.as_str()),
        Some(ReplyEnd::Cut) => Some("cut"),
        None => None,
    };
    rows.extend(end.map(|end| ("Finish", end.to_owned())));
    rows
}

/// A number of tenths with one decimal place. Formatting a float would add its code to the page.
fn with_tenths(tenths: u64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The line in place of the answer while the server waits to repeat the request to the provider.
#[must_use]
pub fn asking_again(left: Duration) -> String {
    let seconds = left.as_millis().div_ceil(1000).max(1);
    format!("The provider is busy. Asking again in {seconds} s…")
}

/// The heading of the reasoning: its duration, rounded up to whole seconds, so that it is never 0.
#[must_use]
pub fn thought_for(time: Duration) -> String {
    format!("Thought for {} s", time.as_millis().div_ceil(1000).max(1))
}

/// The keys of the composer.
#[must_use]
pub fn keys(enter_sends: bool, is_touch: bool) -> &'static str {
    match (enter_sends, is_touch) {
        (true, _) => "Enter sends, Shift+Enter makes a new line, Esc stops an answer.",
        (false, false) => "Enter makes a new line, Ctrl+Enter sends, Esc stops an answer.",
        (false, true) => "Enter makes a new line, Send sends.",
    }
}

/// The heading of the reasoning while it streams.
pub const THINKING: &str = "Thinking…";

/// The time until a retry after a rate limit.
#[must_use]
pub fn retry_in(wait: Duration) -> String {
    let seconds = wait.as_millis().div_ceil(1000);
    if seconds < 100 {
        format!("You can retry in {seconds} s.")
    } else {
        format!("You can retry in {}:{:02} min.", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::saved::Skipped;
    use crate::protocol::{ErrorKind, ReplyError, Usage};
    use crate::reply::transcript::Transcript;

    fn check(text: &str, end: Option<ReplyEnd>, expect: Option<(&str, Tone)>) {
        let expect = expect.map(|(sentence, tone)| EndNote {
            sentence: sentence.into(),
            tone,
        });
        let note = end.and_then(|end| end_note(&end, text.trim().is_empty()));
        assert_eq!(note, expect);
    }

    #[test]
    fn a_reply_that_simply_ended_or_still_streams_has_no_note() {
        check("a", None, None);
        check("a", Some(ReplyEnd::Done(Finish::Stop)), None);
    }

    #[test]
    fn every_other_end_has_a_note() {
        use Tone::{Error, Plain};
        let done = |finish| Some(ReplyEnd::Done(finish));
        check(
            "\n",
            done(Finish::Stop),
            Some(("The model returned an empty answer.", Plain)),
        );
        check(
            "",
            done(Finish::Length),
            Some(("The token limit was reached before any text.", Plain)),
        );
        check(
            "a",
            done(Finish::Length),
            Some(("The answer was cut off at the token limit.", Plain)),
        );
        check("a", done(Finish::Stopped), Some(("Stopped", Plain)));
        check(
            "",
            done(Finish::ToolCalls),
            Some(("The model asked for a tool this app does not offer.", Plain)),
        );
        check(
            "a",
            Some(ReplyEnd::Cut),
            Some((
                "The connection was cut before the answer was complete.",
                Error,
            )),
        );
    }

    #[test]
    fn the_end_of_a_reply_is_announced_with_its_length_or_its_note() {
        let say = |text: &str, finish| {
            let reply = Transcript {
                text: text.into(),
                end: Some(ReplyEnd::Done(finish)),
                ..Transcript::default()
            };
            let ended = Announcement::ended(&reply).expect("it has an end");
            announcement(&ended, |count| count.to_string())
        };
        assert_eq!(
            say("one two\n\nthree", Finish::Stop),
            "Answer complete, 3 words"
        );
        assert_eq!(say("one", Finish::Stop), "Answer complete, 1 word");
        assert_eq!(say("one", Finish::Stopped), "Stopped");
        assert_eq!(say("", Finish::Stop), "The model returned an empty answer.");
    }

    #[test]
    fn the_result_of_an_import_lists_skipped_parts() {
        let mut report = ImportReport {
            conversations: 1,
            messages: 2,
            ..ImportReport::default()
        };
        assert_eq!(
            imported(&report),
            "Imported 1 conversation with 2 messages."
        );
        report.skipped.push(Skipped {
            what: "A picture".into(),
            why: "It holds no text.".into(),
        });
        report.more_skipped = 4;
        assert_eq!(
            imported(&report),
            "Imported 1 conversation with 2 messages. Left out 5 parts: A picture: It holds no text."
        );
    }

    #[test]
    fn imports_of_several_files_are_summed_up_and_failures_are_named() {
        let good = |conversations| ImportReport {
            conversations,
            messages: 2 * conversations,
            ..ImportReport::default()
        };
        let bad = || Err("This is no file.".to_owned());
        let check = |outcomes: Vec<Result<ImportReport, String>>, expect: &str| {
            let named = outcomes.into_iter().enumerate();
            let named = named.map(|(at, outcome)| (format!("{at}.json"), outcome));
            assert_eq!(imported_files(named.collect()), expect);
        };
        check(vec![bad()], "This is no file.");
        check(
            vec![Ok(good(1)), Ok(good(3))],
            "Imported 4 conversations with 8 messages.",
        );
        check(
            vec![Ok(good(1)), bad()],
            "1 of 2 files could not be imported: 1.json: This is no file. Imported 1 conversation with 2 messages.",
        );
        check(
            vec![bad(), bad()],
            "2 of 2 files could not be imported: 0.json: This is no file. 1.json: This is no file.",
        );
    }

    #[test]
    fn times_are_rounded_up_to_whole_seconds() {
        assert_eq!(thought_for(Duration::from_millis(300)), "Thought for 1 s");
        assert_eq!(
            thought_for(Duration::from_millis(11_200)),
            "Thought for 12 s"
        );
        assert_eq!(
            retry_in(Duration::from_millis(8_001)),
            "You can retry in 9 s."
        );
        assert_eq!(
            retry_in(Duration::from_secs(125)),
            "You can retry in 2:05 min."
        );
        assert_eq!(
            still_waiting("", Duration::from_millis(12_900)),
            "Still waiting for the model… 12 s"
        );
    }

    #[test]
    fn an_error_has_the_servers_sentence_or_else_ours() {
        let error = |message: &str| {
            Some(ReplyEnd::Error(ReplyError {
                kind: ErrorKind::Quota,
                message: message.into(),
                retryable: false,
                retry_after_ms: None,
            }))
        };
        check("a", error("No credit."), Some(("No credit.", Tone::Error)));
        check(
            "",
            error(" "),
            Some((ErrorKind::Quota.sentence(), Tone::Error)),
        );
    }

    #[test]
    fn unknown_figures_are_left_out() {
        let check = |figures: &Figures, expect: &str| {
            let rows = super::figures(figures);
            let rows: Vec<_> = rows
                .iter()
                .map(|(name, value)| format!("{name}: {value}"))
                .collect();
            assert_eq!(rows.join(" · "), expect);
        };
        check(&Figures::default(), "");
        let full = Figures {
            model: Some("m".into()),
            usage: Usage {
                prompt_tokens: Some(12),
                completion_tokens: Some(90),
                reasoning_tokens: Some(30),
                cached_tokens: Some(0),
                ..Usage::default()
            },
            first_token: Some(Duration::from_millis(840)),
            writing: Some(Duration::from_secs(2)),
            end: Some(ReplyEnd::Done(Finish::Length)),
        };
        check(
            &full,
            "Model: m · First token after: 0.8 s · Length: 90 tokens, 30 of them reasoning · Speed: 45.0 tokens/s · Read: 12 tokens · Finish: length",
        );
        check(
            &Figures {
                usage: Usage {
                    prompt_tokens: Some(1000),
                    cached_tokens: Some(800),
                    cache_write_tokens: Some(150),
                    ..Usage::default()
                },
                ..Figures::default()
            },
            "Read: 1000 tokens, 800 of them cached, 150 newly cached",
        );
        check(
            &Figures {
                usage: Usage {
                    prompt_tokens: Some(1000),
                    cache_write_tokens: Some(950),
                    ..Usage::default()
                },
                ..Figures::default()
            },
            "Read: 1000 tokens, 950 of them newly cached",
        );
        check(
            &Figures {
                writing: Some(Duration::from_millis(3)),
                end: Some(ReplyEnd::Cut),
                ..full
            },
            "Model: m · First token after: 0.8 s · Length: 90 tokens, 30 of them reasoning · Read: 12 tokens · Finish: cut",
        );
    }
}
