//! The kinds of errors, and all that follows from a kind: the name on the wire, the HTTP status, whether a retry can
//! help, and the sentence for the user.

use serde::{Deserialize, Serialize};

/// Data of the `error` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyError {
    /// The kind of error, for programs.
    pub kind: ErrorKind,
    /// A sentence of ours for the user. Never a key, an address or an upstream's raw body.
    pub message: String,
    /// Whether a retry can help.
    pub retryable: bool,
    /// How long to wait before a retry, in milliseconds, if the upstream says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl ReplyError {
    /// An error of this kind with its sentence, after a request that was accepted.
    #[must_use]
    pub fn of(kind: ErrorKind) -> Self {
        Self {
            kind,
            message: kind.sentence().to_owned(),
            retryable: kind.retry() != Retry::Never,
            retry_after_ms: None,
        }
    }
}

/// Body of a refusal: the response, with an HTTP error status, before any stream starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The refusal.
    pub error: Refusal,
}

impl ErrorBody {
    /// A refusal of this kind with its sentence.
    #[must_use]
    pub fn of(kind: ErrorKind) -> Self {
        Self {
            error: Refusal {
                kind,
                message: kind.sentence().to_owned(),
            },
        }
    }
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The kind of error, for programs.
    pub kind: ErrorKind,
    /// What is wrong and what to do, for the user.
    pub message: String,
}

/// The kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The upstream rejected the server's key.
    Auth,
    /// No credit at the upstream.
    Quota,
    /// Too many requests.
    RateLimited,
    /// The upstream is overloaded.
    Overloaded,
    /// The request is invalid.
    BadRequest,
    /// The conversation is too long for the model.
    ContextLength,
    /// The upstream does not know the model.
    ModelNotFound,
    /// The upstream failed.
    UpstreamError,
    /// No connection to the upstream.
    UpstreamUnreachable,
    /// The upstream did not start to answer in time.
    UpstreamTimeoutFirstByte,
    /// The upstream stalled in the middle of a reply.
    UpstreamTimeoutIdle,
    /// The reply took longer than the limit for a reply.
    UpstreamTimeoutTotal,
    /// The upstream's connection ended before the reply did.
    UpstreamCut,
    /// The upstream answered with nothing.
    UpstreamEmpty,
    /// The upstream sent something that is not its protocol.
    UpstreamMalformed,
    /// The upstream answered with something other than a stream, such as a login page.
    UpstreamNotStream,
    /// The upstream wanted to redirect a request that contains a key.
    UpstreamRedirect,
    /// A size limit was exceeded.
    TooLarge,
    /// The server stopped in the middle of the reply.
    Interrupted,
    /// The server is shutting down.
    Shutdown,
    /// Refusal: this request is not allowed here.
    NotAllowed,
    /// Refusal: nobody is signed in. Browsers do not need to know the kind, because the sentence is sent with it; so the
    /// page does not grow by it.
    #[cfg(feature = "ssr")]
    NotSignedIn,
    /// Refusal: not found.
    NotFound,
    /// Refusal: the method is not allowed.
    MethodNotAllowed,
    /// Refusal: none of the accepted media types can be produced.
    NotAcceptable,
    /// Refusal: the body is not JSON.
    UnsupportedMediaType,
    /// Refusal: the request names another host.
    WrongHost,
    /// Refusal: the request did not arrive in time.
    RequestTimeout,
    /// Refusal: the client has reached its limit of concurrent work.
    TooMany,
    /// Refusal: the server has reached its limit of concurrent work.
    Busy,
    /// The store could not be read or written.
    NotSaved,
    /// The server itself failed.
    Internal,
    /// Made by the page and never sent: the server could not be reached.
    ServerUnreachable,
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Whether a retry can have another outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Not before a setting or the account is changed.
    Never,
    /// Only if the provider had accepted the request: an immediate rejection would repeat.
    InStream,
    /// Yes.
    Always,
}

/// All that follows from a kind.
struct Facts {
    name: &'static str,
    status: u16,
    retry: Retry,
    sentence: &'static str,
}

const fn facts(name: &'static str, status: u16, retry: Retry, sentence: &'static str) -> Facts {
    Facts {
        name,
        status,
        retry,
        sentence,
    }
}

impl ErrorKind {
    /// The name on the wire and in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.facts().name
    }

    /// The HTTP status of a request that fails for this reason.
    #[must_use]
    pub fn status(self) -> u16 {
        self.facts().status
    }

    /// Whether a retry can help.
    #[must_use]
    pub fn retry(self) -> Retry {
        self.facts().retry
    }

    /// What went wrong and what to do, in one sentence. It names the setting, if a setting can fix the problem.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        self.facts().sentence
    }

    /// The server's sentence, or ours for the kind if the server sent none.
    #[must_use]
    pub fn sentence_or(self, message: &str) -> &str {
        if message.trim().is_empty() {
            self.sentence()
        } else {
            message
        }
    }

    #[rustfmt::skip]
    fn facts(self) -> Facts {
        match self {
            Self::Auth => facts("auth", 502, Retry::Never, "The provider refused this server's key: set a valid OPENAI_API_KEY (or the key of the upstream that was asked) and restart Rill."),
            Self::Quota => facts("quota", 429, Retry::Never, "The provider's account has no credit left: top it up there, or set the key of another account."),
            Self::RateLimited => facts("rate_limited", 429, Retry::Always, "The provider is asked too often at the moment: wait a little, then try again."),
            Self::Overloaded => facts("overloaded", 502, Retry::Always, "The provider is overloaded at the moment: try again shortly."),
            Self::BadRequest => facts("bad_request", 400, Retry::InStream, "The request was refused as invalid: the model may not support one of the settings that were sent."),
            Self::ContextLength => facts("context_length", 400, Retry::InStream, "The conversation is too long for this model: shorten the message or start a new chat."),
            Self::ModelNotFound => facts("model_not_found", 400, Retry::Never, "The provider does not know this model: choose another one, or set --model or RILL_MODEL to one that it offers."),
            Self::UpstreamError => facts("upstream_error", 502, Retry::Always, "The provider failed to answer: try again shortly."),
            Self::UpstreamUnreachable => facts("upstream_unreachable", 502, Retry::Always, "The provider cannot be reached: check its base URL (OPENAI_BASE_URL), and that it is running."),
            Self::UpstreamTimeoutFirstByte => facts("upstream_timeout_first_byte", 504, Retry::Always, "The provider did not begin to answer in time: try again, or raise --first-byte-timeout."),
            Self::UpstreamTimeoutIdle => facts("upstream_timeout_idle", 504, Retry::Always, "The provider fell silent in the middle of the answer: try again."),
            Self::UpstreamTimeoutTotal => facts("upstream_timeout_total", 504, Retry::Always, "The answer took longer than it may: ask for a shorter one, or raise --total-timeout."),
            Self::UpstreamCut => facts("upstream_cut", 502, Retry::Always, "The provider's connection ended before the answer did: try again."),
            Self::UpstreamEmpty => facts("upstream_empty", 502, Retry::Always, "The provider answered with nothing: try again."),
            Self::UpstreamMalformed => facts("upstream_malformed", 502, Retry::Always, "The provider sent something unreadable: try again, and if it stays so, check OPENAI_BASE_URL."),
            Self::UpstreamNotStream => facts("upstream_not_stream", 502, Retry::Always, "What answers at OPENAI_BASE_URL is not a chat API, perhaps a login page: check the address."),
            Self::UpstreamRedirect => facts("upstream_redirect", 502, Retry::InStream, "The provider redirects to another address, where the key must not go: set OPENAI_BASE_URL to the final address."),
            Self::TooLarge => facts("too_large", 413, Retry::Always, "That passed the size limit: shorten the message, ask for less, or start a new chat."),
            Self::Interrupted => facts("interrupted", 502, Retry::Always, "The server stopped in the middle of this answer: try again."),
            Self::Shutdown => facts("shutdown", 503, Retry::Always, "The server is shutting down: try again when it is back."),
            Self::NotAllowed => facts("not_allowed", 403, Retry::Always, "This request is not allowed from here: open the page at the server's own address and try there."),
            #[cfg(feature = "ssr")]
            Self::NotSignedIn => facts("not_signed_in", 401, Retry::Never, "Nobody is signed in here: reload the page to sign in, or send a key of this server."),
            Self::NotFound => facts("not_found", 404, Retry::Always, "There is nothing at this address."),
            Self::MethodNotAllowed => facts("method_not_allowed", 405, Retry::Always, "This address does not take requests of this method."),
            Self::NotAcceptable => facts("not_acceptable", 406, Retry::Always, "The server cannot answer in any of the forms that were asked for."),
            Self::UnsupportedMediaType => facts("unsupported_media_type", 415, Retry::Always, "The request must be JSON, with the content type application/json."),
            Self::WrongHost => facts("wrong_host", 421, Retry::Always, "The server does not answer to this host name: open it as localhost or 127.0.0.1."),
            Self::RequestTimeout => facts("request_timeout", 408, Retry::Always, "The request did not arrive in time: check the connection and try again."),
            Self::TooMany => facts("too_many", 429, Retry::Always, "Too much is going on at once from here: wait until an answer has ended, then try again."),
            Self::Busy => facts("busy", 503, Retry::Always, "The server is busy: try again in a moment."),
            Self::NotSaved => facts("not_saved", 503, Retry::Always, "This could not be saved: copy what you need, and look at the server's log for what is wrong with its database."),
            Self::Internal => facts("internal", 500, Retry::Always, "Something went wrong in the server: its log says what. Try again."),
            Self::ServerUnreachable => facts("server_unreachable", 502, Retry::Always, "The server cannot be reached: check that Rill is running and that you are connected."),
            Self::Unknown => facts("unknown", 502, Retry::Always, "Something went wrong: try again."),
        }
    }
}

/// The sentence for a request that the provider rejected by its content rules, whatever the kind.
pub const FILTERED_REQUEST: &str =
    "The provider's content rules forbid this: word it differently, or choose another model.";

/// The sentence for an image that no browser could show.
pub const NOT_AN_IMAGE_ADDRESS: &str =
    "Only images at addresses that begin with http:// or https:// can be shown.";

/// The sentence for a stream of our own server that could not be parsed.
pub const UNREADABLE_STREAM: &str =
    "The server sent something that this page cannot read: reload the page and try again.";

/// The sentence for a response that is not from our server, such as the page of a proxy.
pub const NOT_THE_SERVER: &str = "Something else than Rill answered, perhaps a proxy or a login page: reload the page and try again.";

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Every kind. The `match` above, not this list, fails to compile when a kind is added.
    const KINDS: &[ErrorKind] = &[
        ErrorKind::Auth,
        ErrorKind::Quota,
        ErrorKind::RateLimited,
        ErrorKind::Overloaded,
        ErrorKind::BadRequest,
        ErrorKind::ContextLength,
        ErrorKind::ModelNotFound,
        ErrorKind::UpstreamError,
        ErrorKind::UpstreamUnreachable,
        ErrorKind::UpstreamTimeoutFirstByte,
        ErrorKind::UpstreamTimeoutIdle,
        ErrorKind::UpstreamTimeoutTotal,
        ErrorKind::UpstreamCut,
        ErrorKind::UpstreamEmpty,
        ErrorKind::UpstreamMalformed,
        ErrorKind::UpstreamNotStream,
        ErrorKind::UpstreamRedirect,
        ErrorKind::TooLarge,
        ErrorKind::Interrupted,
        ErrorKind::Shutdown,
        ErrorKind::NotAllowed,
        #[cfg(feature = "ssr")]
        ErrorKind::NotSignedIn,
        ErrorKind::NotFound,
        ErrorKind::MethodNotAllowed,
        ErrorKind::NotAcceptable,
        ErrorKind::UnsupportedMediaType,
        ErrorKind::WrongHost,
        ErrorKind::RequestTimeout,
        ErrorKind::TooMany,
        ErrorKind::Busy,
        ErrorKind::NotSaved,
        ErrorKind::Internal,
        ErrorKind::ServerUnreachable,
        ErrorKind::Unknown,
    ];

    #[test]
    fn every_kind_has_a_sentence_of_its_own() {
        let mut sentences: Vec<_> = KINDS.iter().map(|kind| kind.sentence()).collect();
        assert!(sentences.iter().all(|sentence| sentence.ends_with('.')));
        sentences.sort_unstable();
        sentences.dedup();
        assert_eq!(sentences.len(), KINDS.len());
    }

    #[test]
    fn an_error_that_a_setting_can_fix_names_the_setting() {
        for (kind, setting) in [
            (ErrorKind::Auth, "OPENAI_API_KEY"),
            (ErrorKind::ModelNotFound, "RILL_MODEL"),
            (ErrorKind::UpstreamUnreachable, "OPENAI_BASE_URL"),
        ] {
            assert!(kind.sentence().contains(setting), "{kind:?}");
        }
    }
}
