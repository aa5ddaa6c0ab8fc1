//! The lists of models: in OpenAI's format for programs, and a short one for the page.

use app::protocol::{ErrorKind, ModelChoice, ModelList};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::error::OpenAiError;
use crate::access::Caller;
use crate::http::state::AppState;
use crate::providers::AvailableModel;
use crate::providers::api::Api;
use crate::providers::model_facts::ModelFacts;

/// `GET /v1/models`: the models that this API can use.
pub(in crate::http) async fn list(State(state): State<AppState>, caller: Caller) -> Response {
    let data: Vec<Value> = state
        .models_of(&caller)
        .await
        .into_iter()
        .filter(|choice| choice.upstream.settings().api != Api::Messages)
        .map(entry)
        .collect();
    let list = json!({"object": "list", "data": data});
    ([(CACHE_CONTROL, "no-store")], Json(list)).into_response()
}

/// `GET /v1/models/{id}`: one model.
pub(in crate::http) async fn show(
    State(state): State<AppState>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Response, OpenAiError> {
    let choice = state
        .models_of(&caller)
        .await
        .into_iter()
        .find(|choice| choice.name == id);
    let entry = entry(choice.ok_or(ErrorKind::ModelNotFound)?);
    Ok(([(CACHE_CONTROL, "no-store")], Json(entry)).into_response())
}

/// `GET /api/models`: the models that people can choose on the page.
pub(crate) async fn choose(State(state): State<AppState>, caller: Caller) -> Response {
    let models: Vec<ModelChoice> = state
        .models_of(&caller)
        .await
        .into_iter()
        .map(|choice| {
            let facts = ModelFacts::of(&choice.model.entry);
            ModelChoice {
                id: choice.name,
                upstream: choice.upstream.settings().name.clone(),
                context: facts.context,
                images: facts.sees_images,
            }
        })
        .collect();
    let default = state.upstreams.default_model();
    let default = match (
        state.check_model(&caller, Some(&default)).await,
        models.first(),
    ) {
        (Err(_), Some(first)) => first.id.clone(),
        _ => default,
    };
    let list = ModelList { default, models };
    ([(CACHE_CONTROL, "no-store")], Json(list)).into_response()
}

/// The upstream's description of a model, with the name that the model has here.
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
