//! The fields of a request that make providers use their prompt caches.
//!
//! A provider caches the beginning of a prompt and charges less where a later request begins with the same
//! bytes. Anthropic's API caches up to the blocks with `cache_control`. OpenAI's API caches by itself, and
//! finds its cache more often if the requests of a conversation have the same `prompt_cache_key`. Other servers
//! may refuse either field, so each is sent only to servers that are known to accept it, unless the
//! configuration says otherwise.
//!
//! Sources: <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>,
//! <https://platform.openai.com/docs/guides/prompt-caching>,
//! <https://docs.mistral.ai/inference/conversations/advanced/prompt-caching>,
//! <https://openrouter.ai/docs/guides/best-practices/prompt-caching>.

use app::protocol::{ChatMessage, Role};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::providers::api::Api;
use crate::providers::quirks::{Optional, Quirks};
use crate::providers::settings::UpstreamSettings;

/// The smallest prompt that is marked, in bytes. No model caches fewer than 512 tokens, and a token has at
/// least one byte.
const LEAST_BYTES: usize = 512;

/// How long a provider should cache the beginning of a prompt, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Cache {
    /// Five minutes after the last use.
    #[serde(rename = "5m")]
    FiveMinutes,
    /// An hour. Writing costs more.
    #[serde(rename = "1h")]
    Hour,
    /// No caching.
    #[serde(rename = "off")]
    Off,
}

/// Whether the messages of a request will be sent again with further messages.
#[derive(Debug, Clone)]
pub(crate) enum Reuse {
    /// Never: the request is sent once, and a cache would only cost.
    Never,
    /// Probably: the client keeps the conversation.
    Probable,
    /// Yes, in the conversation with this key.
    Conversation(String),
}

impl Reuse {
    /// For the requests of a conversation. Providers get a hash of the id, because whoever knows the id may
    /// read the conversation.
    pub(crate) fn of_conversation(id: &str) -> Self {
        let hash = Sha256::new()
            .chain_update(b"rill conversation ")
            .chain_update(id)
            .finalize();
        // OpenAI allows 64 characters. 128 bits are enough to distinguish conversations.
        Self::Conversation(
            hash.iter()
                .take(16)
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }
}

/// The caching fields of one request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Caching<'a> {
    /// The lifetime of marked prefixes. `None` if nothing is marked.
    pub(super) marks: Option<Lifetime>,
    /// The `prompt_cache_key`.
    pub(super) key: Option<&'a str>,
}

/// The lifetime of a marked prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    FiveMinutes,
    Hour,
}

impl<'a> Caching<'a> {
    /// The caching fields for a request to this upstream and model.
    pub(super) fn new(settings: &UpstreamSettings, model: &str, reuse: &'a Reuse) -> Self {
        let key = match reuse {
            Reuse::Never => return Self::default(),
            Reuse::Probable => None,
            Reuse::Conversation(key) => Some(key.as_str()),
        };
        let lifetime = match settings.cache {
            Some(Cache::Off) => return Self::default(),
            Some(Cache::Hour) => Lifetime::Hour,
            Some(Cache::FiveMinutes) | None => Lifetime::FiveMinutes,
        };
        let host = settings.base_url.host_str().unwrap_or_default();
        let is_claude_elsewhere = host == "openrouter.ai" && model.starts_with("anthropic/");
        let (takes_marks, takes_key) = match settings.api {
            Api::Messages => (true, false),
            Api::ChatCompletions if is_claude_elsewhere => (true, false),
            Api::ChatCompletions | Api::Responses => {
                (false, settings.cache.is_some() || takes_key(host))
            }
        };
        Self {
            marks: takes_marks.then_some(lifetime),
            key: key.filter(|_| takes_key),
        }
    }

    /// The key to send, unless the server refuses it.
    pub(super) fn key(self, quirks: Quirks) -> Option<&'a str> {
        self.key.filter(|_| quirks.sends(Optional::CacheKey))
    }

    /// The lifetime of the marks in a prompt of this many bytes. `None` for no marks.
    fn marks(self, bytes: usize, quirks: Quirks) -> Option<Lifetime> {
        match self.marks? {
            _ if bytes < LEAST_BYTES || !quirks.sends(Optional::CacheMarks) => None,
            Lifetime::Hour if !quirks.sends(Optional::CacheLifetime) => Some(Lifetime::FiveMinutes),
            lifetime => Some(lifetime),
        }
    }
}

/// Whether the API of this host documents `prompt_cache_key`.
fn takes_key(host: &str) -> bool {
    host == "api.openai.com" || host.ends_with(".api.openai.com") || host == "api.mistral.ai"
}

/// A message in an API with cache marks.
#[derive(Serialize)]
pub(super) struct CachedMessage<'a> {
    pub(super) role: Role,
    pub(super) content: CachedContent<'a>,
}

/// The content of a message: a text, or blocks, which can be marked. A text and a single block with that text
/// mean the same.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum CachedContent<'a> {
    Text(&'a str),
    Blocks([CachedBlock<'a>; 1]),
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "text")]
pub(super) struct CachedBlock<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "ephemeral")]
struct CacheControl {
    // The default lifetime is omitted, because some servers know no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

impl<'a> CachedContent<'a> {
    fn block(text: &'a str, mark: Option<Lifetime>) -> Self {
        let cache_control = mark.map(|lifetime| CacheControl {
            ttl: (lifetime == Lifetime::Hour).then_some("1h"),
        });
        Self::Blocks([CachedBlock {
            text,
            cache_control,
        }])
    }
}

/// Adds the marks to a prompt: to the instructions and to the messages.
///
/// The instructions are marked because other conversations begin with them too; the last message because the
/// next request begins with everything up to it; and the message before it because an edited question begins
/// with everything up to that. The API allows four marks. It finds a cache up to 20 blocks before a mark, so
/// that a turn, which adds two blocks, always finds that of the turn before. In a prompt with marks each
/// message is a block, so that it has the same bytes in the next request, where it has no mark.
pub(super) fn mark<'a>(
    instructions: Option<&'a str>,
    messages: &[&'a ChatMessage],
    caching: Caching<'_>,
    quirks: Quirks,
) -> (Option<CachedContent<'a>>, Vec<CachedMessage<'a>>) {
    let texts = messages.iter().map(|message| message.content.len());
    let bytes = instructions.map_or(0, str::len) + texts.sum::<usize>();
    let marks = caching.marks(bytes, quirks);
    let first_marked = messages.len().saturating_sub(2);
    let content = |at: usize, message: &&'a ChatMessage| match marks {
        None => CachedContent::Text(&message.content),
        Some(lifetime) => {
            let is_marked = at >= first_marked || message.role == Role::System;
            // An empty block must not be marked.
            let is_marked = is_marked && !message.content.trim().is_empty();
            CachedContent::block(&message.content, is_marked.then_some(lifetime))
        }
    };
    let instructions = instructions.map(|text| match marks {
        Some(lifetime) if !text.trim().is_empty() => CachedContent::block(text, Some(lifetime)),
        _ => CachedContent::Text(text),
    });
    let messages = messages
        .iter()
        .enumerate()
        .map(|(at, message)| CachedMessage {
            role: message.role,
            content: content(at, message),
        });
    (instructions, messages.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(api: Api, base_url: &str, cache: Option<Cache>) -> UpstreamSettings {
        UpstreamSettings {
            cache,
            ..UpstreamSettings::new("x", api, base_url.parse().expect("a URL"))
        }
    }

    #[test]
    fn each_provider_is_asked_in_its_own_way_and_others_not_at_all() {
        const MARKS: (bool, bool) = (true, false);
        const KEY: (bool, bool) = (false, true);
        const NOTHING: (bool, bool) = (false, false);
        let conversation = Reuse::of_conversation("c");
        let check = |api, base_url: &str, cache, model: &str, expect: (bool, bool)| {
            let settings = settings(api, base_url, cache);
            let caching = Caching::new(&settings, model, &conversation);
            let got = (caching.marks.is_some(), caching.key.is_some());
            assert_eq!(got, expect, "{base_url} {cache:?} {model}");
            let never = Caching::new(&settings, model, &Reuse::Never);
            assert!(never.marks.is_none() && never.key.is_none());
            let probable = Caching::new(&settings, model, &Reuse::Probable);
            assert_eq!((probable.marks.is_some(), probable.key), (expect.0, None));
        };
        use Api::{ChatCompletions, Messages, Responses};
        let openai = "https://api.openai.com/v1";
        check(ChatCompletions, openai, None, "gpt-5", KEY);
        check(Responses, openai, None, "gpt-5", KEY);
        check(
            Responses,
            "https://eu.api.openai.com/v1",
            None,
            "gpt-5",
            KEY,
        );
        check(ChatCompletions, "https://api.mistral.ai/v1", None, "m", KEY);
        check(Responses, openai, Some(Cache::Off), "gpt-5", NOTHING);
        let claude = "https://api.anthropic.com";
        check(Messages, claude, None, "claude", MARKS);
        check(Messages, claude, Some(Cache::Hour), "claude", MARKS);
        check(Messages, claude, Some(Cache::Off), "claude", NOTHING);
        check(Messages, "http://127.0.0.1:1", None, "claude", MARKS);
        let router = "https://openrouter.ai/api/v1";
        check(ChatCompletions, router, None, "anthropic/claude", MARKS);
        check(ChatCompletions, router, None, "openai/gpt-5", NOTHING);
        check(Responses, router, None, "anthropic/claude", NOTHING);
        // Public reports tell of each of these that it refuses the key.
        for other in [
            "https://x.openai.azure.com/openai/v1",
            "https://generativelanguage.googleapis.com/v1beta/openai",
            "https://api.groq.com/openai/v1",
            "http://127.0.0.1:8080/v1",
            "https://openai.com.example",
        ] {
            check(ChatCompletions, other, None, "m", NOTHING);
            check(ChatCompletions, other, Some(Cache::FiveMinutes), "m", KEY);
        }
    }

    #[test]
    fn instructions_that_are_a_message_are_marked_too() {
        let say = |role, length| ChatMessage {
            role,
            content: "x".repeat(length),
        };
        use Role::{Assistant, System, User};
        let messages = [
            say(System, 300),
            say(User, 300),
            say(Assistant, 300),
            say(User, 3),
        ];
        let messages: Vec<&ChatMessage> = messages.iter().collect();
        let caching = Caching {
            marks: Some(Lifetime::FiveMinutes),
            key: None,
        };
        let marked = |messages: &[&ChatMessage], quirks| {
            let (_, messages) = mark(None, messages, caching, quirks);
            let json = serde_json::to_value(messages).expect("JSON");
            let contents = json.as_array().expect("a list").iter();
            let marks = contents.map(|one| one["content"][0].get("cache_control").is_some());
            marks.collect::<Vec<_>>()
        };
        let usual = Quirks::default();
        assert_eq!(marked(&messages, usual), [true, false, true, true]);
        assert_eq!(marked(&messages[..2], usual), [true, true]);
        // Too short for any cache.
        assert_eq!(marked(&messages[3..], usual), [false]);
        let without = usual.without(Optional::CacheMarks);
        assert_eq!(marked(&messages, without), [false; 4]);
    }

    #[test]
    fn a_key_tells_conversations_apart_and_nothing_else() {
        let key = |id: &str| match Reuse::of_conversation(id) {
            Reuse::Conversation(key) => key,
            other => panic!("{other:?}"),
        };
        let id = "0190b7d2-7f6c-7e7a-8000-000000000001";
        let got = key(id);
        assert_eq!(got, key(id));
        assert_ne!(got, key("0190b7d2-7f6c-7e7a-8000-000000000002"));
        assert!(got.len() == 32 && got.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(!got.contains("0190b7d2") && !got.contains("7f6c"));
    }
}
