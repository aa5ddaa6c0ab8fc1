//! Has the browser learn how to show a reply while it has nothing to do: a browser compiles a function at its
//! first call and looks up a font at its first letter, which would hold up the first words by some pictures.
//!
//! A short text of the usual kinds of blocks is streamed into a place that nobody sees, a little at each idle
//! moment, and is gone again, and a number is written as it is at a reply's end: the first one takes as long as a
//! picture. What most replies do without (code that is highlighted, formulas) stays unloaded.

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

/// A paragraph of so many sentences is cut while it is open.
const SENTENCES: usize = 60;
const SENTENCE: &str = "It goes on for so long that it is cut. ";

/// So many bytes are shown in one idle moment.
const STEP: usize = 64;

/// Begins, unless the browser does not say when it has nothing to do; then the first words do without. It is
/// over when a reply streams: then it would only be in its way.
pub(in crate::ui) fn warm_up(chat: Chat) {
    spawn_local(async move {
        // Over before its end or not, nothing hangs on it.
        let _ = show_to_nobody(chat).await;
    });
}

/// The browser does not say when it has nothing to do, or a reply streams.
struct Over;

async fn show_to_nobody(chat: Chat) -> Result<(), Over> {
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
        // In the document for its layout only: no picture is made meanwhile.
        append(&body, &place);
        let _ = place.get_bounding_client_rect();
        place.remove();
    }
    Ok(())
}

/// Waits until the browser has nothing to do.
async fn idle_moment(chat: Chat) -> Result<(), Over> {
    let (ring, rings) = oneshot::channel();
    let ring = Cell::new(Some(ring));
    request_idle_callback(move || {
        if let Some(ring) = ring.take() {
            // Nobody may be waiting any more.
            let _ = ring.send(());
        }
    });
    match rings.await {
        Ok(()) if !chat.is_streaming_untracked() => Ok(()),
        _ => Err(Over),
    }
}
