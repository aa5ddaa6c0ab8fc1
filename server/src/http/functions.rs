//! Mounts the server functions of `app::library` at their fixed paths, behind the same checks as every other
//! route and with errors in the same format.

use app::library::provide_library;
use app::protocol::{ErrorBody, ErrorKind, MAX_REQUEST_BYTES};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use leptos::server_fn::axum::server_fn_paths;
use leptos_axum::handle_server_fns_with_context;

use super::library::StoredLibrary;
use super::routes::{Needs, Routes};
use crate::access::{Caller, Scope};
use crate::http::body;
use crate::http::error::AppError;
use crate::http::state::AppState;

/// The functions that only read. A key of a program may call these.
const READING: [&str; 5] = ["list", "get", "path", "outline", "search"];

/// Adds the server functions.
pub(super) fn add(routes: Routes) -> Routes {
    server_fn_paths().fold(routes, |routes, (path, _)| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let needs = if READING.contains(&name) {
            Needs::Person(Scope::Read)
        } else {
            Needs::Session
        };
        routes.add(&["POST"], path, needs, post(call))
    })
}

async fn call(
    State(state): State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<Response, AppError> {
    // Another site can post a form, but not JSON.
    body::check_headers(request.headers())?;
    let (mut head, body) = request.into_parts();
    let limits = body::BodyLimits::of_request(&state.config);
    let body = body::read_decoded(&head.headers, body, limits).await?;
    head.headers.remove(CONTENT_ENCODING);
    head.headers.remove(CONTENT_LENGTH);
    // Leptos redirects form posts to the referring page. These functions take no forms.
    head.headers
        .insert(ACCEPT, HeaderValue::from_static("application/json"));
    let request = Request::from_parts(head, Body::from(body));
    let library = StoredLibrary::of(state, &caller);
    let context = move || provide_library(library.clone());
    let mut response = handle_server_fns_with_context(context, request)
        .await
        .into_response();
    if response.status().is_server_error() || response.status().is_client_error() {
        return Err(refusal(response).await);
    }
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Leptos responds to every error with 500. This sets the status of the error's kind.
async fn refusal(response: Response) -> AppError {
    let body = to_bytes(response.into_body(), MAX_REQUEST_BYTES)
        .await
        .unwrap_or_default();
    match serde_json::from_slice::<ErrorBody>(&body) {
        Ok(ErrorBody { error }) => AppError::new(error.kind, error.message),
        Err(_) => ErrorKind::Internal.into(),
    }
}
