//! Refusals: the server refuses a request without asking the upstream, and serves the next one.

use super::http::{Answer, Request};
use super::rill::{Rill, chat, question};
use super::scripted_upstream::ScriptedUpstream;
use super::{log, scripts, soon};

/// The server under test, with an upstream that answers every request.
pub(crate) struct Guarded {
    pub(crate) upstream: ScriptedUpstream,
    pub(crate) rill: Rill,
}

impl Guarded {
    /// Starts the server and its upstream.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Starts the server with more arguments.
    pub(crate) async fn with(arguments: &[&str]) -> Self {
        let upstream = ScriptedUpstream::playing(vec![scripts::saying("fine")]).await;
        let rill = Rill::with(&upstream, arguments).await;
        Self { upstream, rill }
    }

    /// A valid question with the origin of the page.
    pub(crate) fn own(&self) -> Request {
        chat(&question()).header("origin", &format!("http://{}", self.rill.address))
    }

    /// The request is refused with this status and kind, in the form that the protocol describes.
    pub(crate) async fn refuses(&self, request: &Request, status: u16, kind: &str) {
        let answer = soon(self.rill.send(request)).await;
        let got = answer.status;
        assert_eq!(got, status, "{request:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{request:?}"
        );
        assert_is_closed_to_other_sites(&answer);
        let body = soon(answer.json()).await;
        assert_eq!(body["error"]["kind"], kind, "{request:?}");
        let message = body["error"]["message"].as_str().expect("a message");
        assert!(message.contains(' '), "no sentence: {message}");
        assert!(!message.contains(log::KEY), "{message}");
    }

    /// The request is answered with a stream.
    pub(crate) async fn takes(&self, request: &Request) {
        let answer = soon(self.rill.send(request)).await;
        assert_eq!(answer.status, 200, "{request:?}");
        assert_is_closed_to_other_sites(&answer);
        soon(answer.body()).await.expect("a whole stream");
    }

    /// Nothing so far has reached the upstream, and a good request does.
    pub(crate) async fn is_unharmed(&self) {
        assert_eq!(self.upstream.request_count(), 0, "a refusal cost a request");
        self.takes(&self.own()).await;
        assert_eq!(self.upstream.request_count(), 1);
    }
}

pub(crate) fn assert_is_closed_to_other_sites(answer: &Answer) {
    let opened = answer
        .headers
        .iter()
        .find(|(name, _)| name.starts_with("access-control-"));
    assert_eq!(opened, None);
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
}
