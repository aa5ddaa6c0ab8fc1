//! Serves the page: rendered by Leptos, with its files and its security headers.
//!
//! The files are built by `cargo leptos build`. Their names contain a hash of the content, so that browsers may
//! cache them forever, and they are compressed at build time.

use std::convert::Infallible;
use std::sync::Arc;

pub(super) mod site;
mod suggestions;
mod threads;

use any_spawner::Executor;
use app::page::render_budget::{RenderBudget, RenderLimits};
use app::protocol::saved::InitialData;
use app::protocol::{ErrorKind, Id, PageInfo};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request};
use axum::handler::HandlerWithoutStateExt;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use leptos::WasmSplitManifest;
use leptos::config::LeptosOptions;
use leptos::nonce::use_nonce;
use leptos::prelude::{expect_context, provide_context};

use leptos_axum::{ResponseOptions, render_app_to_stream_with_context};
use serde::Deserialize;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::access::Caller;
use crate::config::Config;
use crate::http::error::AppError;
use crate::http::library::StoredLibrary;
use crate::http::state::AppState;
use site::{BuildNames, Site};
use threads::PageThreads;

/// Files with a hash in their name never change.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The query of a conversation's URL.
#[derive(Deserialize)]
struct LinkTo {
    /// The message up to which the conversation is shown.
    message: Option<Id>,
}

/// A service that returns files.
pub(super) type FileService = BoxCloneSyncService<Request, Response, Infallible>;

/// Erases the type of a file service.
pub(super) fn boxed<S, B>(service: S) -> FileService
where
    S: Service<Request, Response = axum::http::Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: 'static,
    axum::http::Response<B>: IntoResponse,
{
    BoxCloneSyncService::new(service.map_response(IntoResponse::into_response))
}

/// The page and its files. The routes in [`mod@super::router`] use its handlers.
#[derive(Clone)]
pub(super) struct Pages {
    state: AppState,
    options: LeptosOptions,
    site: Site,
    names: Arc<BuildNames>,
    split: Option<WasmSplitManifest>,
    threads: PageThreads,
}

impl Pages {
    /// The page for a configuration.
    pub(super) fn new(state: &AppState) -> Self {
        // Leptos needs an executor. An error means that it was set before.
        let _ = Executor::init_tokio();
        let site = Site::of(&state.config);
        let names = site.build_files();
        Self {
            state: state.clone(),
            options: leptos_options(&state.config, &site),
            split: site.split_manifest(&names, state.config.base()),
            names: Arc::new(names),
            site,
            threads: PageThreads::new(),
        }
    }

    /// The page's files.
    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    /// The page without a conversation.
    pub(super) fn home(&self) -> MethodRouter<AppState> {
        let pages = self.clone();
        get(async move |caller: Caller, request: Request| {
            let opened = StoredLibrary::of(pages.state.clone(), &caller)
                .open(None, None)
                .await;
            pages.render(opened, request).await
        })
        .layer(CompressionLayer::new())
    }

    /// The page with a conversation, up to a message if the link names one.
    pub(super) fn conversation(&self) -> MethodRouter<AppState> {
        let pages = self.clone();
        get(
            async move |Path(id): Path<Id>,
                        caller: Caller,
                        link: Result<Query<LinkTo>, QueryRejection>,
                        request: Request| {
                // A link with an unknown query still shows the conversation.
                let message = link.ok().and_then(|Query(link)| link.message);
                let library = StoredLibrary::of(pages.state.clone(), &caller);
                let opened = library.open(Some(&id), message).await;
                let is_there = opened.conversation.is_some();
                let mut response = pages.render(opened, request).await;
                if !is_there {
                    *response.status_mut() = StatusCode::NOT_FOUND;
                }
                response
            },
        )
        .layer(CompressionLayer::new())
    }

    /// The files of the build, some with a hash in their name.
    pub(super) fn build_files(&self) -> FileService {
        let caching = if self.names.is_hashed {
            FOR_EVER
        } else {
            "no-cache"
        };
        boxed(
            ServiceBuilder::new()
                .layer(cache_when_found(caching))
                .service(self.site.files("pkg")),
        )
    }

    /// The other files, and the response for unknown paths.
    pub(super) fn public_files(&self) -> FileService {
        let pages = self.clone();
        let not_found = async move |request: Request| {
            // Without a caller nothing is rendered: the page names the default model.
            let is_caller_known = request.extensions().get::<Caller>().is_some();
            if is_for_programs(request.uri().path()) || !is_caller_known {
                return AppError::from(ErrorKind::NotFound).into_response();
            }
            let mut response = pages.render(InitialData::default(), request).await;
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        };
        let not_found = boxed(HandlerWithoutStateExt::into_service(not_found));
        let files = self.site.files_or(not_found);
        boxed(
            ServiceBuilder::new()
                .layer(cache_when_found("public, max-age=3600"))
                .service(files),
        )
    }

    async fn render(&self, opened: InitialData, request: Request) -> Response {
        let options = self.options.clone();
        let names = Arc::clone(&self.names);
        let shell = move || app::shell(options.clone(), &names.loaded);
        let state = self.state.clone();
        let reload_port = state
            .config
            .watch
            .as_ref()
            .map(|_| state.config.reload_port);
        let split = self.split.clone();
        // Whoever renders a page without a caller renders nothing of a person.
        let info = match request.extensions().get::<Caller>() {
            Some(caller) => self.state.page_info(caller),
            None => PageInfo {
                base: self.state.config.base().to_owned(),
                ..PageInfo::default()
            },
        };
        let context = move || {
            provide_context(info.clone());
            provide_context(suggestions::suggestions(&state));
            provide_context(opened.clone());
            provide_context(RenderBudget::new(RenderLimits::default()));
            set_page_headers(reload_port, !info.person.is_empty());
            if let Some(split) = &split {
                provide_context(split.clone());
            }
        };
        let page = render_app_to_stream_with_context(context, shell)(request);
        self.threads.run(page).await
    }
}

/// Handles `HEAD` as `GET`; hyper omits the body. With `HEAD` alone, the file service reports an impossible
/// file name as a failure of the server.
pub(super) async fn head_as_get(mut request: Request) -> Request {
    if *request.method() == Method::HEAD {
        *request.method_mut() = Method::GET;
    }
    request
}

/// Sets how long a browser may cache a file, on success.
pub(crate) fn cache_when_found(
    value: &'static str,
) -> SetResponseHeaderLayer<impl Clone + Fn(&Response) -> Option<HeaderValue>> {
    SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, move |response: &Response| {
        let found = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
        Some(HeaderValue::from_static(if found {
            value
        } else {
            "no-store"
        }))
    })
}

/// Whether an unknown path gets a JSON error rather than a page.
fn is_for_programs(path: &str) -> bool {
    ["/api", "/v1", "/pkg"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

/// The headers of every response. The policy of the page has a nonce and is set when the page is rendered.
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

/// The policy of a rendered page: its own files, its own server, and scripts with this response's nonce.
/// WebAssembly is compiled, but text is never evaluated. Only our own documents are framed (see
/// [`crate::http::frames`]).
fn set_page_headers(reload_port: Option<u32>, has_person: bool) {
    let nonce = use_nonce().expect("leptos_axum provides one for each page");
    // In development the page listens for rebuilds on another port.
    let connect = reload_port.map_or(String::new(), |port| {
        format!(" ws://127.0.0.1:{port} ws://localhost:{port}")
    });
    // Whoever is signed in signs out by a form, with which the browser must send the origin.
    let forms = if has_person { "'self'" } else { "'none'" };
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; \
         img-src 'self' data:; connect-src 'self'{connect}; frame-src 'self'; manifest-src 'self'; base-uri 'none'; \
         form-action {forms}; frame-ancestors 'none'"
    );
    let response = expect_context::<ResponseOptions>();
    response.insert_header(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_str(&policy).expect("a nonce and an address are ASCII"),
    );
    if has_person {
        let policy = HeaderValue::from_static("same-origin");
        response.insert_header(header::REFERRER_POLICY, policy);
    }
    response.insert_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

fn leptos_options(config: &Config, site: &Site) -> LeptosOptions {
    LeptosOptions::builder()
        .output_name("rill")
        .site_root(site.folder())
        .site_pkg_dir("pkg")
        .reload_port(config.reload_port)
        .build()
}
