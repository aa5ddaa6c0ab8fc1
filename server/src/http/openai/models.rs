//! The models that can be asked: in OpenAI's form for programs, and as a short list for the page.

use app::protocol::{ErrorKind, ModelChoice, ModelList};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::error::OpenAiError;
use crate::http::state::AppState;
use crate::providers::AvailableModel;
use crate::providers::api::Api;

/// `GET /v1/models`: the models that can be asked on this surface.
pub(in crate::http) async fn list(State(state): State<AppState>) -> Response {
    let data: Vec<Value> = choices(&state)
        .await
        .into_iter()
        .filter(|choice| choice.upstream.settings().api != Api::Messages)
        .map(entry)
        .collect();
    let list = json!({"object": "list", "data": data});
    ([(CACHE_CONTROL, "no-store")], Json(list)).into_response()
}

/// `GET /v1/models/{id}`: one of them.
pub(in crate::http) async fn show(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response, OpenAiError> {
    let choice = choices(&state)
        .await
        .into_iter()
        .find(|choice| choice.name == id);
    let entry = entry(choice.ok_or(ErrorKind::ModelNotFound)?);
    Ok(([(CACHE_CONTROL, "no-store")], Json(entry)).into_response())
}

/// `GET /api/models`: what the page lets people choose from.
pub(crate) async fn choose(State(state): State<AppState>) -> Response {
    let models = choices(&state)
        .await
        .into_iter()
        .map(|choice| ModelChoice {
            id: choice.name,
            upstream: choice.upstream.settings().name.clone(),
        })
        .collect();
    let list = ModelList {
        default: state.upstreams.default_model(),
        models,
    };
    ([(CACHE_CONTROL, "no-store")], Json(list)).into_response()
}

async fn choices(state: &AppState) -> Vec<AvailableModel> {
    state.look_for_ollama().await;
    state.upstreams.choices().await
}

/// What the upstream says of a model, under the name that it has here.
fn entry(choice: AvailableModel) -> Value {
    match choice.model.entry {
        Value::Object(mut fields) => {
            fields.insert("id".into(), choice.name.into());
            Value::Object(fields)
        }
        _ => json!({
            "id": choice.name,
            "object": "model",
            "created": 0,
            "owned_by": choice.upstream.settings().name,
        }),
    }
}
