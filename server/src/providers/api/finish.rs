//! The finish reasons of all providers in one table.

use app::protocol::Finish;

/// The meaning of a finish reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::providers) enum Meaning {
    /// The answer ended in this way.
    Ended(Finish),
    /// The provider aborted, so the answer is incomplete.
    BrokenOff,
    /// The answer has not ended. Some servers send a word for that too.
    Open,
    /// An unknown word.
    Unknown,
}

use Meaning::{BrokenOff, Open};

const STOP: Meaning = Meaning::Ended(Finish::Stop);
const LENGTH: Meaning = Meaning::Ended(Finish::Length);
const FILTER: Meaning = Meaning::Ended(Finish::ContentFilter);
const REFUSAL: Meaning = Meaning::Ended(Finish::Refusal);
const TOOLS: Meaning = Meaning::Ended(Finish::ToolCalls);

/// The words in lower case without separators, with their documentation.
const WORDS: &[(&str, Meaning)] = &[
    // OpenAI, Chat Completions: finish_reason, and Responses: status and incomplete_details.reason.
    // https://platform.openai.com/docs/api-reference/chat/object
    // https://platform.openai.com/docs/api-reference/responses/object
    ("stop", STOP),
    ("length", LENGTH),
    ("contentfilter", FILTER),
    ("toolcalls", TOOLS),
    ("functioncall", TOOLS),
    ("completed", STOP),
    ("incomplete", LENGTH),
    ("maxoutputtokens", LENGTH),
    ("failed", BrokenOff),
    ("cancelled", BrokenOff),
    ("inprogress", Open),
    ("queued", Open),
    // Anthropic, Messages: stop_reason. https://docs.claude.com/en/api/handling-stop-reasons
    ("endturn", STOP),
    ("stopsequence", STOP),
    ("pauseturn", STOP),
    ("maxtokens", LENGTH),
    ("modelcontextwindowexceeded", LENGTH),
    ("tooluse", TOOLS),
    ("refusal", REFUSAL),
    // Google, Gemini and Vertex AI: Candidate.FinishReason.
    // https://ai.google.dev/api/generate-content#FinishReason
    ("unspecified", Open),
    ("safety", FILTER),
    ("recitation", FILTER),
    ("language", FILTER),
    ("blocklist", FILTER),
    ("prohibitedcontent", FILTER),
    ("spii", FILTER),
    ("modelarmor", FILTER),
    ("imagesafety", FILTER),
    ("imageprohibitedcontent", FILTER),
    ("imagerecitation", FILTER),
    ("other", BrokenOff),
    ("imageother", BrokenOff),
    ("noimage", BrokenOff),
    ("malformedfunctioncall", BrokenOff),
    ("malformedresponse", BrokenOff),
    ("unexpectedtoolcall", BrokenOff),
    ("toomanytoolcalls", BrokenOff),
    ("missingthoughtsignature", BrokenOff),
    // Mistral: FinishReason. https://docs.mistral.ai/api
    ("modellength", LENGTH),
    ("error", BrokenOff),
    // DeepSeek. https://api-docs.deepseek.com/api/create-chat-completion
    ("insufficientsystemresource", BrokenOff),
    // Zhipu, Z.ai. https://docs.z.ai/api-reference/llm/chat-completion
    ("sensitive", FILTER),
    ("networkerror", BrokenOff),
    // Alibaba, DashScope writes "null" while the answer is being made.
    // https://help.aliyun.com/en/model-studio/qwen-api-reference
    ("null", Open),
    ("none", Open),
    // Baidu, Qianfan. https://cloud.baidu.com/doc/qianfan-api/s/3m7of64lb
    ("normal", STOP),
    // Cohere, v1 and v2. https://docs.cohere.com/reference/chat
    ("complete", STOP),
    ("toolcall", TOOLS),
    ("errortoxic", FILTER),
    ("errorlimit", LENGTH),
    ("usercancel", BrokenOff),
    ("timeout", BrokenOff),
    // Amazon Bedrock: Converse, and Titan's completionReason.
    // https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
    ("guardrailintervened", FILTER),
    ("contentfiltered", FILTER),
    ("malformedmodeloutput", BrokenOff),
    ("malformedtooluse", BrokenOff),
    ("finish", STOP),
    // OpenRouter, Responses (beta): the event response.done.
    // https://openrouter.ai/docs/api-reference/responses-api-beta/overview
    ("done", STOP),
    // IBM watsonx: stop_reason. https://cloud.ibm.com/apidocs/watsonx-ai
    ("notfinished", Open),
    ("eostoken", STOP),
    ("tokenlimit", LENGTH),
    ("timelimit", BrokenOff),
    // vLLM: FinishReason. https://github.com/vllm-project/vllm/blob/main/vllm/v1/engine/__init__.py
    ("abort", BrokenOff),
    ("repetition", BrokenOff),
    // Hugging Face TGI: FinishReason.
    // https://github.com/huggingface/text-generation-inference/blob/main/router/src/lib.rs
    ("endofsequencetoken", STOP),
    // Ollama: done_reason. https://github.com/ollama/ollama/blob/main/llm/server.go
    ("load", Open),
    ("unload", BrokenOff),
    ("connectionclosed", BrokenOff),
    // llama.cpp: stop_type. https://github.com/ggml-org/llama.cpp/tree/master/tools/server
    ("eos", STOP),
    ("word", STOP),
    ("limit", LENGTH),
    // LM Studio: stopReason. https://lmstudio.ai/docs/typescript/api-reference/llm-prediction-stats
    ("eosfound", STOP),
    ("stopstringfound", STOP),
    ("maxpredictedtokensreached", LENGTH),
    ("contextlengthreached", LENGTH),
    ("userstopped", BrokenOff),
    ("modelunloaded", BrokenOff),
];

/// Parts of words of other servers. The first match counts.
const FRAGMENTS: &[(&str, Meaning)] = &[
    ("toolcall", TOOLS),
    ("tooluse", TOOLS),
    ("functioncall", TOOLS),
    ("refus", REFUSAL),
    ("filter", FILTER),
    ("safety", FILTER),
    ("unsafe", FILTER),
    ("moderat", FILTER),
    ("prohibit", FILTER),
    ("block", FILTER),
    ("policy", FILTER),
    ("sensitive", FILTER),
    ("guardrail", FILTER),
    ("recitation", FILTER),
    ("toxic", FILTER),
    ("harm", FILTER),
    ("inspection", FILTER),
    ("incomplete", LENGTH),
    ("error", BrokenOff),
    ("fail", BrokenOff),
    ("abort", BrokenOff),
    ("cancel", BrokenOff),
    ("timeout", BrokenOff),
    ("timedout", BrokenOff),
    ("interrupt", BrokenOff),
    ("disconnect", BrokenOff),
    ("crash", BrokenOff),
    ("overload", BrokenOff),
    ("unavailable", BrokenOff),
    ("malformed", BrokenOff),
    ("insufficient", BrokenOff),
    ("evict", BrokenOff),
    ("preempt", BrokenOff),
    ("stop", STOP),
    ("eos", STOP),
    ("endof", STOP),
    ("complete", STOP),
    ("length", LENGTH),
    ("maxtoken", LENGTH),
    ("maxnewtoken", LENGTH),
    ("limit", LENGTH),
    ("truncat", LENGTH),
    ("exceed", LENGTH),
    ("budget", LENGTH),
];

/// The most letters of a word that are compared.
const MOST_LETTERS: usize = 64;

/// The meaning of a word, in any case and with any separators: `MAX_TOKENS`, `maxTokens`,
/// `FinishReason.MAX_TOKENS`.
pub(in crate::providers) fn meaning(word: &str) -> Meaning {
    let mut letters = [0_u8; MOST_LETTERS];
    let mut length = 0;
    let plain = word.bytes().filter(u8::is_ascii_alphanumeric);
    for (letter, byte) in letters.iter_mut().zip(plain) {
        *letter = byte.to_ascii_lowercase();
        length += 1;
    }
    let word = std::str::from_utf8(&letters[..length]).expect("ASCII letters");
    let word = ["finishreason", "stopreason", "donereason"]
        .iter()
        .find_map(|prefix| word.strip_prefix(prefix))
        .unwrap_or(word);
    if word.is_empty() {
        return Open;
    }
    let exact = WORDS.iter().find(|(known, _)| *known == word);
    exact
        .or_else(|| FRAGMENTS.iter().find(|(part, _)| word.contains(part)))
        .map_or(Meaning::Unknown, |(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of providers, and what they mean.
    const KNOWN: &[(&[&str], Meaning)] = &[
        (
            &[
                "stop", "STOP", "end_turn", "COMPLETE", "eos", "FINISH", "normal",
            ],
            STOP,
        ),
        (
            &[
                "EndTurn",
                "stop_sequence",
                "eos_token",
                "<|eos|>",
                "stop_token",
            ],
            STOP,
        ),
        (
            &[
                "length",
                "LENGTH",
                "MAX_TOKENS",
                "maxTokens",
                "max-tokens",
                "FinishReason.MAX_TOKENS",
                "FINISH_REASON_MAX_TOKENS",
                "model_length",
                "max_output_tokens",
                "token_limit",
                "max_new_tokens",
                "context_length_exceeded",
                "ERROR_LIMIT",
            ],
            LENGTH,
        ),
        (
            &[
                "content_filter",
                "SAFETY",
                "RECITATION",
                "PROHIBITED_CONTENT",
                "BLOCKLIST",
                "SPII",
                "sensitive",
                "guardrail_intervened",
                "ERROR_TOXIC",
                "content-policy-violation",
                "IMAGE_SAFETY",
            ],
            FILTER,
        ),
        (
            &[
                "insufficient_system_resource",
                "network_error",
                "abort",
                "error",
                "cancelled",
                "canceled",
                "TIMEOUT",
                "MALFORMED_FUNCTION_CALL",
                "OTHER",
                "server_error",
                "engine_crashed",
            ],
            BrokenOff,
        ),
        (&["refusal", "REFUSED"], REFUSAL),
        (
            &[
                "tool_calls",
                "tool_use",
                "TOOL_CALL",
                "function_call",
                "toolUse",
            ],
            TOOLS,
        ),
        (
            &[
                "",
                " ",
                "null",
                "None",
                "not_finished",
                "FINISH_REASON_UNSPECIFIED",
            ],
            Open,
        ),
    ];

    #[test]
    fn words_are_known_in_any_case_and_spelling() {
        let check = |words: &[&str], expect| {
            for word in words {
                assert_eq!(meaning(word), expect, "{word}");
            }
        };
        for (words, expect) in KNOWN {
            check(words, *expect);
        }
        check(&["brand_new", "xyzzy", &"x".repeat(1000)], Meaning::Unknown);
    }

    #[test]
    fn no_word_is_in_the_table_twice_or_in_another_form() {
        for (at, (word, _)) in WORDS.iter().enumerate() {
            let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            assert!(word.bytes().all(is_plain), "{word}");
            assert!(WORDS[..at].iter().all(|(other, _)| other != word), "{word}");
        }
    }
}
