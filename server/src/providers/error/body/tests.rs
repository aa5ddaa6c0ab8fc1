use super::*;
use crate::providers::error::in_answer::error_in_raw_text;
use serde_json::json;

use ErrorKind::{
    Auth, BadRequest, ContextLength, ModelNotFound, Overloaded, Quota, RateLimited, TooLarge,
    UpstreamError,
};

/// Errors in the bodies of refused requests, with their status.
const WITH_A_STATUS: &[(u16, &str, ErrorKind)] = &[
    (401, r#"{"error":{"code":"invalid_api_key"}}"#, Auth),
    (403, r#"{"error":{"type":"request_forbidden"}}"#, Auth),
    (
        402,
        r#"{"error":{"code":402,"message":"Insufficient credits"}}"#,
        Quota,
    ),
    (429, r#"{"error":{"code":"insufficient_quota"}}"#, Quota),
    (
        429,
        r#"{"error":{"code":"rate_limit_exceeded"}}"#,
        RateLimited,
    ),
    (429, r#"{}"#, RateLimited),
    (
        404,
        r#"{"error":{"code":"model_not_found"}}"#,
        ModelNotFound,
    ),
    (
        404,
        r#"{"error":{"message":"model 'x' not found, try pulling it first"}}"#,
        ModelNotFound,
    ),
    (404, r#"{"detail":"Not ErrorSearch"}"#, BadRequest),
    (
        400,
        r#"{"error":{"code":"context_length_exceeded"}}"#,
        ContextLength,
    ),
    (
        400,
        r#"{"error":{"message":"This model's maximum context length is 9"}}"#,
        ContextLength,
    ),
    (
        400,
        r#"{"object":"error","message":"maximum context length is 9","code":400}"#,
        ContextLength,
    ),
    (
        400,
        r#"{"error":{"code":"unsupported_parameter"}}"#,
        BadRequest,
    ),
    (500, r#"{"error":{"type":"server_error"}}"#, UpstreamError),
    (503, r#"{"error":{"message":"Loading model"}}"#, Overloaded),
    (529, r#"{"error":{"type":"overloaded_error"}}"#, Overloaded),
    (
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API"}}"#,
        Quota,
    ),
    (
        400,
        r#"{"error":{"type":"invalid_request_error","message":"input length and `max_tokens` exceed context limit: 1 + 2 > 2"}}"#,
        ContextLength,
    ),
    (
        404,
        r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-x"}}"#,
        ModelNotFound,
    ),
    (403, r#"{"error":{"type":"permission_error"}}"#, Auth),
    (413, r#"{"error":{"type":"request_too_large"}}"#, TooLarge),
];

/// Errors in a stream, where there is no status, though some servers write one into the code.
const IN_A_STREAM: &[(u16, &str, ErrorKind)] = &[
    (
        0,
        r#"{"error":{"code":429,"message":"slow down"}}"#,
        RateLimited,
    ),
    (
        0,
        r#"{"error":{"code":502,"message":"bad gateway"}}"#,
        UpstreamError,
    ),
    (
        0,
        r#"{"error":"an error was encountered while running the model"}"#,
        UpstreamError,
    ),
    (
        0,
        r#"{"message":"boom","code":"rate_limit_exceeded"}"#,
        RateLimited,
    ),
    (
        0,
        r#"{"error":{"message":"Context length exceeded","code":"CONTEXT_LENGTH_EXCEEDED"}}"#,
        ContextLength,
    ),
];

#[test]
fn errors_of_providers_are_told_apart() {
    for (status, body, expect) in WITH_A_STATUS.iter().chain(IN_A_STREAM) {
        let value: Value = serde_json::from_str(body).expect("JSON");
        let error = ProviderError::from_json(&value).unwrap_or_default();
        let status = Some(*status).filter(|status| *status > 0);
        assert_eq!(error.classify(status), *expect, "{status:?} {body}");
    }
}

/// The conversation is too long for the model.
const TOO_LONG: &[&str] = &[
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 8545 tokens.",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens.",
    "prompt is too long: 213462 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
    "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    "Invalid request: Your request exceeded model token limit: 262144 (requested: 291351)",
    "Input token length too long",
    "Range of input length should be [1, 129024]",
    "`inputs` must have less than 1024 tokens. Given: 2000",
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
    "the request exceeds the available context size, try increasing it",
    "Requested tokens (5000) exceed context window of 2048",
    "prompt too long; exceeded max context length by 123 tokens",
    "The number of tokens to keep from the initial prompt is greater than the context length",
    "Trying to keep the first 5000 tokens when context the overflows.",
    "This endpoint's maximum context length is 32768 tokens. However, you requested about 40000 tokens",
    "Input is too long for requested model.",
    "Too many input tokens. Max input tokens: 300000, request input token count: 400000",
    "too many tokens: total number of tokens (prompt and prediction) cannot exceed 4081 - received 5000.",
    "Please reduce the length of the messages or completion.",
    "prompt token count of 70000 exceeds the limit of 64000",
    "invalid params, context window exceeds limit (2013)",
    "Prompt 超长",
    "Prompt length 5000 is greater than max_seq_len 4096",
    "The total length of all messages is too long",
];

/// The account has no money left.
const NO_MONEY: &[&str] = &[
    "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
    "You have reached your specified API usage limits. You will regain access on 2026-01-01.",
    "Insufficient Balance",
    "Insufficient credits. Add more using the settings page",
    "This request requires more credits, or fewer max_tokens. You requested up to 64000 tokens, but can only afford 100.",
    "You have exceeded your monthly included credits for Inference Providers.",
    "Access denied, please make sure your account is in good standing.",
    "The free tier of the model has been exhausted.",
    "Your account is not active, please check your billing details on our website.",
    "Billing hard limit has been reached",
    "您的账户已欠费，请充值后重试",
    "用户额度不足, 剩余额度: $0.00",
    "Budget has been exceeded! Current cost: 10.0, Max budget: 5.0",
    "Your newly created team doesn't have any credits yet.",
    "402 Payment Required",
    "litellm.RateLimitError: RateLimitError: OpenAIException - You exceeded your current quota, please check your plan and billing details.",
];

/// Requests come too fast.
const TOO_FAST: &[&str] = &[
    "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29000. Visit the billing page to add a payment method.",
    "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day",
    "Too many requests",
    "You exceeded your current quota, please check your plan and billing details. Please retry in 36.5s.",
    "Too many tokens, please wait before trying again.",
    "Requests rate limit exceeded, please try again later",
    "Resource exhausted. Please try again later.",
    "request reached organization max RPM: 3, please try again after 1 seconds",
    "您当前使用该API的频率过高，请降低频率",
];

/// The provider has too much to do.
const TOO_BUSY: &[&str] = &[
    "The engine is currently overloaded, please try again later",
    "The model is overloaded. Please try again later.",
    "Model too busy, unable to get response in less than 60 second(s)",
    "no healthy upstream",
    "该模型当前访问量过大，请您稍后再试",
];

/// The model does not exist.
const NO_SUCH_MODEL: &[&str] = &[
    "The model `x` does not exist or you do not have access to it.",
    "model 'x' not found, try pulling it first",
    "Model Not Exist",
    "Not found the model x or Permission denied",
    "models/x is not found for API version v1beta, or is not supported for generateContent.",
    "x/y is not a valid model ID",
    "No endpoints found for x/y.",
    "The provided model identifier is invalid.",
    "The model `x` has been decommissioned and is no longer supported.",
    "模型不存在，请检查模型代码",
];

/// The key is missing or wrong.
const WRONG_KEY: &[&str] = &[
    "Incorrect API key provided: xa***. You can obtain an API key from the console.",
    "API key not valid. Please pass a valid API key.",
    "invalid x-api-key",
    "Authentication Fails, Your api key: ****f is invalid",
    "No auth credentials found",
    "Unauthorized",
    "invalid access token or token expired",
    "Access token invalid or no longer valid",
    "The security token included in the request is invalid.",
    "login fail: Please carry the API secret key in the 'Authorization' field of the request header",
    "无效的令牌",
];

/// Messages about something else. The status decides.
const BY_STATUS: &[(u16, ErrorKind, &str)] = &[
    (
        400,
        BadRequest,
        "Unsupported value: 'temperature' does not support 0.5 with this model.",
    ),
    (
        400,
        BadRequest,
        "max_tokens is too large: 9000. This model supports at most 4096 completion tokens",
    ),
    (
        400,
        BadRequest,
        "Invalid 'tools[0].name': string does not match pattern",
    ),
    (500, UpstreamError, "CUDA out of memory"),
    (404, BadRequest, "Not ErrorSearch"),
];

#[test]
fn what_providers_say_is_understood_whatever_status_it_has() {
    let check = |kind: ErrorKind, message: &str| {
        for body in [
            json!({"error": {"message": message, "type": "invalid_request_error", "code": null}}),
            json!({"error": message}),
            json!({"detail": message}),
            json!({"detail": [{"loc": ["body"], "msg": message, "input": "billing"}]}),
            json!({"message": [{"text": "x", "message": message}]}),
            json!({"error": {"metadata": {"raw": json!({"message": message}).to_string()}}}),
            json!([{"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}]),
            json!({"code": "E", "msg": message, "data": null}),
        ] {
            let error = ProviderError::from_json(&body).expect("an error");
            for status in [400, 403, 422, 500] {
                assert_eq!(error.classify(Some(status)), kind, "{status} {body}");
            }
        }
        let html = format!("<html><head><title>Error</title></head><body>{message}</body></html>");
        for text in [message, html.as_str()] {
            let error = ProviderError::from_body(text.as_bytes()).expect("an error");
            assert_eq!(error.classify(Some(500)), kind, "{text}");
        }
    };
    for (kind, messages) in [
        (ContextLength, TOO_LONG),
        (Quota, NO_MONEY),
        (RateLimited, TOO_FAST),
        (Overloaded, TOO_BUSY),
        (ModelNotFound, NO_SUCH_MODEL),
        (Auth, WRONG_KEY),
    ] {
        for message in messages {
            check(kind, message);
        }
    }
    check(TooLarge, "413 Request Entity Too Large");
    for (status, kind, message) in BY_STATUS {
        let error = ProviderError::from_json(&json!({"error": message})).expect("an error");
        assert_eq!(error.classify(Some(*status)), *kind, "{message}");
    }
}

#[test]
fn what_a_provider_repeats_of_the_question_is_not_its_reason() {
    let echo = json!({"detail": [{"loc": ["body", "messages"], "msg": "field required",
        "input": [{"role": "user", "content": "My credit balance and rate limit"}]}]});
    let error = ProviderError::from_json(&echo).expect("an error");
    assert_eq!(error.classify(Some(422)), ErrorKind::BadRequest);
    let failed =
        json!({"error": {"message": "x"}, "output": [{"content": [{"text": "rate limit"}]}]});
    let error = ProviderError::from_json(&failed).expect("an error");
    assert_eq!(error.classify(None), ErrorKind::UpstreamError);
}

#[test]
fn only_a_plain_code_reaches_the_log() {
    let code = |body: serde_json::Value| {
        ProviderError::from_json(&body)
            .expect("an error")
            .code()
            .to_owned()
    };
    assert_eq!(
        code(json!({"error":{"code":"rate_limit_exceeded"}})),
        "rate_limit_exceeded"
    );
    assert_eq!(code(json!({"error":{"code":"see https://evil.test"}})), "");
    assert_eq!(code(json!({"error":{"code":"sk-proj-abcd"}})), "");
    assert_eq!(code(json!({"error":{"code":"sk_live_1"}})), "");
}

#[test]
fn an_error_line_that_is_no_event_is_read() {
    let check = |text: &str, expect| {
        let kind = error_in_raw_text(text.as_bytes()).map(|error| error.classify(None));
        assert_eq!(kind, expect, "{text}");
    };
    let long = r#"error: {"code":400,"message":"the request exceeds the available context size"}"#;
    check(long, Some(ErrorKind::ContextLength));
    check(
        r#"{"error":{"code":429,"message":"x"}}"#,
        Some(ErrorKind::RateLimited),
    );
    check("<html>an error {} page</html>", None);
    check("error: {", None);
    check("", None);
}
