//! Hosts the page: rendered by Leptos, with its files and the headers that keep it safe.
//!
//! The files are the ones that `cargo leptos build` makes: hashed by content, so that browsers may
//! keep them for ever, and compressed ahead of time.

use std::path::PathBuf;

mod threads;

use any_spawner::Executor;
use app::protocol::saved::Opened;
use app::protocol::{ErrorKind, Id};
use app::render_budget::{RenderBudget, RenderLimits};
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, Response, StatusCode};
use axum::middleware::map_request;
use axum::response::IntoResponse;
use axum::routing::get;
use leptos::config::LeptosOptions;
use leptos::nonce::use_nonce;
use leptos::prelude::{expect_context, provide_context};

use leptos_axum::{ResponseOptions, render_app_to_stream_with_context};
use serde::Deserialize;
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::config::Config;
use crate::http::error::AppError;
use crate::http::library::Shelf;
use crate::http::state::AppState;
use threads::PageThreads;

/// Hashed files never change; what has another content has another name.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// What the query of a conversation's address says.
#[derive(Deserialize)]
struct LinkTo {
    /// The message up to which the conversation is shown.
    message: Option<Id>,
}

/// The page, its files, and what is answered where there is nothing.
pub(crate) fn router(state: &AppState) -> Router<AppState> {
    // Leptos spawns the work of a page through this; that it was set before is no fault.
    let _ = Executor::init_tokio();
    let options = leptos_options(&state.config);
    let site = PathBuf::from(options.site_root.as_ref());
    let shell = {
        let options = options.clone();
        move || app::shell(options.clone())
    };
    let render = {
        let state = state.clone();
        let threads = PageThreads::new();
        let reload_port = state
            .config
            .watch
            .as_ref()
            .map(|_| state.config.reload_port);
        move |opened: Opened, request: Request| {
            let (state, threads) = (state.clone(), threads.clone());
            let context = move || {
                provide_context(state.page_info());
                provide_context(opened.clone());
                provide_context(RenderBudget::new(RenderLimits::default()));
                set_page_headers(reload_port);
            };
            let page = render_app_to_stream_with_context(context, shell.clone())(request);
            async move { threads.run(page).await }
        }
    };
    let home = {
        let (render, state) = (render.clone(), state.clone());
        async move |request: Request| {
            let opened = Shelf::local(state).open(None, None).await;
            render(opened, request).await
        }
    };
    let conversation = {
        let (render, state) = (render.clone(), state.clone());
        async move |Path(id): Path<Id>,
                    link: Result<Query<LinkTo>, QueryRejection>,
                    request: Request| {
            // A query that says nothing to us is no reason to show nothing.
            let message = link.ok().and_then(|Query(link)| link.message);
            let opened = Shelf::local(state).open(Some(&id), message).await;
            let is_there = opened.conversation.is_some();
            let mut response = render(opened, request).await;
            if !is_there {
                *response.status_mut() = StatusCode::NOT_FOUND;
            }
            response
        }
    };
    let not_found = async move |request: Request| {
        if is_for_programs(request.uri().path()) {
            return AppError::from(ErrorKind::NotFound).into_response();
        }
        let mut response = render(Opened::default(), request).await;
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    };
    let pages = Router::new()
        .route("/", get(home))
        .route("/c/{id}", get(conversation))
        .layer(CompressionLayer::new());
    let hashed = ServiceBuilder::new()
        .layer(cache_when_found(if options.hash_files {
            FOR_EVER
        } else {
            "no-cache"
        }))
        .service(files(site.join(options.site_pkg_dir.as_ref())));
    let frames = crate::http::frames::router(&site);
    let public = ServiceBuilder::new()
        .layer(cache_when_found("public, max-age=3600"))
        .service(
            files(site)
                // What is not there is not there for any method.
                .call_fallback_on_method_not_allowed(true)
                .fallback(axum::handler::HandlerWithoutStateExt::into_service(
                    not_found,
                )),
        );
    Router::new()
        .merge(pages)
        .merge(frames)
        .nest_service("/pkg", hashed)
        .fallback_service(public)
        .layer(map_request(head_as_get))
}

/// `HEAD` is answered as `GET`, and hyper leaves the body out. With `HEAD`, and only then, what serves files
/// takes a name that no file can have for a failure of its own.
async fn head_as_get(mut request: Request) -> Request {
    if *request.method() == Method::HEAD {
        *request.method_mut() = Method::GET;
    }
    request
}

/// Files of a folder, compressed ones where the browser takes them. It resolves no `..`, no
/// backslashes and no drive letters, and lists no folders.
pub(crate) fn files(folder: PathBuf) -> ServeDir {
    ServeDir::new(folder)
        .precompressed_br()
        .precompressed_gzip()
        .append_index_html_on_directories(false)
}

/// Says how long a browser may keep a file, where there is one.
pub(crate) fn cache_when_found(
    value: &'static str,
) -> SetResponseHeaderLayer<
    impl Clone
    + Fn(&Response<tower_http::services::fs::ServeFileSystemResponseBody>) -> Option<HeaderValue>,
> {
    SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, move |response: &Response<_>| {
        let found = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
        Some(HeaderValue::from_static(if found {
            value
        } else {
            "no-store"
        }))
    })
}

/// Whether an unknown path is answered with JSON rather than with a page.
fn is_for_programs(path: &str) -> bool {
    ["/api", "/v1", "/pkg"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

/// Headers of every response. The page's own policy, which has a nonce, is set where it is rendered.
pub(crate) fn safe_headers() -> [SetResponseHeaderLayer<HeaderValue>; 6] {
    [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ]
    .map(|(name, value)| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    })
}

/// The policy of a page that is being rendered: its own files, its own server, and the scripts that
/// carry this response's nonce. WebAssembly is compiled, text is never evaluated. What it frames is our
/// own, too (see [`crate::http::frames`]).
fn set_page_headers(reload_port: Option<u32>) {
    let nonce = use_nonce().expect("leptos_axum provides one for each page");
    // While developing, the page waits for changes on a port of its own.
    let connect = reload_port.map_or(String::new(), |port| {
        format!(" ws://127.0.0.1:{port} ws://localhost:{port}")
    });
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; \
         img-src 'self' data:; connect-src 'self'{connect}; frame-src 'self'; manifest-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    );
    let response = expect_context::<ResponseOptions>();
    response.insert_header(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_str(&policy).expect("a nonce and an address are ASCII"),
    );
    response.insert_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

fn leptos_options(config: &Config) -> LeptosOptions {
    let beside_binary = |path: &str| Some(std::env::current_exe().ok()?.parent()?.join(path));
    let site = config
        .site_root
        .clone()
        // cargo-leptos builds both into one target folder.
        .or_else(|| beside_binary("../site").filter(|path| path.is_dir()))
        .unwrap_or_else(|| PathBuf::from("target/site"));
    LeptosOptions::builder()
        .output_name("rill")
        .site_root(site.to_string_lossy().into_owned())
        .site_pkg_dir("pkg")
        .reload_port(config.reload_port)
        .hash_files(beside_binary("hash.txt").is_some_and(|path| path.is_file()))
        .build()
}
