//! The connection to the server as a lazy part: it contains the code that reads and writes JSON, which is large,
//! and a page without saved conversations sends nothing at first.
//!
//! [`Network`] loads the part at the first request and forwards to it. If the part cannot be loaded, the server
//! counts as unreachable.

use app::library::backend::Backend;
use app::page::lazy::lazy_part;
use app::platform::clock::{BrowserClock, Clock};
use app::protocol::saved::{Change, ImportReport, InitialData};
use app::protocol::{ErrorBody, ErrorKind, ModelList, ReplyError};
use app::reply::reader::backoff;
use app::reply::transport::{ChatTransport, Connection, ConnectionError, ReplyRequest};
use futures::FutureExt;
use futures::future::{LocalBoxFuture, ready};
use futures::stream::{LocalBoxStream, StreamExt, once};

use crate::backend::HttpBackend;
use crate::fetch::failure;
use crate::transport::HttpTransport;

/// What the lazy part contains.
struct Loaded {
    transport: &'static dyn ChatTransport,
    backend: &'static dyn Backend,
    read_initial_data: fn(&str) -> InitialData,
}

lazy_part! {
    fn network() -> Loaded {
        Loaded {
            transport: &HttpTransport,
            backend: &HttpBackend,
            read_initial_data: |json| serde_json::from_str(json).unwrap_or_default(),
        }
    }
}

/// Loads the part, with as many attempts as it takes.
async fn load_network() -> Loaded {
    let mut failures = 0;
    loop {
        if let Ok(network) = network().await {
            return network;
        }
        failures += 1;
        BrowserClock
            .wait(backoff(failures, BrowserClock.random()))
            .await;
    }
}

/// Reads the initial data that the server has written into the page. Hydration waits for it; until then the page
/// can be read and its links work.
pub(crate) async fn read_saved_data() -> InitialData {
    let element = leptos::prelude::document().get_element_by_id(app::SAVED_DATA);
    match element.and_then(|element| element.text_content()) {
        Some(json) => (load_network().await.read_initial_data)(&json),
        None => InitialData::default(),
    }
}

/// The connection to the server, loaded when it is first used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network;

impl ChatTransport for Network {
    fn open(&self, request: ReplyRequest) -> Connection {
        let connection = async {
            match network().await {
                Ok(network) => network.transport.open(request),
                Err(_) => once(ready(Err(ConnectionError::unreachable()))).boxed_local(),
            }
        };
        connection.flatten_stream().boxed_local()
    }

    fn stop(&self, generation: String) -> LocalBoxFuture<'static, Result<(), ConnectionError>> {
        async {
            let network = network()
                .await
                .map_err(|_| ConnectionError::unreachable())?;
            network.transport.stop(generation).await
        }
        .boxed_local()
    }
}

impl Backend for Network {
    fn post(
        &self,
        path: &'static str,
        json: String,
    ) -> LocalBoxFuture<'static, Result<String, ErrorBody>> {
        async move {
            let unreachable = |_| ErrorBody::of(ErrorKind::ServerUnreachable);
            let network = network().await.map_err(unreachable)?;
            network.backend.post(path, json).await
        }
        .boxed_local()
    }

    fn changes(&self) -> LocalBoxStream<'static, Change> {
        let changes = async { load_network().await.backend.changes() };
        changes.flatten_stream().boxed_local()
    }

    fn import(
        &self,
        file: web_sys::File,
        on_progress: Box<dyn Fn(u8)>,
    ) -> LocalBoxFuture<'static, Result<ImportReport, ReplyError>> {
        async {
            let unreachable = |_| failure(ErrorKind::ServerUnreachable, "");
            let network = network().await.map_err(unreachable)?;
            network.backend.import(file, on_progress).await
        }
        .boxed_local()
    }

    fn models(&self) -> LocalBoxFuture<'static, Option<ModelList>> {
        async { network().await.ok()?.backend.models().await }.boxed_local()
    }
}
