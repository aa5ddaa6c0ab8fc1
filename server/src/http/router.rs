//! Every route and every layer of the program.

use std::panic::AssertUnwindSafe;

use app::protocol::saved::{CHANGES_PATH, EXPORT_PATH, IMPORT_PATH, events_path, generation_path};
use app::protocol::{CHAT_PATH, ErrorKind, IMAGE_PATH, MODELS_PATH};
use axum::Router;
use axum::extract::Request;
use axum::http::header::CACHE_CONTROL;
use axum::middleware::{Next, from_fn, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use futures::FutureExt;

use super::error::AppError;
use super::pages::Pages;
use super::state::AppState;
use super::{
    access, changes, chat, export, frames, functions, generations, import, messages, openai, pages,
};

/// All routes and layers. A request passes the layers from the last to the first.
pub fn router(state: AppState) -> Router {
    let router = Router::new()
        // Replies that are not saved.
        .route(
            CHAT_PATH,
            post(chat::chat)
                .get(chat::chat_by_address)
                // HEAD would start a reply like GET, without a reader.
                .head(async || AppError::from(ErrorKind::MethodNotAllowed)),
        )
        // Saved conversations.
        .route("/api/conversations/{id}/messages", post(messages::send))
        .route(&events_path("{id}"), get(generations::events))
        .route(&generation_path("{id}"), delete(generations::stop))
        .route(CHANGES_PATH, get(changes::events))
        .route("/api/conversations/{id}/export", get(export::one))
        .route(EXPORT_PATH, get(export::all))
        .route(IMPORT_PATH, post(import::import))
        // The server functions: `/api/conversations/list`, `get`, `path`, `search`, `rename`, `pin`, `delete`,
        // `restore`, `show` and `read`.
        .merge(functions::router())
        // The API for other programs.
        .route(MODELS_PATH, get(openai::choose_model))
        .route("/v1/chat/completions", post(openai::chat_completions))
        .route("/v1/responses", post(openai::responses))
        .route("/v1/models", get(openai::models::list))
        .route("/v1/models/{*id}", get(openai::models::show))
        .route("/healthz", get(healthz))
        .merge(page(&state))
        .method_not_allowed_fallback(async || AppError::from(ErrorKind::MethodNotAllowed))
        .layer(from_fn(catch_panic))
        .layer(from_fn_with_state(state.clone(), access::guard));
    let router = pages::safe_headers()
        .into_iter()
        .fold(router, Router::layer);
    router.with_state(state)
}

/// The page, its frames, its files, and the response for unknown paths.
fn page(state: &AppState) -> Router<AppState> {
    let pages = Pages::new(state);
    Router::new()
        .route("/", pages.home())
        .route("/c/{id}", pages.conversation())
        .route(IMAGE_PATH, get(frames::image))
        .nest_service("/diagram", frames::diagram_files(&pages.site()))
        .nest_service("/pkg", pages.build_files())
        .fallback_service(pages.public_files())
        .layer(map_request(pages::head_as_get))
}

/// Whether the server accepts new requests.
async fn healthz(state: axum::extract::State<AppState>) -> Response {
    if state.drain.is_cancelled() {
        return AppError::from(ErrorKind::Shutdown).into_response();
    }
    ([(CACHE_CONTROL, "no-store")], "ok\n").into_response()
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
