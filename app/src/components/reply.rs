//! What the model answers: reasoning, text, how it ended, and what one can do with it.

use leptos::either::Either;
use leptos::prelude::*;

use super::ask_again::AskAgainButton;
use super::copy_button::CopyButton;
use super::figures::Figures;
use super::reasoning::Reasoning;
use super::streamed_text::{Source, StreamedText};
use super::versions::Versions;
use super::waiting::Waiting;
use crate::conversation::MessageId;
use crate::reply::Reply;
use crate::wording::{self, EndNote, Tone};

/// What there is to show once a reply has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ended {
    note: Option<EndNote>,
    has_text: bool,
}

/// A reply, live or ended.
///
/// All that is derived here passes through memos: a frame with new text wakes the text alone.
#[component]
pub fn ReplyView(
    /// The message.
    id: MessageId,
    /// What it holds.
    reply: ArcRwSignal<Reply>,
) -> impl IntoView {
    let reply = RwSignal::from(reply);
    let is_waiting = Memo::new(move |_| reply.with(Reply::is_waiting));
    let has_reasoning =
        Memo::new(move |_| reply.with(|reply| !reply.transcript().reasoning.is_empty()));
    let ended = Memo::new(move |_| {
        reply.with(|reply| {
            let transcript = reply.transcript();
            (!transcript.is_streaming()).then(|| Ended {
                note: wording::end_note(transcript),
                has_text: !transcript.text.is_empty(),
            })
        })
    });
    let source = move || reply.with_untracked(|reply| reply.transcript().text.clone());
    view! {
        <article class="reply" aria-label="Assistant">
            {move || has_reasoning.get().then(|| view! { <Reasoning reply/> })}
            <StreamedText reply source=Source::Answer/>
            {move || is_waiting.get().then(|| view! { <Waiting reply/> })}
            {move || ended.get().and_then(|ended| ended.note).map(|note| match note.tone {
                Tone::Plain => Either::Left(view! { <p class="note">{note.sentence}</p> }),
                // The status says it already; an alert that spoke too would say it twice.
                Tone::Error => Either::Right(view! {
                    <p class="note error" role="alert" aria-live="off">{note.sentence}</p>
                }),
            })}
            <div class="actions">
                <Versions id/>
                {move || ended.get().map(|ended| view! {
                    {ended.has_text.then(|| view! { <CopyButton text=Box::new(source)/> })}
                    <AskAgainButton id reply/>
                    <Figures reply/>
                })}
            </div>
        </article>
    }
}
