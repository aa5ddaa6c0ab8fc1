//! Every route and every layer of the program.

use std::panic::AssertUnwindSafe;

use app::protocol::saved::{CHANGES_PATH, EXPORT_PATH, IMPORT_PATH, events_path, generation_path};
use app::protocol::{CHAT_PATH, ErrorKind, IMAGE_PATH, MODELS_PATH};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use futures::FutureExt;

use super::below::below;
use super::error::AppError;
use super::pages::Pages;
use super::routes::Needs::{Key, Nothing, Person, Session};
use super::routes::{RouteInfo, Routes};
use super::state::AppState;
use super::{
    access, account, changes, chat, export, frames, functions, generations, health, import,
    messages, metrics, openai, pages,
};
use crate::access::Scope::{Chat, Models, Read};

/// All routes and layers. A request passes the layers from the last to the first.
pub fn router(state: AppState) -> Router {
    let (router, _) = routes(&state).finish();
    let router = router
        .method_not_allowed_fallback(async || AppError::from(ErrorKind::MethodNotAllowed))
        .layer(from_fn(catch_panic))
        .layer(from_fn_with_state(state.clone(), access::guard))
        .layer(from_fn_with_state(state.clone(), metrics::measure));
    let router = router.with_state(state.clone());
    let router = match &state.config.public_url {
        Some(public) if !public.path.is_empty() => below(public, router),
        _ => router,
    };
    pages::safe_headers()
        .into_iter()
        .fold(router, Router::layer)
}

/// The table of the routes, for tests of who may use them.
pub fn route_table(state: &AppState) -> Vec<RouteInfo> {
    routes(state).finish().1
}

fn routes(state: &AppState) -> Routes {
    let chat = post(chat::chat)
        .get(chat::chat_by_address)
        // HEAD would start a reply like GET, without a reader.
        .head(async || AppError::from(ErrorKind::MethodNotAllowed));
    let routes = Routes::new(state)
        // Replies that are not saved.
        .add(&["GET", "POST"], CHAT_PATH, Person(Chat), chat)
        // Saved conversations.
        .add(
            &["POST"],
            "/api/conversations/{id}/messages",
            Person(Chat),
            post(messages::send),
        )
        .add(
            &["GET"],
            &events_path("{id}"),
            Person(Read),
            get(generations::events),
        )
        .add(
            &["DELETE"],
            &generation_path("{id}"),
            Person(Chat),
            delete(generations::stop),
        )
        .add(&["GET"], CHANGES_PATH, Person(Read), get(changes::events))
        .add(
            &["GET"],
            "/api/conversations/{id}/export",
            Person(Read),
            get(export::one),
        )
        .add(&["GET"], EXPORT_PATH, Person(Read), get(export::all))
        .add(&["POST"], IMPORT_PATH, Session, post(import::import));
    // The server functions: `/api/conversations/list`, `get`, `path`, `search`, `rename`, `pin`, `delete`,
    // `restore`, `show` and `read`.
    functions::add(routes)
        // The API for other programs.
        .add(
            &["GET"],
            MODELS_PATH,
            Person(Models),
            get(openai::choose_model),
        )
        .add(
            &["POST"],
            "/v1/chat/completions",
            Key(Chat),
            post(openai::chat_completions),
        )
        .add(
            &["POST"],
            "/v1/responses",
            Key(Chat),
            post(openai::responses),
        )
        .add(
            &["GET"],
            "/v1/models",
            Key(Models),
            get(openai::models::list),
        )
        .add(
            &["GET"],
            "/v1/models/{*id}",
            Key(Models),
            get(openai::models::show),
        )
        .add(&["GET"], "/healthz", Nothing, get(health::alive))
        .add(&["GET"], "/healthz/stream", Nothing, get(health::stream))
        .add(&["GET"], "/readyz", Nothing, get(health::ready))
        .and(page(state))
        .and(account::add(Routes::new(state), state))
}

/// The page, its frames, its files, and the response for unknown paths. The files are the same for everybody.
fn page(state: &AppState) -> Routes {
    let pages = Pages::new(state);
    Routes::new(state)
        .add(&["GET"], "/", Session, pages.home())
        .add(&["GET"], "/c/{id}", Session, pages.conversation())
        .add(&["GET"], IMAGE_PATH, Session, get(frames::image))
        .add_files("/diagram", Nothing, frames::diagram_files(pages.site()))
        .add_files("/pkg", Nothing, pages.build_files())
        .otherwise(Nothing, pages.public_files())
        .layered(|router| router.layer(map_request(pages::head_as_get)))
}

/// The response for a panic, without details. The panic itself is in the log.
///
/// The layer of tower-http would box the body of every response three more times, and each piece of a stream
/// would pass through these boxes.
async fn catch_panic(request: Request, next: Next) -> Response {
    AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| AppError::from(ErrorKind::Internal).into_response())
}
