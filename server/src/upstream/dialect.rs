//! In what a server differs from the API that it speaks, learnt from what it refuses.
//!
//! A server that refuses one field of a request says so, more or less in one form; the same question
//! is then asked without it. What a person set is never dropped for that, only written differently.

use super::provider_error::ProviderError;

/// How a server wants what it can be told in more than one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Chat Completions: whether token counts may be asked for at the end of a stream.
    pub stream_options: bool,
    /// Chat Completions: whether the limit is called `max_completion_tokens`, as OpenAI's newer
    /// models want it.
    pub max_completion_tokens: bool,
    /// Responses: whether a summary of the reasoning may be asked for.
    pub reasoning_summary: bool,
    /// Messages: how the model is told to think.
    pub thinking: Thinking,
    /// Messages: the most tokens that the model can be allowed, if it told.
    pub most_tokens: Option<u32>,
}

/// How a model of the Messages API is told to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinking {
    /// By an effort; it decides itself how long it thinks. So want it the newer models.
    Adaptive,
    /// By a number of tokens.
    Budget,
    /// Not at all.
    Never,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            stream_options: true,
            max_completion_tokens: false,
            reasoning_summary: true,
            thinking: Thinking::Adaptive,
            most_tokens: None,
        }
    }
}

impl Dialect {
    /// The dialect to try next after this error, if the error was about the dialect. Each step is
    /// taken once, so it ends.
    #[must_use]
    pub fn learn(self, status: u16, error: &ProviderError) -> Option<Self> {
        if !matches!(status, 400 | 422) {
            return None;
        }
        if self.stream_options && error.refuses("stream_options") {
            return Some(Self {
                stream_options: false,
                ..self
            });
        }
        if !self.max_completion_tokens
            && error.refuses("max_tokens")
            && error.mentions("max_completion_tokens")
        {
            return Some(Self {
                max_completion_tokens: true,
                ..self
            });
        }
        if self.reasoning_summary
            && (error.refuses("reasoning.summary") || error.mentions("reasoning summar"))
        {
            return Some(Self {
                reasoning_summary: false,
                ..self
            });
        }
        if let Some(most) = error.most_tokens()
            && self.most_tokens.is_none_or(|known| most < known)
        {
            return Some(Self {
                most_tokens: Some(most),
                ..self
            });
        }
        let about_thinking = ["thinking", "effort", "output_config"]
            .into_iter()
            .any(|word| error.refuses(word));
        let thinking = match self.thinking {
            Thinking::Adaptive => Thinking::Budget,
            Thinking::Budget | Thinking::Never => Thinking::Never,
        };
        (about_thinking && thinking != self.thinking).then_some(Self { thinking, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> ProviderError {
        ProviderError::from_body(text.as_bytes()).expect("an error")
    }

    fn saying(message: &str) -> ProviderError {
        error(&serde_json::json!({ "error": { "message": message } }).to_string())
    }

    #[test]
    fn each_step_is_taken_once() {
        let check = |error: &ProviderError, steps: &[Dialect]| {
            let mut dialect = Dialect::default();
            for step in steps {
                dialect = dialect.learn(400, error).expect("a step");
                assert_eq!(dialect, *step, "{error:?}");
            }
            assert_eq!(dialect.learn(400, error), None, "{error:?}");
            assert_eq!(Dialect::default().learn(500, error), None);
        };
        let first = Dialect::default();
        check(
            &saying("Unknown field: stream_options"),
            &[Dialect {
                stream_options: false,
                ..first
            }],
        );
        check(
            &error(
                r#"{"error":{"param":"max_tokens","message":"Use 'max_completion_tokens' instead."}}"#,
            ),
            &[Dialect {
                max_completion_tokens: true,
                ..first
            }],
        );
        for message in [
            "Unsupported parameter: 'reasoning.summary' is not supported with this model.",
            "Your organization must be verified to generate reasoning summaries.",
        ] {
            check(
                &saying(message),
                &[Dialect {
                    reasoning_summary: false,
                    ..first
                }],
            );
        }
        check(
            &saying(
                "max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for m",
            ),
            &[Dialect {
                most_tokens: Some(8192),
                ..first
            }],
        );
        check(
            &saying("adaptive thinking is not supported on this model"),
            &[
                Dialect {
                    thinking: Thinking::Budget,
                    ..first
                },
                Dialect {
                    thinking: Thinking::Never,
                    ..first
                },
            ],
        );
        check(&saying("messages: at least one message is required"), &[]);
    }
}
