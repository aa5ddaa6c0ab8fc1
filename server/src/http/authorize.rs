//! The check before every handler: finds out who sends the request, and refuses it if the route needs more.

use std::sync::Arc;

use app::protocol::ErrorKind;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::AppError;
use super::openai::OpenAiError;
use super::routes::Needs;
use super::state::AppState;
use crate::access::Caller;

/// A route's check.
pub(super) struct Checkpoint {
    pub(super) state: AppState,
    /// What a request to the route needs.
    pub(super) needs: Needs,
}

/// Passes a request on with its [`Caller`], or refuses it.
pub(super) async fn authorize(
    State(checkpoint): State<Arc<Checkpoint>>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(caller) = checkpoint.state.access.only_person() {
        request.extensions_mut().insert(caller.clone());
        return next.run(request).await;
    }
    match checkpoint.needs {
        Needs::Nothing => next.run(request).await,
        _ => refuse(request.uri().path(), ErrorKind::NotSignedIn.into()),
    }
}

/// The refusal in the format of the route.
fn refuse(path: &str, error: AppError) -> Response {
    if path.starts_with("/v1/") {
        OpenAiError::from(error).into_response()
    } else {
        error.into_response()
    }
}

/// Handlers get the caller that [`authorize`] has found.
impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| AppError::from(ErrorKind::NotSignedIn).into_response())
    }
}
