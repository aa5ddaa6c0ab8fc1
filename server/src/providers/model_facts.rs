//! What an upstream's list says of a model besides its name: how much it can read, and whether it sees images.
//!
//! OpenAI's list says neither, and each of the others has fields of its own. All of them are tried, and a value of
//! another type is as if it were not there.

use serde_json::Value;

/// The fields with the number of tokens that a model can read, as JSON pointers.
const CONTEXT: [&str; 13] = [
    "/context_length",          // OpenRouter, Together, Fireworks, Cohere, SambaNova
    "/max_model_len",           // vLLM, SGLang
    "/context_window",          // Groq
    "/max_context_length",      // Mistral, LM Studio
    "/max_input_tokens",        // Anthropic
    "/meta/n_ctx",              // llama.cpp
    "/meta/n_ctx_train",        // llama.cpp before 2026
    "/context_size",            // Novita
    "/metadata/context_length", // DeepInfra
    "/limits/max_input_tokens", // GitHub Models
    "/top_provider/context_length", // OpenRouter
    "/model_info/max_input_tokens", // LiteLLM
    "/providers/0/context_length", // Hugging Face
];

/// The fields with the kinds of input, as JSON pointers to lists of words.
const INPUTS: [&str; 4] = [
    "/architecture/input_modalities", // OpenRouter, Hugging Face
    "/input_modalities",              // xAI
    "/supported_input_modalities",    // GitHub Models
    "/modalities/input",              // models.dev
];

/// The fields that say that a model sees images, as JSON pointers to booleans.
const VISION: [&str; 5] = [
    "/capabilities/vision",                // Mistral
    "/supports_image_input",               // Fireworks
    "/supports_vision",                    // LiteLLM
    "/model_info/supports_vision",         // LiteLLM
    "/capabilities/image_input/supported", // Anthropic
];

/// What is known of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ModelFacts {
    /// The number of tokens that it can read.
    pub(crate) context: Option<u64>,
    /// Whether it sees images; `false` if that is not known.
    pub(crate) sees_images: bool,
}

impl ModelFacts {
    /// What the entry of a list says.
    pub(crate) fn of(entry: &Value) -> Self {
        let number = |pointer: &&str| {
            let value = entry.pointer(pointer)?;
            let number = value
                .as_u64()
                .or_else(|| value.as_str()?.trim().parse().ok());
            number.filter(|number| *number > 0)
        };
        let has_image = |pointer: &&str| {
            let kinds = entry.pointer(pointer).and_then(Value::as_array);
            let mut kinds = kinds.into_iter().flatten().filter_map(Value::as_str);
            kinds.any(|kind| kind.eq_ignore_ascii_case("image"))
        };
        let is_true =
            |pointer: &&str| entry.pointer(pointer).and_then(Value::as_bool) == Some(true);
        Self {
            context: CONTEXT.iter().find_map(number),
            sees_images: INPUTS.iter().any(has_image) || VISION.iter().any(is_true),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(entry: &Value, context: Option<u64>, sees_images: bool) {
        let expect = ModelFacts {
            context,
            sees_images,
        };
        assert_eq!(ModelFacts::of(entry), expect, "{entry}");
    }

    #[test]
    fn every_upstreams_own_fields_are_read() {
        check(
            &json!({ "id": "gpt-5-mini", "object": "model" }),
            None,
            false,
        );
        let of_open_router = json!({
            "context_length": 131_072,
            "architecture": { "input_modalities": ["text", "image"], "output_modalities": ["text"] },
        });
        check(&of_open_router, Some(131_072), true);
        check(&json!({ "max_model_len": 32_768 }), Some(32_768), false);
        check(&json!({ "context_window": 8192 }), Some(8192), false);
        let of_mistral =
            json!({ "max_context_length": 40_000, "capabilities": { "vision": true } });
        check(&of_mistral, Some(40_000), true);
        check(
            &json!({ "meta": { "n_ctx_train": 4096 } }),
            Some(4096),
            false,
        );
        check(
            &json!({ "providers": [{ "context_length": 9 }] }),
            Some(9),
            false,
        );
    }

    #[test]
    fn a_value_of_another_type_is_not_there() {
        check(&Value::Null, None, false);
        check(&json!({ "context_length": "65536" }), Some(65_536), false);
        check(
            &json!({ "context_length": -1, "max_model_len": 7 }),
            Some(7),
            false,
        );
        check(&json!({ "context_length": 0 }), None, false);
        check(
            &json!({ "capabilities": ["vision"], "input_modalities": "image" }),
            None,
            false,
        );
        check(
            &json!({ "input_modalities": [1, null, "Image"] }),
            None,
            true,
        );
    }
}
