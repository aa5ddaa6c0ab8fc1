//! The changes of all conversations, read by one tab and told to the others.
//!
//! A browser allows six connections to one server over HTTP/1.1, so ten tabs cannot each hold one open.
//! The tab that gets the lock reads the stream and passes it on over a channel of the browser; when it
//! is closed, the lock goes to the next. Where there are no locks, every tab reads for itself.

use app::library::changes::ChangeFeed;
use app::platform::clock::{BrowserClock, Clock};
use app::platform::lifecycle::Lifecycle;
use app::protocol::EVENT_STREAM;
use app::protocol::saved::{CHANGES_PATH, Change};
use app::reply::reader::backoff;
use app::sse::Decoder;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::future::{Either, select};
use futures::stream::{LocalBoxStream, StreamExt};
use gloo_net::http::Method;
use std::pin::pin;
use std::time::Duration;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;
use web_sys::js_sys::{Function, Promise, Reflect};
use web_sys::{BroadcastChannel, MessageEvent};

use crate::fetch::{self, Call};
use crate::lifecycle::BrowserLifecycle;

/// The name of the lock and of the channel.
const NAME: &str = "rill.changes";

/// The most bytes that one change may have.
const EVENT_LIMIT: usize = 1024 * 1024;

/// The server gives a sign of life at least every 15 s; after a longer silence the connection is dead.
const SILENCE: Duration = Duration::from_secs(40);

/// The changes, as one tab reads them for all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SharedFeed;

impl ChangeFeed for SharedFeed {
    fn changes(&self) -> LocalBoxStream<'static, Change> {
        let (changes, stream) = unbounded();
        let channel = BroadcastChannel::new(NAME).ok();
        let heard = channel
            .as_ref()
            .map(|channel| listen(channel, changes.clone()));
        let restarts = Telling { changes, channel };
        lead(move || spawn_local(restarts.read()));
        stream
            .map(move |change| {
                // It listens as long as somebody reads.
                let _ = &heard;
                change
            })
            .boxed_local()
    }
}

/// Takes in what another tab tells.
fn listen(
    channel: &BroadcastChannel,
    changes: UnboundedSender<Change>,
) -> Closure<dyn FnMut(MessageEvent)> {
    let hear = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
        let text = message.data().as_string().unwrap_or_default();
        if let Some(change) = text
            .split_once('\n')
            .and_then(|(name, data)| Change::from_sse(name, data).ok()?)
        {
            // The page may be about to go.
            let _ = changes.unbounded_send(change);
        }
    });
    channel.set_onmessage(Some(hear.as_ref().unchecked_ref()));
    hear
}

/// Calls `begin` when this tab is the one that reads: at once, or when the one before it is closed.
fn lead(begin: impl FnOnce() + 'static) {
    let locks = web_sys::window()
        .and_then(|window| Reflect::get(&window.navigator(), &"locks".into()).ok())
        .filter(JsValue::is_object);
    let Some(locks) = locks else {
        return begin();
    };
    let request: Option<Function> = Reflect::get(&locks, &"request".into())
        .ok()
        .and_then(|request| request.dyn_into().ok());
    let Some(request) = request else {
        return begin();
    };
    let hold = Closure::once_into_js(move || {
        begin();
        // A promise that never ends holds the lock as long as the page lives.
        Promise::new(&mut |_, _| {})
    });
    // A refusal would mean that the page is going away.
    let _ = request.call2(&locks, &NAME.into(), &hold);
}

/// Reads the stream and tells of it.
struct Telling {
    changes: UnboundedSender<Change>,
    channel: Option<BroadcastChannel>,
}

impl Telling {
    async fn read(self) {
        let mut failures = 0;
        let mut lifecycle_events = BrowserLifecycle.lifecycle_events();
        loop {
            let came = self.read_once().await;
            failures = if came { 1 } else { failures + 1 };
            let wait = BrowserClock.wait(backoff(failures, BrowserClock.random()));
            // A network that is back, or a person who is, ends the wait.
            let _ = select(wait, lifecycle_events.next()).await;
        }
    }

    /// Reads one connection to its end; says whether anything came.
    async fn read_once(&self) -> bool {
        let call = Call {
            method: Method::GET,
            path: CHANGES_PATH,
            accept: EVENT_STREAM,
            json: None,
        };
        let Ok(mut response) = fetch::send(call).await else {
            return false;
        };
        if response.status != 200 {
            return false;
        }
        // From here on nothing is missed; what changed before was told to nobody.
        self.tell("reload", "{}");
        let mut decoder = Decoder::new(EVENT_LIMIT);
        loop {
            let chunk = match select(pin!(response.chunk()), BrowserClock.wait(SILENCE)).await {
                Either::Left((Ok(Some(chunk)), _)) => chunk,
                Either::Left(_) | Either::Right(_) => return true,
            };
            if decoder
                .feed(&chunk, |event| self.tell(event.name, event.data))
                .is_err()
            {
                return true;
            }
        }
    }

    /// Tells this tab and the others.
    fn tell(&self, name: &str, data: &str) {
        if let Ok(Some(change)) = Change::from_sse(name, data) {
            // The page may be about to go.
            let _ = self.changes.unbounded_send(change);
            if let Some(channel) = &self.channel {
                let _ = channel.post_message(&format!("{name}\n{data}").into());
            }
        }
    }
}
