//! Requests to the provider, by the HTTP client of the workspace.

use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::redirect::Policy;

/// How long the provider may take for an answer.
const WITHIN: Duration = Duration::from_secs(10);
/// The longest answer, in bytes.
const LONGEST: usize = 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpFailure {
    /// The provider could not be reached. The address in the error is one of the configuration or of the provider.
    #[error("{}", with_causes(.0))]
    Request(#[from] reqwest::Error),
    #[error("an answer is longer than 1 MiB")]
    Long,
    #[error("a request cannot be made: {0}")]
    Http(#[from] openidconnect::http::Error),
}

/// The error with its causes, which name the reason.
fn with_causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The client. It is made at the first request, when the cryptography for TLS is installed.
#[derive(Debug, Default)]
pub(super) struct ProviderHttp(OnceLock<reqwest::Client>);

impl ProviderHttp {
    fn client(&self) -> Result<&reqwest::Client, reqwest::Error> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .timeout(WITHIN)
            // A redirect could lead a secret elsewhere.
            .redirect(Policy::none())
            .build()?;
        Ok(self.0.get_or_init(|| client))
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let mut answer = self.client()?.execute(request.try_into()?).await?;
        let mut builder = openidconnect::http::Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            builder = builder.header(name, value);
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > LONGEST {
                return Err(HttpFailure::Long);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(builder.body(body)?)
    }
}

impl<'c> AsyncHttpClient<'c> for ProviderHttp {
    type Error = HttpFailure;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpFailure>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
