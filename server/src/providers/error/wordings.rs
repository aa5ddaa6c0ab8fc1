//! The wordings of providers' errors: what a failure is about, with any status and in any format.
//!
//! The first matching row counts, so special rows precede general ones. Wordings are in lower case. ` & ` joins
//! parts that must all match. Each group names where its wordings are documented or reported.

/// The subject of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::providers) enum About {
    /// The conversation is too long for the model.
    ContextLength,
    /// The provider's rules forbid the question or the answer.
    Filter,
    /// The account has no money, or may not spend any.
    Quota,
    /// The provider is overloaded.
    Overloaded,
    /// Requests come too fast.
    RateLimited,
    /// The model does not exist or may not be used.
    Model,
    /// The key is missing, wrong or not permitted.
    Auth,
    /// The request has too many bytes.
    TooLarge,
}

use About::{Auth, ContextLength, Filter, Model, Overloaded, Quota, RateLimited, TooLarge};

/// The place of a wording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::providers) enum In {
    /// In a code, reduced to letters and digits.
    Code(&'static str),
    /// In a message.
    Words(&'static str),
}

use In::{Code, Words};

/// All wordings in the order in which they are tried.
pub(in crate::providers) const TABLE: &[(About, In)] = &[
    // --- Too long for the model ---------------------------------------------------------------------
    // OpenAI: https://platform.openai.com/docs/guides/error-codes ; "context_length_exceeded", "This
    // model's maximum context length is …", "Your input exceeds the context window of this model",
    // "Input tokens exceed the configured limit of 272000 tokens".
    (ContextLength, Code("contextlength")),
    (ContextLength, Code("contextwindowexceeded")),
    (ContextLength, Words("maximum context")),
    (ContextLength, Words("context length")),
    (ContextLength, Words("context window")),
    (ContextLength, Words("input tokens exceed")),
    // Anthropic: https://docs.claude.com/en/api/errors ; "prompt is too long: 210000 tokens > 200000
    // maximum", "input length and `max_tokens` exceed context limit".
    (ContextLength, Words("prompt is too long")),
    (ContextLength, Words("context limit")),
    // Gemini: "The input token count (1196265) exceeds the maximum number of tokens allowed".
    (ContextLength, Words("token count & exceeds")),
    // xAI: "This model's maximum prompt length is 131072 but the request contains …" (cline#3120).
    (ContextLength, Words("maximum prompt length")),
    // Mistral: "Prompt contains 40000 tokens …, too large for model with 32768 maximum context length"
    // (litellm#21647).
    (ContextLength, Words("prompt contains & too large")),
    // Moonshot: https://platform.kimi.com/docs/api/errors ; "Input token length too long", "Your
    // request exceeded model token limit : 262144".
    (ContextLength, Words("token length too long")),
    (ContextLength, Words("model token limit")),
    // Qwen, DashScope: https://help.aliyun.com/en/model-studio/error-code ; "Range of input length
    // should be [1, 30720]".
    (ContextLength, Words("range of input length")),
    // TGI, Together: "`inputs` tokens + `max_new_tokens` must be <= 4096", "`inputs` must have less
    // than 1024 tokens" (text-generation-inference, router/src/validation.rs).
    (ContextLength, Words("`inputs` tokens")),
    (ContextLength, Words("`inputs` must have less than")),
    // vLLM: "This model's maximum context length is …", "The decoder prompt (length 5000) is longer
    // than the maximum model length of 4096".
    (ContextLength, Words("maximum model length")),
    (ContextLength, Words("max_model_len")),
    // SGLang: "The input (9000 tokens) is longer than the model's context length".
    // llama.cpp: tools/server/server.cpp ; "the request exceeds the available context size",
    // exceed_context_size_error ; "input is too large to process".
    (ContextLength, Code("exceedcontextsize")),
    (ContextLength, Words("context size")),
    (ContextLength, Words("input is too large to process")),
    // llama-cpp-python: "Requested tokens (5000) exceed context window of 2048".
    // Ollama: "prompt too long; exceeded max context length", "the input length exceeds …".
    (ContextLength, Words("prompt too long")),
    (ContextLength, Words("max context")),
    (ContextLength, Words("input length exceed")),
    (ContextLength, Words("input length & exceeds")),
    // LM Studio: "Trying to keep the first 5000 tokens when context the overflows", "tokens to keep
    // from the initial prompt is greater than the context length" (lmstudio-bug-tracker#2322).
    (ContextLength, Words("context & overflow")),
    (
        ContextLength,
        Words("tokens to keep from the initial prompt"),
    ),
    // Bedrock: "Input is too long for requested model", "Too many input tokens. Max input tokens: …".
    (ContextLength, Words("input is too long")),
    (ContextLength, Words("too many input tokens")),
    // Cohere: "too many tokens: total number of tokens (prompt and prediction) cannot exceed 4081".
    (ContextLength, Words("too many tokens: ")),
    (ContextLength, Words("total number of tokens")),
    // Azure and GitHub Models: tokens_limit_reached, "Request body too large for gpt-4o model. Max
    // size: 8000 tokens".
    (ContextLength, Code("tokenslimitreached")),
    (ContextLength, Words("max size: & tokens")),
    // GitHub Copilot: "prompt token count of 70000 exceeds the limit of 64000".
    (ContextLength, Code("maxprompttokensexceeded")),
    // Groq, Cerebras: "Please reduce the length of the messages or completion".
    (ContextLength, Words("reduce the length of the")),
    (ContextLength, Words("reduce your prompt")),
    // Fireworks: "The prompt is too long: 9000, model maximum context length: 8192".
    // Perplexity: "The total length of all messages is too long" (litellm#21647).
    (ContextLength, Words("messages is too long")),
    // Zhipu: https://docs.bigmodel.cn/cn/api/api-code ; 1261 "Prompt 超长", "Prompt exceeds max length".
    (ContextLength, Words("prompt 超长")),
    (ContextLength, Words("prompt超长")),
    (ContextLength, Words("prompt exceeds")),
    // Baidu: https://cloud.baidu.com/doc/qianfan-api/s/rmwbl43x7 ; tokens_too_long "Prompt tokens too
    // long", characters_too_long "the max input characters is …".
    (ContextLength, Code("tokenstoolong")),
    (ContextLength, Code("characterstoolong")),
    (ContextLength, Words("prompt tokens too long")),
    (ContextLength, Words("max input characters")),
    // Volcengine Ark: "Input length 130000 exceeds the maximum length 4096", "… max message tokens".
    (ContextLength, Words("max message tokens")),
    (ContextLength, Words("input length too long")),
    // TabbyAPI, Atlas, TensorRT-LLM: "Prompt length 5000 is greater than max_seq_len 4096", "Prompt
    // length (9) exceeds maximum input length (8)" (inference-atlas#186, TensorRT-LLM#19457).
    (ContextLength, Words("max_seq_len")),
    (ContextLength, Words("prompt length")),
    (ContextLength, Words("maximum input length")),
    (ContextLength, Words("maximum sequence length")),
    (ContextLength, Words("conversation is too long")),
    (ContextLength, Words("上下文 & 超")),
    (ContextLength, Words("输入 & 过长")),
    // --- Forbidden by rules -------------------------------------------------------------------------
    // Azure: https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter ;
    // content_filter, ResponsibleAIPolicyViolation, "… Azure OpenAI's content management policy".
    (Filter, Code("contentfilter")),
    (Filter, Code("responsibleaipolicyviolation")),
    (Filter, Words("content management policy")),
    // OpenAI: content_policy_violation, moderation_blocked, "your prompt was flagged as potentially
    // violating our usage policy".
    (Filter, Code("contentpolicyviolation")),
    (Filter, Code("moderationblocked")),
    (Filter, Words("flagged as")),
    (Filter, Words("usage policy")),
    (Filter, Words("usage policies")),
    // Anthropic: "Output blocked by content filtering policy".
    (Filter, Words("content filter")),
    // OpenRouter: https://openrouter.ai/docs/api-reference/errors ; "… requires moderation … your
    // input was flagged".
    (Filter, Words("input was flagged")),
    // xAI: "Content violates usage guidelines".
    (Filter, Words("usage guidelines")),
    // DashScope: DataInspectionFailed, data_inspection_failed, "Input may contain inappropriate content".
    (Filter, Code("datainspectionfailed")),
    (Filter, Words("inappropriate content")),
    // DeepSeek: "Content Exists Risk". Moonshot: "… rejected because it was considered high risk".
    (Filter, Words("content exists risk")),
    (Filter, Words("considered high risk")),
    // Baidu: unsafe_request. Zhipu: 1301 "… 不安全或敏感内容". Huawei: "May contain sensitive …".
    (Filter, Code("unsaferequest")),
    (Filter, Words("敏感")),
    (Filter, Words("may contain sensitive")),
    (Filter, Words("安全策略")),
    // MiniMax: 1026 "input new_sensitive", 1027 "output new_sensitive".
    (Filter, Words("new_sensitive")),
    // Gemini: "prompt was blocked", promptFeedback. Bedrock: "blocked by guardrail".
    (Filter, Words("prompt was blocked")),
    (Filter, Words("blocked by & guardrail")),
    (Filter, Words("prohibited content")),
    (Filter, Words("safety system")),
    // --- Money, in words that mean nothing else -----------------------------------------------------
    // OpenAI: https://platform.openai.com/docs/guides/error-codes ; insufficient_quota,
    // billing_hard_limit_reached "Billing hard limit has been reached", billing_not_active.
    (Quota, Code("insufficientquota")),
    (Quota, Code("billing")),
    (Quota, Words("billing hard limit")),
    (Quota, Words("account is not active")),
    // Anthropic: "Your credit balance is too low to access the Anthropic API", "You have reached your
    // specified API usage limits", billing_error.
    (Quota, Words("credit balance")),
    (Quota, Words("specified api usage limits")),
    // Gemini: "Your prepayment credits are depleted", "requires billing to be enabled".
    (Quota, Words("credits are depleted")),
    (Quota, Words("billing to be enabled")),
    (Quota, Words("enable billing")),
    // xAI: "used all available credits or reached its monthly spending limit" (openclaw#115853),
    // "doesn't have any credits yet".
    (Quota, Words("all available credits")),
    (Quota, Words("spending limit")),
    (Quota, Words("any credits")),
    // DeepSeek: https://api-docs.deepseek.com/quick_start/error_codes ; 402 "Insufficient Balance".
    // MiniMax: 1008 "insufficient balance". Zhipu: 1113 "Insufficient balance or no resource package".
    (Quota, Code("insufficientbalance")),
    (Quota, Words("insufficient balance")),
    (Quota, Words("insufficient & balance")),
    (Quota, Words("balance & insufficient")),
    (Quota, Words("resource package")),
    // Moonshot: exceeded_current_quota_error, "… suspended, please check your plan and billing details".
    (Quota, Code("exceededcurrentquota")),
    // DashScope: Arrearage "… make sure your account is in good standing", AllocationQuota.FreeTierOnly,
    // "Free allocated quota exceeded".
    (Quota, Code("arrearage")),
    (Quota, Code("freetieronly")),
    (Quota, Words("good standing")),
    (Quota, Words("free & quota & exceeded")),
    (Quota, Words("free tier & exhausted")),
    // OpenRouter: "Insufficient credits", "This request requires more credits, or fewer max_tokens. …
    // can only afford …", "Key limit exceeded (total limit)".
    (Quota, Code("insufficientcredit")),
    (Quota, Words("insufficient credit")),
    (Quota, Words("requires more credits")),
    (Quota, Words("can only afford")),
    (Quota, Words("key limit exceeded")),
    // Hugging Face: "You have exceeded your monthly included credits for Inference Providers".
    (Quota, Words("included credits")),
    // Fireworks: "… suspended, possibly due to reaching the monthly spending limit or failure to pay
    // past invoices". Novita: NOT_ENOUGH_BALANCE. Vercel: insufficient_funds. SiliconFlow: 30001 "Sorry,
    // your account balance is insufficient".
    (Quota, Words("invoice")),
    (Quota, Code("notenoughbalance")),
    (Quota, Code("insufficientfunds")),
    (Quota, Words("insufficient funds")),
    (Quota, Words("not enough balance")),
    (Quota, Words("balance & not enough")),
    (Quota, Words("balance & too low")),
    (Quota, Words("not enough credit")),
    (Quota, Words("out of credit")),
    (Quota, Words("no credit")),
    (Quota, Words("credits & exhausted")),
    (Quota, Words("credits & used up")),
    (Quota, Code("creditlimit")),
    (Quota, Code("outofcredits")),
    (Quota, Words("free quota & used up")),
    // LiteLLM: budget_exceeded, "Budget has been exceeded! Current cost: 10, Max budget: 5".
    (Quota, Code("budgetexceeded")),
    (Quota, Words("budget & exceeded")),
    // New API and One API: insufficient_user_quota "用户额度不足", pre_consume_token_quota_failed
    // (sub2api#890 and others). Zhipu: "您的账户已欠费，请充值后重试", 1309 "套餐已到期".
    (Quota, Code("insufficientuserquota")),
    (Quota, Code("tokenquotafailed")),
    (Quota, Words("quota is not enough")),
    (Quota, Words("额度不足")),
    (Quota, Words("余额不足")),
    (Quota, Words("无可用额度")),
    (Quota, Words("额度已用")),
    (Quota, Words("欠费")),
    (Quota, Words("充值")),
    (Quota, Words("套餐已到期")),
    (Quota, Words("recharge")),
    (Quota, Words("top up")),
    (Quota, Words("overdue")),
    (Quota, Words("in arrears")),
    (Quota, Words("past due")),
    (Quota, Words("unpaid")),
    (Quota, Code("paymentrequired")),
    (Quota, Words("payment required")),
    // --- Too much to do -----------------------------------------------------------------------------
    // Anthropic: overloaded_error. OpenAI: slow_down, "The engine is currently overloaded". Moonshot:
    // engine_overloaded_error. Gemini: "The model is overloaded". Mistral:
    // service_tier_capacity_exceeded.
    (Overloaded, Code("overloaded")),
    (Overloaded, Code("slowdown")),
    (Overloaded, Code("capacityexceeded")),
    (Overloaded, Words("overloaded")),
    (Overloaded, Words("at capacity")),
    (Overloaded, Words("over capacity")),
    (Overloaded, Words("high demand")),
    (Overloaded, Words("server is busy")),
    (Overloaded, Words("server busy")),
    // Hugging Face: "Model too busy", "Model … is currently loading". llama.cpp: "Loading model".
    (Overloaded, Words("too busy")),
    (Overloaded, Words("currently loading")),
    (Overloaded, Words("loading model")),
    // Envoy: "no healthy upstream". Zhipu: 1305, 1312 "当前访问量过大". New API: "上游负载已饱和".
    (Overloaded, Words("no healthy upstream")),
    (Overloaded, Words("访问量过大")),
    (Overloaded, Words("负载")),
    (Overloaded, Words("繁忙")),
    // --- Pace ---------------------------------------------------------------------------------------
    // Gemini says of pace what OpenAI says of money, and adds "Please retry in 36.5s" or the id of a
    // quota: PerMinute.
    (RateLimited, Words("please retry in")),
    (RateLimited, Words("perminute")),
    (RateLimited, Words("per minute")),
    // LiteLLM calls money a matter of pace: "litellm.RateLimitError: … You exceeded your current quota,
    // please check your plan and billing details" (its proxy, as recorded).
    (Quota, Words("current quota")),
    (Quota, Words("billing details")),
    // OpenAI, Groq, xAI: rate_limit_exceeded, "Rate limit reached for …". Anthropic: rate_limit_error.
    (RateLimited, Code("ratelimit")),
    (RateLimited, Words("rate limit")),
    (RateLimited, Words("rate limited")),
    (RateLimited, Words("ratelimit")),
    (RateLimited, Code("toomanyrequests")),
    (RateLimited, Words("too many requests")),
    // Bedrock: ThrottlingException, "Too many tokens, please wait before trying again". DashScope:
    // Throttling.RateQuota, limit_requests "You exceeded your current requests list".
    (RateLimited, Code("throttl")),
    (RateLimited, Words("throttl")),
    (RateLimited, Words("wait before trying again")),
    (RateLimited, Code("limitrequests")),
    (RateLimited, Words("current requests list")),
    // Gemini and Vertex AI: RESOURCE_EXHAUSTED.
    (RateLimited, Words("tokens per min")),
    (RateLimited, Words("requests per min")),
    (RateLimited, Words("resource exhausted")),
    (RateLimited, Words("resource has been exhausted")),
    // Moonshot: "request reached organization max RPM: 3, please try again after 1 seconds".
    (RateLimited, Words("max rpm")),
    (RateLimited, Words("max tpm")),
    (RateLimited, Words("max request")),
    (RateLimited, Words("concurrency")),
    // Baidu: 4, 18 "Open api qps request limit reached". Zhipu: 1302 "并发数过高", 1303 "频率过高",
    // 1305 "流量限制". MiniMax: 1002 "触发限流".
    (RateLimited, Words("request limit reached")),
    (RateLimited, Words("频率")),
    (RateLimited, Words("频繁")),
    (RateLimited, Words("并发数过高")),
    (RateLimited, Words("限流")),
    (RateLimited, Words("流量限制")),
    (RateLimited, Words("速率限制")),
    // --- Money, in wordings that rate limits use too --------------------------------------------------
    (Quota, Code("quotaexceeded")),
    (Quota, Words("quota exceeded")),
    (Quota, Words("exceeded & quota")),
    (Quota, Words("quota & exhausted")),
    (Quota, Words("out of quota")),
    (Quota, Code("credit")),
    // --- The model ----------------------------------------------------------------------------------
    // OpenAI: model_not_found, "The model `x` does not exist or you do not have access to it".
    (Model, Code("modelnotfound")),
    (Model, Words("model & does not exist")),
    (Model, Words("access to model")),
    (Model, Words("access to the model")),
    // Anthropic: not_found_error, "model: claude-x". Ollama: "model 'x' not found, try pulling it first".
    (Model, Words("model & not found")),
    // DeepSeek: "Model Not Exist". Mistral: invalid_model, "Invalid model: x". Moonshot: "Not found the
    // model x or Permission denied".
    (Model, Code("modelnotexist")),
    (Model, Words("model not exist")),
    (Model, Code("invalidmodel")),
    (Model, Words("invalid model")),
    (Model, Words("not found the model")),
    // OpenRouter: "x/y is not a valid model ID", "No endpoints found for x/y".
    (Model, Words("valid model id")),
    (Model, Words("no endpoints found for")),
    // Gemini: "models/x is not found for API version v1beta". Azure: DeploymentNotFound. Bedrock: "The
    // provided model identifier is invalid". Groq: model_decommissioned. Volcengine: ModelNotOpen,
    // InvalidEndpointOrModel.NotFound. GitHub: unknown_model.
    (Model, Code("deploymentnotfound")),
    (Model, Words("model identifier is invalid")),
    (Model, Code("modeldecommissioned")),
    (Model, Words("model & decommissioned")),
    (Model, Code("modelnotopen")),
    (Model, Code("invalidendpointormodel")),
    (Model, Code("unknownmodel")),
    (Model, Words("unknown model")),
    (Model, Words("no such model")),
    (Model, Code("modelnotsupported")),
    (Model, Code("unsupportedmodel")),
    (Model, Words("unsupported model")),
    // LM Studio: "No models loaded. Please load a model". Zhipu: 1211 "模型不存在". Huawei: "Invalid model".
    (Model, Words("no models loaded")),
    (Model, Words("模型不存在")),
    // --- The key ------------------------------------------------------------------------------------
    // OpenAI: invalid_api_key, "Incorrect API key provided", "You didn't provide an API key". xAI: 400
    // "Incorrect API key provided" (codex#1352). Groq: "Invalid API Key".
    (Auth, Code("apikey")),
    (Auth, Words("incorrect api key")),
    (Auth, Words("invalid api key")),
    (Auth, Words("provide an api key")),
    (Auth, Words("no api key")),
    (Auth, Words("missing api key")),
    (Auth, Words("api key & missing")),
    (Auth, Words("api key & invalid")),
    (Auth, Words("api key & expired")),
    (Auth, Words("api key & required")),
    // Gemini: 400 API_KEY_INVALID, "API key not valid" (oh-my-pi#449) ; "unregistered callers".
    (Auth, Words("api key not valid")),
    (Auth, Words("unregistered callers")),
    (Auth, Code("unauthenticated")),
    // Anthropic: authentication_error "invalid x-api-key", permission_error.
    (Auth, Code("authentication")),
    (Auth, Code("permission")),
    (Auth, Words("invalid x-api-key")),
    // DeepSeek: "Authentication Fails". Moonshot: invalid_authentication_error. DashScope:
    // InvalidApiKey "Invalid API-key provided", "invalid access token or token expired". Baidu: 110
    // "Access token invalid or no longer valid".
    (Auth, Words("authentication fail")),
    (Auth, Words("authentication error")),
    (Auth, Words("invalid authentication")),
    (Auth, Words("invalid api-key")),
    (Auth, Words("no api-key")),
    (Auth, Words("access token & invalid")),
    (Auth, Words("invalid access token")),
    (Auth, Words("token expired")),
    (Auth, Words("token & expired")),
    // OpenRouter: "No auth credentials found". Cohere: "invalid api token". Mistral: "Unauthorized".
    (Auth, Words("auth credentials")),
    (Auth, Words("invalid credentials")),
    (Auth, Words("invalid api token")),
    (Auth, Words("unauthorized")),
    (Auth, Code("unauthorized")),
    (Auth, Words("not authenticated")),
    // Azure: "Access denied due to invalid subscription key". Bedrock: UnrecognizedClientException "The
    // security token included in the request is invalid", ExpiredTokenException, AccessDeniedException.
    (Auth, Words("subscription key")),
    (Auth, Words("security token")),
    (Auth, Code("unrecognizedclient")),
    (Auth, Code("expiredtoken")),
    (Auth, Code("accessdenied")),
    // MiniMax: 1004 "login fail: Please carry the API secret key". Zhipu: 1000 "身份验证失败", 1002
    // "Authentication Token 非法". New API: "无效的令牌", "未提供令牌".
    (Auth, Words("login fail")),
    (Auth, Words("身份验证失败")),
    (Auth, Words("authentication token")),
    (Auth, Words("令牌")),
    (Auth, Words("鉴权")),
    // --- The size -----------------------------------------------------------------------------------
    // Anthropic: request_too_large "Request exceeds the maximum size". nginx: "Request Entity Too Large".
    (TooLarge, Code("requesttoolarge")),
    (TooLarge, Words("entity too large")),
    (TooLarge, Words("payload too large")),
    (TooLarge, Words("exceeds the maximum size")),
];

/// Finds what a failure is about by its codes and its message.
///
/// `codes` holds only small letters and digits, with a space between two codes; `message` is in small
/// letters.
pub(in crate::providers) fn find(codes: &str, message: &str) -> Option<About> {
    let fits = |place: &In| match place {
        Code(code) => codes.contains(code),
        Words(words) => words.split(" & ").all(|part| message.contains(part)),
    };
    TABLE
        .iter()
        .find(|(_, place)| fits(place))
        .map(|(about, _)| *about)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_can_be_found_and_stands_once() {
        for (at, (_, place)) in TABLE.iter().enumerate() {
            match place {
                Code(code) => {
                    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
                    assert!(code.bytes().all(is_plain), "{code}");
                }
                Words(words) => assert_eq!(words.to_lowercase(), *words),
            }
            assert!(
                TABLE[..at].iter().all(|(_, other)| other != place),
                "{place:?}"
            );
        }
    }
}
