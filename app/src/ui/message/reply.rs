//! The view of a reply: reasoning, text, how it ended, and its buttons.

use leptos::prelude::*;

use crate::chat::tree::MessageId;
use crate::reply::Reply;
use crate::ui::content::streamed_text::{Source, StreamedText};
use crate::ui::controls::copy_button::CopyButton;
use crate::ui::message::continue_reply::ContinueButton;
use crate::ui::message::figures::Figures;
use crate::ui::message::more::MoreButton;
use crate::ui::message::reasoning::Reasoning;
use crate::ui::message::regenerate::RegenerateButton;
use crate::ui::message::versions::Versions;
use crate::ui::message::waiting::Waiting;
use crate::ui::text::{self, EndNote, Tone};

/// The state of a reply that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ended {
    note: Option<EndNote>,
    has_text: bool,
    can_continue: bool,
    is_edited: bool,
}

/// A reply, streaming or complete.
///
/// All derived values are memos, so a frame with new text updates the text alone.
#[component]
pub fn ReplyView(
    /// The message.
    id: MessageId,
    /// The reply of the message.
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
                note: transcript
                    .end
                    .as_ref()
                    .and_then(|end| text::end_note(end, transcript.text.trim().is_empty())),
                has_text: !transcript.text.is_empty(),
                can_continue: reply.can_continue(),
                is_edited: reply.is_edited(),
            })
        })
    });
    // The bar beside the reply shows it.
    let state = Memo::new(move |_| {
        ended.with(|ended| match ended {
            None => Some("streaming"),
            Some(ended) => ended.note.as_ref().map(|note| match note.tone {
                Tone::Plain => "stopped",
                Tone::Error => "failed",
            }),
        })
    });
    // A problem beside the reply, such as that it could not be saved.
    let notice = Memo::new(move |_| {
        reply.with(|reply| Some(reply.transcript().notice.as_ref()?.message.clone()))
    });
    let restarts = Memo::new(move |_| reply.with(Reply::restarts));
    let source = move || reply.with_untracked(|reply| reply.transcript().text.clone());
    view! {
        <article class="reply" aria-label="Assistant" data-state=move || state.get()>
            // A reply that restarts gets new views.
            {move || {
                restarts.get();
                view! {
                    {move || if has_reasoning.get() { view! { <Reasoning reply/> }.into_any() } else { ().into_any() }}
                    <StreamedText reply source=Source::Answer/>
                }
            }}
            {move || if is_waiting.get() { view! { <Waiting reply/> }.into_any() } else { ().into_any() }}
            {move || match ended.get().and_then(|ended| ended.note) {
                Some(EndNote { sentence, tone: Tone::Plain }) => {
                    view! { <p class="note">{sentence}</p> }.into_any()
                }
                // The status region announces it already; a live alert would announce it twice.
                Some(EndNote { sentence, tone: Tone::Error }) => {
                    view! { <p class="note failed" role="alert" aria-live="off">{sentence}</p> }.into_any()
                }
                None => ().into_any(),
            }}
            {move || match notice.get() {
                Some(sentence) => view! { <p class="note failed" role="alert">{sentence}</p> }.into_any(),
                None => ().into_any(),
            }}
            <div class="actions">
                <Versions id/>
                {move || match ended.get() {
                    Some(ended) => view! {
                    {ended.has_text.then(|| view! { <CopyButton text=Box::new(source)/> }.into_any())}
                    {ended.can_continue.then(|| view! { <ContinueButton id/> }.into_any())}
                    <RegenerateButton id reply/>
                        <Figures reply/>
                        <MoreButton id/>
                        {ended.is_edited.then(|| view! { <span class="edited always">{text::EDITED}</span> }.into_any())}
                    }.into_any(),
                    None => ().into_any(),
                }}
            </div>
        </article>
    }
}
