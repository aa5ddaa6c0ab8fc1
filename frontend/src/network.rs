//! The way to the server, as a part of the page: it reads and writes JSON, which makes it large, and an
//! empty page has nothing to request.
//!
//! What is here stands for the real thing until that is loaded, and passes on. A part that cannot be had
//! is a server that cannot be reached.

use app::library::changes::ChangeFeed;
use app::library::import::Import;
use app::library::models::Models;
use app::library::requests::Requests;
use app::page::lazy::lazy_part;
use app::platform::clock::{BrowserClock, Clock};
use app::protocol::saved::{Change, ImportReport, InitialData};
use app::protocol::{ErrorBody, ErrorKind, ModelList, ReplyError};
use app::reply::reader::backoff;
use app::reply::transport::{ChatTransport, Connection, ConnectionError, ReplyRequest};
use futures::FutureExt;
use futures::future::{LocalBoxFuture, ready};
use futures::stream::{LocalBoxStream, StreamExt, once};

use crate::changes::SharedFeed;
use crate::fetch::failure;
use crate::import::Upload;
use crate::models::HttpModels;
use crate::requests::HttpRequests;
use crate::transport::HttpTransport;

/// All that asks the server something.
struct Loaded {
    transport: &'static dyn ChatTransport,
    requests: &'static dyn Requests,
    changes: &'static dyn ChangeFeed,
    import: &'static dyn Import,
    models: &'static dyn Models,
    read_initial_data: fn(&str) -> InitialData,
}

lazy_part! {
    fn network() -> Loaded {
        Loaded {
            transport: &HttpTransport,
            requests: &HttpRequests,
            changes: &SharedFeed,
            import: &Upload,
            models: &HttpModels,
            read_initial_data: |json| serde_json::from_str(json).unwrap_or_default(),
        }
    }
}

/// The same, as soon as it can be had.
async fn network_at_last() -> Loaded {
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

/// What the server has written into the page of what is saved. Without it the page cannot come to life,
/// but it can be read, and its links work.
pub(crate) async fn read_saved_data() -> InitialData {
    let element = leptos::prelude::document().get_element_by_id(app::SAVED_DATA);
    match element.and_then(|element| element.text_content()) {
        Some(json) => (network_at_last().await.read_initial_data)(&json),
        None => InitialData::default(),
    }
}

/// The way to the server.
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

impl Requests for Network {
    fn post(
        &self,
        path: &'static str,
        json: String,
    ) -> LocalBoxFuture<'static, Result<String, ErrorBody>> {
        async move {
            let unreachable = |_| ErrorBody::of(ErrorKind::ServerUnreachable);
            let network = network().await.map_err(unreachable)?;
            network.requests.post(path, json).await
        }
        .boxed_local()
    }
}

impl ChangeFeed for Network {
    fn changes(&self) -> LocalBoxStream<'static, Change> {
        let changes = async { network_at_last().await.changes.changes() };
        changes.flatten_stream().boxed_local()
    }
}

impl Import for Network {
    fn send(
        &self,
        file: web_sys::File,
        on_progress: Box<dyn Fn(u8)>,
    ) -> LocalBoxFuture<'static, Result<ImportReport, ReplyError>> {
        async {
            let unreachable = |_| failure(ErrorKind::ServerUnreachable, "");
            let network = network().await.map_err(unreachable)?;
            network.import.send(file, on_progress).await
        }
        .boxed_local()
    }
}

impl Models for Network {
    fn list(&self) -> LocalBoxFuture<'static, Option<ModelList>> {
        async { network().await.ok()?.models.list().await }.boxed_local()
    }
}
