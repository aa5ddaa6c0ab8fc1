//! Every route of the program and every layer before it.

use std::panic::AssertUnwindSafe;

use app::protocol::{CHAT_PATH, ErrorKind, MODELS_PATH};
use axum::Router;
use axum::extract::Request;
use axum::http::header::CACHE_CONTROL;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::FutureExt;

use super::error::AppError;
use super::state::AppState;
use super::{access, chat, messages, openai, pages};

/// Every route and every layer. A request passes the layers from the last to the first.
pub fn router(state: AppState) -> Router {
    let router = Router::new()
        .route(
            CHAT_PATH,
            post(chat::chat)
                .get(chat::chat_by_address)
                // It would ask like a GET, and nobody would read the answer.
                .head(async || AppError::from(ErrorKind::MethodNotAllowed)),
        )
        .route(MODELS_PATH, get(openai::choose_model))
        .merge(openai::router())
        .route("/healthz", get(healthz))
        .merge(messages::router())
        .merge(pages::router(&state))
        .method_not_allowed_fallback(async || AppError::from(ErrorKind::MethodNotAllowed))
        .layer(from_fn(catch_panic))
        .layer(from_fn_with_state(state.clone(), access::guard));
    let router = pages::safe_headers()
        .into_iter()
        .fold(router, Router::layer);
    router.with_state(state)
}

/// Whether the server takes new requests.
async fn healthz(state: axum::extract::State<AppState>) -> Response {
    if state.drain.is_cancelled() {
        return AppError::from(ErrorKind::Shutdown).into_response();
    }
    ([(CACHE_CONTROL, "no-store")], "ok\n").into_response()
}

/// A bug of ours: said without details; the panic itself stands in the log.
///
/// The layer of tower-http would put the body of every answer into three boxes more, through which
/// each piece of a stream had to go.
async fn catch_panic(request: Request, next: Next) -> Response {
    AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| AppError::from(ErrorKind::Internal).into_response())
}
