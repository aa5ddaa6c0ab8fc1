//! Warms the renderer up while the browser is idle. A browser compiles a function at its first call and looks up a font
//! at its first letter, which would delay the first words of a reply by several frames.
//!
//! A short text with the usual kinds of blocks is streamed into an invisible element, a little in each idle callback,
//! and removed again. A number is formatted as at the end of a reply, because the first one takes as long as a frame.
//! Highlighted code and formulas, which most replies do not have, are not loaded.

use std::cell::Cell;

use futures::channel::oneshot;
use leptos::prelude::{document, request_idle_callback};
use leptos::task::spawn_local;

use crate::chat::Chat;
use crate::markdown::stream::Stream;
use crate::ui::content::markdown_dom::PageDom;
use crate::ui::controls::local_number::local_number;
use crate::ui::dom::{append, create, set};

const TEXT: &str = "\
## A heading

A paragraph with *emphasis*, **strength**, ~~a mistake~~, `code` and a [link](https://example.com), on
two lines.

- An item
- Another one, **strong**
  - within it
  - [ ] to do

1. First
2. Second

> A quotation
> goes on.

| Left | Right |
|------|------:|
| cell | `1` |

";

/// The number of sentences of a paragraph that is long enough to be committed in parts.
const SENTENCES: usize = 60;
const SENTENCE: &str = "It goes on for so long that it is cut. ";

/// The number of bytes that are rendered in one idle callback.
const STEP: usize = 64;

/// Starts the warm-up, if the browser has idle callbacks. A streaming reply ends it.
pub(in crate::ui) fn warm_up(chat: Chat) {
    spawn_local(async move {
        // An interrupted warm-up is no error.
        let _ = render_invisibly(chat).await;
    });
}

/// The browser has no idle callbacks, or a reply streams.
struct Interrupted;

async fn render_invisibly(chat: Chat) -> Result<(), Interrupted> {
    idle_moment(chat).await?;
    let _ = local_number(0);
    let text = TEXT.to_owned() + &SENTENCE.repeat(SENTENCES);
    let place = create("div");
    set(&place, "class", "text prose visually-hidden");
    set(&place, "aria-hidden", "true");
    let mut stream = Stream::new(PageDom, place.clone().into());
    for end in (STEP..text.len()).step_by(STEP) {
        idle_moment(chat).await?;
        stream.show(&text[..end]);
    }
    idle_moment(chat).await?;
    stream.end(&text);
    idle_moment(chat).await?;
    if let Some(body) = document().body() {
        // The element is in the document for its layout only, and removed before the next paint.
        append(&body, &place);
        let _ = place.get_bounding_client_rect();
        place.remove();
    }
    Ok(())
}

/// Waits for an idle callback.
async fn idle_moment(chat: Chat) -> Result<(), Interrupted> {
    let (idle, is_idle) = oneshot::channel();
    let idle = Cell::new(Some(idle));
    request_idle_callback(move || {
        if let Some(idle) = idle.take() {
            // Sending fails only if the future was dropped.
            let _ = idle.send(());
        }
    });
    match is_idle.await {
        Ok(()) if !chat.is_streaming_untracked() => Ok(()),
        _ => Err(Interrupted),
    }
}
