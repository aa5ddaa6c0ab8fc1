//! Repairs base URLs as people paste them: with the path of an endpoint, without the version, with extra
//! slashes. Other URLs are refused with the right address in the sentence.

use reqwest::Url;

use crate::providers::api::Api;

/// The paths of the APIs of known hosts, for an address without a path, as documented by the providers.
const PATHS: &[(&str, &str)] = &[
    ("openrouter.ai", "/api/v1"),
    ("api.groq.com", "/openai/v1"),
    ("generativelanguage.googleapis.com", "/v1beta/openai"),
    ("api.fireworks.ai", "/inference/v1"),
    ("api.perplexity.ai", ""),
    ("api.cohere.com", "/compatibility/v1"),
    ("api.cohere.ai", "/compatibility/v1"),
    ("dashscope.aliyuncs.com", "/compatible-mode/v1"),
    ("dashscope-intl.aliyuncs.com", "/compatible-mode/v1"),
    ("open.bigmodel.cn", "/api/paas/v4"),
    ("api.z.ai", "/api/paas/v4"),
    ("ark.cn-beijing.volces.com", "/api/v3"),
    ("qianfan.baidubce.com", "/v2"),
    ("models.github.ai", "/inference"),
    ("models.inference.ai.azure.com", ""),
];

/// Web pages of providers, and their APIs.
const PAGES: &[(&str, &str)] = &[
    ("openai.com", "https://api.openai.com/v1"),
    ("platform.openai.com", "https://api.openai.com/v1"),
    ("chat.openai.com", "https://api.openai.com/v1"),
    ("chatgpt.com", "https://api.openai.com/v1"),
    ("console.groq.com", "https://api.groq.com/openai/v1"),
    (
        "aistudio.google.com",
        "https://generativelanguage.googleapis.com/v1beta/openai",
    ),
    ("platform.deepseek.com", "https://api.deepseek.com/v1"),
    ("chat.deepseek.com", "https://api.deepseek.com/v1"),
    ("console.mistral.ai", "https://api.mistral.ai/v1"),
    ("console.x.ai", "https://api.x.ai/v1"),
    ("console.anthropic.com", "https://api.anthropic.com"),
    ("platform.claude.com", "https://api.anthropic.com"),
    ("claude.ai", "https://api.anthropic.com"),
];

/// Ends of paths that belong to an endpoint and not to the base URL, the longest first.
const ENDPOINTS: &[&str] = &[
    "/chat/completions",
    "/completions",
    "/responses",
    "/messages/count_tokens",
    "/messages",
    "/embeddings",
    "/models",
];

/// Reads the base URL of an upstream with this API.
///
/// # Errors
/// A sentence that says what is wrong, with the right address if it is known. It repeats neither credentials
/// nor the query of the URL, which may be secret.
pub fn read(text: &str, api: Api) -> Result<Url, String> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || "\"'`<>".contains(c));
    let parsed = Url::parse(text).ok().filter(is_web);
    let Some(mut url) = parsed else {
        return Err(match with_scheme(text, api) {
            Some(right) => {
                format!("the URL must begin with http:// or https://: write {right}")
            }
            None if text.contains("://") => {
                "the URL must begin with http:// or https://".to_owned()
            }
            None => "write a URL as http://127.0.0.1:8000/v1".to_owned(),
        });
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("put the key where keys belong, not into the URL".to_owned());
    }
    let ends_with_more = [url.query(), url.fragment()]
        .iter()
        .flatten()
        .any(|more| !more.is_empty());
    url.set_query(None);
    url.set_fragment(None);
    let right = base_of(url, api);
    if ends_with_more {
        return Err(format!("the URL must end with its path: write {right}"));
    }
    let page = PAGES.iter().find(|(host, _)| is_host(&right, host));
    if let Some((_, api)) = page {
        return Err(format!(
            "this is a page for people, not the API: write {api}"
        ));
    }
    Ok(right)
}

/// Whether the version in the base URL was added by default.
#[must_use]
pub fn is_version_guessed(text: &str, base_url: &Url) -> bool {
    let has_no_path =
        Url::parse(text.trim_matches(|c: char| c.is_whitespace() || "\"'`<>".contains(c)))
            .is_ok_and(|url| url.path() == "/");
    // OpenAI's own address is certain.
    has_no_path && base_url.path() == "/v1" && base_url.host_str() != Some("api.openai.com")
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

fn is_host(url: &Url, host: &str) -> bool {
    let of_url = url.host_str().unwrap_or_default();
    of_url.strip_prefix("www.").unwrap_or(of_url) == host
}

/// The URL with the missing scheme added.
fn with_scheme(text: &str, api: Api) -> Option<Url> {
    if text.contains("://") || text.contains('@') || text.is_empty() {
        return None;
    }
    let host = text.split(['/', ':', '?', '#']).next().unwrap_or_default();
    let is_near = host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok();
    if !is_near && !host.contains('.') {
        return None;
    }
    let scheme = if is_near { "http" } else { "https" };
    let mut url = Url::parse(&format!("{scheme}://{text}")).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    Some(base_of(url, api))
}

/// The base URL of an address below it.
fn base_of(mut url: Url, api: Api) -> Url {
    let path: Vec<&str> = url
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let mut path = path
        .iter()
        .map(|part| format!("/{part}"))
        .collect::<String>();
    loop {
        let shorter = without_endpoint(&path);
        if shorter == path {
            break;
        }
        path = shorter;
    }
    if api != Api::Messages {
        let host = url.host_str().unwrap_or_default();
        let is_azure = host.ends_with(".openai.azure.com");
        if is_azure && (path.is_empty() || path == "/openai" || path.contains("/deployments/")) {
            "/openai/v1".clone_into(&mut path);
        } else if path.is_empty() {
            let known = PATHS.iter().find(|(known, _)| *known == host);
            known.map_or("/v1", |(_, path)| path).clone_into(&mut path);
        }
    }
    url.set_path(&path);
    url
}

/// A path without an endpoint at its end or a repeated version.
fn without_endpoint(path: &str) -> String {
    // Ollama's own API, beside its compatible one.
    if ["/api/chat", "/api/generate", "/api/tags"].contains(&path) {
        return String::new();
    }
    if let Some(base) = ENDPOINTS.iter().find_map(|end| path.strip_suffix(end)) {
        return base.to_owned();
    }
    let is_version = |part: &str| {
        part.strip_prefix('v')
            .is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    };
    match path.rsplit_once('/') {
        Some((base, last)) => {
            let before = base.rsplit('/').next().unwrap_or_default();
            // `chat` is the first half of an endpoint.
            if is_version(before) && (last == "chat" || last == before) {
                base.to_owned()
            } else {
                path.to_owned()
            }
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHAT: Api = Api::ChatCompletions;

    #[test]
    fn an_address_is_understood_as_it_is_pasted() {
        let check = |api, text: &str, expect: &str| {
            let url = read(text, api).expect(text);
            assert_eq!(url.as_str(), expect, "{text}");
        };
        for text in [
            "http://h:8000/v1",
            "http://h:8000/v1/",
            "http://h:8000//v1//",
            "http://h:8000",
            "http://h:8000/",
            " http://h:8000/v1/chat/completions ",
            "http://h:8000/v1/chat/completions/",
            "\"http://h:8000/v1\"",
            "http://h:8000/v1/models",
            "http://h:8000/v1/responses",
            "http://h:8000/v1/chat",
            "http://h:8000/v1/v1",
            "http://h:8000/v1?",
        ] {
            check(CHAT, text, "http://h:8000/v1");
        }
        check(
            CHAT,
            "http://localhost:11434/api/chat",
            "http://localhost:11434/v1",
        );
        check(CHAT, "https://api.openai.com", "https://api.openai.com/v1");
        check(
            CHAT,
            "https://openrouter.ai/",
            "https://openrouter.ai/api/v1",
        );
        check(
            CHAT,
            "https://api.groq.com",
            "https://api.groq.com/openai/v1",
        );
        check(
            CHAT,
            "https://open.bigmodel.cn/api/paas/v4/chat/completions",
            "https://open.bigmodel.cn/api/paas/v4",
        );
        check(
            CHAT,
            "https://api.perplexity.ai/chat/completions",
            "https://api.perplexity.ai/",
        );
        check(
            CHAT,
            "https://x.openai.azure.com/openai/deployments/d/chat/completions",
            "https://x.openai.azure.com/openai/v1",
        );
        check(CHAT, "http://h/chat", "http://h/chat");
        check(CHAT, "http://h/api", "http://h/api");
        check(
            Api::Messages,
            "https://api.anthropic.com/v1/messages",
            "https://api.anthropic.com/v1",
        );
        check(Api::Messages, "http://h/", "http://h/");
        check(Api::Responses, "http://h/v1/responses", "http://h/v1");
    }

    #[test]
    fn what_is_refused_is_refused_with_the_right_address() {
        let check = |text: &str, words: &str| {
            let error = read(text, CHAT).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains("secret"), "{text}: {error}");
        };
        check("127.0.0.1:11434", "write http://127.0.0.1:11434/v1");
        check("localhost:1234/v1/", "write http://localhost:1234/v1");
        check(
            "api.openai.com/v1/chat/completions",
            "write https://api.openai.com/v1",
        );
        check(
            "https://h/v1/chat/completions?key=secret",
            "write https://h/v1",
        );
        check("https://h/v1#secret", "write https://h/v1");
        check("https://me:secret@h/v1", "key");
        check("ftp://h/v1", "http://");
        check("me:secret@h/v1", "http://");
        check("somewhere", "http://");
        check(
            "https://platform.openai.com/docs",
            "write https://api.openai.com/v1",
        );
        check("https://www.openai.com", "write https://api.openai.com/v1");
        check(
            "https://console.groq.com/keys",
            "write https://api.groq.com/openai/v1",
        );
    }

    #[test]
    fn a_version_that_nobody_wrote_is_a_guess() {
        let check = |text: &str, expect| {
            let url = read(text, CHAT).expect(text);
            assert_eq!(is_version_guessed(text, &url), expect, "{text}");
        };
        check("http://h:8000/", true);
        check("http://h:8000/v1", false);
        check("https://api.openai.com", false);
        check("https://openrouter.ai", false);
        check("http://h/v1/chat/completions", false);
    }

    proptest! {
        #[test]
        fn what_was_read_is_read_as_the_same_again(
            path in "(/|/v1|/api|/chat|/completions|/models|/x){0,5}",
            messages in any::<bool>(),
        ) {
            let api = if messages { Api::Messages } else { CHAT };
            let once = read(&format!("http://h{path}"), api);
            prop_assert!(once.is_ok());
            let once = once.expect("it was looked at");
            prop_assert_eq!(read(once.as_str(), api), Ok(once.clone()));
            prop_assert!(!once.path().ends_with("/completions") && !once.path().contains("//"));
        }
    }
}
