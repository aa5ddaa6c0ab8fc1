//! The stream of changes to all conversations, read by one tab and shared with the others.
//!
//! A browser allows six connections to one server over HTTP/1.1, so ten tabs cannot hold one open each. The tab
//! that holds a Web Lock reads the stream and forwards it over a `BroadcastChannel`; when that tab is closed, the
//! lock goes to the next. Without Web Locks, every tab reads the stream itself.

use app::platform::clock::{BrowserClock, Clock};
use app::platform::lifecycle::Lifecycle;
use app::protocol::EVENT_STREAM;
use app::protocol::saved::{CHANGES_PATH, Change};
use app::reply::reader::backoff;
use app::sse::Decoder;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::future::{Either, select};
use futures::stream::{LocalBoxStream, StreamExt};
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

/// The status where nobody is signed in.
const UNAUTHORIZED: u16 = 401;

/// The most bytes that one change may have.
const EVENT_LIMIT: usize = 1024 * 1024;

/// The connection counts as dead after this time without bytes. The server sends something at least every 15 s.
const SILENCE: Duration = Duration::from_secs(40);

/// The changes from now on, read by one tab for all.
pub(crate) fn shared_changes() -> LocalBoxStream<'static, Change> {
    let (changes, stream) = unbounded();
    let channel = BroadcastChannel::new(NAME).ok();
    let listener = channel
        .as_ref()
        .map(|channel| listen(channel, changes.clone()));
    let leader = Leader { changes, channel };
    become_leader(move || spawn_local(leader.read()));
    stream
        .map(move |change| {
            // The listener lives as long as the stream.
            let _ = &listener;
            change
        })
        .boxed_local()
}

/// Receives the changes that another tab forwards.
fn listen(
    channel: &BroadcastChannel,
    changes: UnboundedSender<Change>,
) -> Closure<dyn FnMut(MessageEvent)> {
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
        let text = message.data().as_string().unwrap_or_default();
        if let Some(change) = text
            .split_once('\n')
            .and_then(|(name, data)| Change::from_sse(name, data).ok()?)
        {
            // Sending fails only if the stream was dropped.
            let _ = changes.unbounded_send(change);
        }
    });
    channel.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message
}

/// Calls `begin` when this tab becomes the one that reads: at once, or when the tab before it is closed.
fn become_leader(begin: impl FnOnce() + 'static) {
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
        // A promise that never resolves holds the lock as long as the page lives.
        Promise::new(&mut |_, _| {})
    });
    // The request fails only while the page is unloaded.
    let _ = request.call2(&locks, &NAME.into(), &hold);
}

/// Reads the stream for all tabs.
struct Leader {
    changes: UnboundedSender<Change>,
    channel: Option<BroadcastChannel>,
}

impl Leader {
    async fn read(self) {
        let mut failures = 0;
        let mut lifecycle = BrowserLifecycle.events();
        loop {
            let received = self.read_once().await;
            failures = if received { 1 } else { failures + 1 };
            let wait = BrowserClock.wait(backoff(failures, BrowserClock.random()));
            // The wait ends early when the page is shown or the network is back.
            let _ = select(wait, lifecycle.next()).await;
        }
    }

    /// Reads one connection to its end. Returns whether the server accepted it.
    async fn read_once(&self) -> bool {
        let call = Call {
            method: "GET",
            path: CHANGES_PATH,
            accept: EVENT_STREAM,
            json: None,
            outlives_page: false,
        };
        let Ok(mut response) = fetch::send(call).await else {
            return false;
        };
        if response.status == UNAUTHORIZED {
            // The session has ended. The server leads the page to the form for signing in, and then back. The other tabs
            // follow, one after the other, as each becomes the one that reads.
            let _ = web_sys::window().map(|window| window.location().reload());
        }
        if response.status != 200 {
            return false;
        }
        // Earlier changes may have been missed; from here on none is.
        self.publish("reload", "{}");
        let mut decoder = Decoder::new(EVENT_LIMIT);
        loop {
            let chunk = match select(pin!(response.chunk()), BrowserClock.wait(SILENCE)).await {
                Either::Left((Ok(Some(chunk)), _)) => chunk,
                Either::Left(_) | Either::Right(_) => return true,
            };
            if decoder
                .feed(&chunk, |event| self.publish(event.name, event.data))
                .is_err()
            {
                return true;
            }
        }
    }

    /// Sends a change to this tab and to the others.
    fn publish(&self, name: &str, data: &str) {
        if let Ok(Some(change)) = Change::from_sse(name, data) {
            // Sending fails only if the stream was dropped.
            let _ = self.changes.unbounded_send(change);
            if let Some(channel) = &self.channel {
                let _ = channel.post_message(&format!("{name}\n{data}").into());
            }
        }
    }
}
