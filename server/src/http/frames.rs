//! The documents in the page's frames: one shows a picture from another host, and one draws a diagram.
//!
//! They need permissions that the page must not have: one requests a picture from another host, the other runs
//! a drawing library over text of a model and needs inline styles. Each has a policy that allows only this,
//! with a sandbox: it has no origin and can reach neither the page nor the server, however it is opened. Only
//! our own page may frame them, and [`crate::http::access`] refuses requests from other sites.
//!
//! The server never requests a picture. Only the browser uses its URL.

use app::protocol::NOT_AN_IMAGE_ADDRESS;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, X_FRAME_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use reqwest::Url;
use serde::Deserialize;
use tower::ServiceBuilder;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::http::error::AppError;
use crate::http::pages::site::Site;
use crate::http::pages::{FileService, boxed, cache_when_found};

/// The policy that every framed document has. The sandbox attributes that are still allowed can follow.
const CLOSED: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox";

/// The document that draws diagrams and its script, with their policies.
pub(super) fn diagram_files(site: &Site) -> FileService {
    let header = SetResponseHeaderLayer::overriding;
    boxed(
        ServiceBuilder::new()
            .layer(header(CONTENT_SECURITY_POLICY, drawing_policy(site)))
            .layer(header(
                X_FRAME_OPTIONS,
                HeaderValue::from_static("SAMEORIGIN"),
            ))
            .layer(cache_when_found("public, max-age=3600"))
            .service(site.files("diagram")),
    )
}

/// The policy of the drawing document: its one script, by the hash that the build wrote, and inline styles.
/// Without the hash no script runs.
fn drawing_policy(site: &Site) -> HeaderValue {
    let hash = site.read("diagram/script.sha256").unwrap_or_default();
    let script = match hash.trim() {
        "" => "'none'".to_owned(),
        hash => format!("'sha256-{hash}'"),
    };
    let policy = format!(
        "{CLOSED} allow-scripts; script-src {script}; style-src 'unsafe-inline'; img-src data:"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(CLOSED))
}

#[derive(Deserialize)]
pub(super) struct Picture {
    src: String,
}

/// A document that shows one picture from the web.
pub(super) async fn image(
    picture: Result<Query<Picture>, QueryRejection>,
) -> Result<Response, AppError> {
    let refused = || AppError::invalid(NOT_AN_IMAGE_ADDRESS);
    let Query(Picture { src }) = picture.map_err(|_| refused())?;
    let address = web_address(&src).ok_or_else(refused)?;
    // A random nonce. No text from elsewhere is placed where the policy applies.
    let nonce = format!("{:032x}", rand::random::<u128>());
    let policy = format!("{CLOSED}; img-src https: http:; style-src 'nonce-{nonce}'");
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_SECURITY_POLICY, policy),
        (X_FRAME_OPTIONS, "SAMEORIGIN".to_owned()),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, document(&address, &nonce)).into_response())
}

/// An http or https URL, as a browser parses it.
fn web_address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

/// The picture is as large as its space allows, but not larger than its own size. The background is white in
/// both themes, because transparent pictures are usually drawn for white.
fn document(address: &Url, nonce: &str) -> String {
    let src = escape(address.as_str());
    let host = escape(address.host_str().unwrap_or_default());
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Image</title>\
         <style nonce=\"{nonce}\">\
         html{{font:0.8125rem system-ui,sans-serif}}\
         body{{margin:0}}\
         img{{max-width:100%;max-height:100vh;object-fit:contain;vertical-align:top;background:#fff;color:#22201c}}\
         </style></head><body><img src=\"{src}\" alt=\"The image at {host}\"></body></html>"
    )
}

/// Escapes a text for a quoted attribute.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expect: Option<&str>) {
        let shown = web_address(address).map(|url| document(&url, "n"));
        let src = shown.as_deref().and_then(|html| {
            let (_, rest) = html.split_once("<img src=\"")?;
            rest.split_once("\" alt").map(|(src, _)| src)
        });
        assert_eq!(src, expect, "{address}");
    }

    #[test]
    fn only_pictures_of_the_web_are_shown() {
        check("https://a.b/c.png", Some("https://a.b/c.png"));
        check("HTTP://A.b", Some("http://a.b/"));
        check(
            "http://127.0.0.1:8/x?y=1&z=2",
            Some("http://127.0.0.1:8/x?y=1&amp;z=2"),
        );
        for other in [
            "",
            "a.png",
            "/a.png",
            "//a.b/c.png",
            "javascript:alert(1)",
            "java\tscript:alert(1)",
            "data:image/svg+xml,<svg/>",
            "file:///etc/passwd",
            "blob:https://a.b/c",
            "ftp://a.b/c",
            "mailto:a@b.c",
            "https://",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn an_address_stays_within_its_attribute() {
        check(
            "https://a.b/\"><script>alert(1)</script>?\"<'>#\"<'>",
            Some("https://a.b/%22%3E%3Cscript%3Ealert(1)%3C/script%3E?%22%3C%27%3E#%22%3C'%3E"),
        );
        check(
            "https://a.b/&quot;&#34;",
            Some("https://a.b/&amp;quot;&amp;#34;"),
        );
        assert_eq!(escape("\"<'>&"), "&quot;&lt;'&gt;&amp;");
    }

    #[test]
    fn what_draws_runs_its_own_script_or_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let drawing = folder.path().join("diagram");
        std::fs::create_dir(&drawing).expect("a folder");
        let site = Site::Folder(folder.path().to_owned());
        let policy = || drawing_policy(&site);
        let script = |policy: HeaderValue| {
            let text = policy.to_str().expect("ASCII").to_owned();
            let (_, rest) = text.split_once("script-src ").expect("a rule for scripts");
            rest.split(';').next().map(str::to_owned)
        };
        assert_eq!(script(policy()).as_deref(), Some("'none'"));
        std::fs::write(drawing.join("script.sha256"), "aGFzaA==\n").expect("a file");
        assert_eq!(script(policy()).as_deref(), Some("'sha256-aGFzaA=='"));
        std::fs::write(drawing.join("script.sha256"), "a\nb").expect("a file");
        assert_eq!(policy(), HeaderValue::from_static(CLOSED));
    }
}
