//! Where the files of the page are: in the binary, or in a folder.
//!
//! A binary that was built with the feature `embed-site` holds them, compressed as far as that makes them smaller,
//! and reads no other file. `--site-root`, which `cargo leptos watch` sets, names a folder all the same.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Read;
use std::path::PathBuf;
use std::task::{Context, Poll};

use app::BuildFiles;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use leptos::WasmSplitManifest;
use leptos::prelude::ArcStoredValue;
use percent_encoding::percent_decode_str;
use tower::{Service, ServiceExt};
use tower_http::services::ServeDir;

use super::{FileService, boxed};
use crate::config::Config;

/// A file in the binary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EmbeddedFile {
    /// Its path below the site, without a slash at its beginning.
    pub(super) path: &'static str,
    pub(super) bytes: &'static [u8],
    /// Whether the bytes are compressed.
    pub(super) is_brotli: bool,
    /// The value of `ETag`.
    pub(super) tag: &'static str,
}

/// The files of the page. They are sorted by their paths.
#[cfg(feature = "embed-site")]
const EMBEDDED: &[EmbeddedFile] = include!(concat!(env!("OUT_DIR"), "/site.rs"));
#[cfg(not(feature = "embed-site"))]
const EMBEDDED: &[EmbeddedFile] = &[];

/// The files of the page.
#[derive(Debug, Clone)]
pub(crate) enum Site {
    /// In the binary.
    Embedded(&'static [EmbeddedFile]),
    /// In this folder, with the names that `hash.txt` beside the binary has, if it is there.
    Folder(PathBuf),
}

impl Site {
    /// The site of a configuration.
    pub(super) fn of(config: &Config) -> Self {
        if let Some(folder) = &config.site_root {
            return Self::Folder(folder.clone());
        }
        if !EMBEDDED.is_empty() {
            return Self::Embedded(EMBEDDED);
        }
        // cargo-leptos builds both into one target folder.
        let folder = beside_binary("../site").filter(|path| path.is_dir());
        Self::Folder(folder.unwrap_or_else(|| PathBuf::from("target/site")))
    }

    /// The folder, for Leptos, which needs none if the files are in the binary.
    pub(super) fn folder(&self) -> String {
        match self {
            Self::Embedded(_) => String::new(),
            Self::Folder(folder) => folder.to_string_lossy().into_owned(),
        }
    }

    /// The content of a small file.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        match self {
            Self::Embedded(files) => {
                let file = find(files, path)?;
                String::from_utf8(file.whole()).ok()
            }
            Self::Folder(folder) => std::fs::read_to_string(folder.join(path)).ok(),
        }
    }

    /// The names of the files that a page loads. `is_hashed` says whether they have hashes in them.
    pub(super) fn build_files(&self) -> BuildNames {
        match self {
            Self::Embedded(files) => {
                let names = files
                    .iter()
                    .filter_map(|file| file.path.strip_prefix("pkg/"));
                BuildNames::in_names(names)
            }
            Self::Folder(_) => match beside_binary("hash.txt").map(std::fs::read_to_string) {
                Some(Ok(hashes)) => BuildNames::in_hashes(&hashes),
                _ => BuildNames::without_hashes(),
            },
        }
    }

    /// The list of the wasm's parts, from which Leptos knows what to load early.
    pub(super) fn split_manifest(
        &self,
        names: &BuildNames,
        base: &str,
    ) -> Option<WasmSplitManifest> {
        let text = self.read(&format!("pkg/{}", names.manifest))?;
        let parts: HashMap<String, Vec<String>> = serde_json::from_str(&text).ok()?;
        let value = (format!("{base}/pkg"), parts, names.split.clone());
        Some(WasmSplitManifest(ArcStoredValue::new(value)))
    }

    /// Serves the files below a folder of the site. The prefix of its path is not part of the request's.
    pub(crate) fn files(&self, below: &'static str) -> FileService {
        match self {
            Self::Embedded(files) => boxed(EmbeddedFiles {
                files,
                below,
                otherwise: None,
            }),
            Self::Folder(folder) => boxed(files_of(folder.join(below))),
        }
    }

    /// Serves the files of the site, and whatever else by another service.
    pub(super) fn files_or(&self, otherwise: FileService) -> FileService {
        match self {
            Self::Embedded(files) => boxed(EmbeddedFiles {
                files,
                below: "",
                otherwise: Some(otherwise),
            }),
            Self::Folder(folder) => boxed(
                files_of(folder.clone())
                    // An unknown path is 404 with any method.
                    .call_fallback_on_method_not_allowed(true)
                    .fallback(otherwise),
            ),
        }
    }
}

fn beside_binary(path: &str) -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.join(path))
}

/// Files of a folder, compressed if the browser accepts it. The service resolves no `..`, backslashes or drive
/// letters, and lists no folders.
fn files_of(folder: PathBuf) -> ServeDir {
    ServeDir::new(folder)
        .precompressed_br()
        .precompressed_gzip()
        .append_index_html_on_directories(false)
}

fn find(files: &'static [EmbeddedFile], path: &str) -> Option<&'static EmbeddedFile> {
    let at = files.binary_search_by(|file| file.path.cmp(path)).ok()?;
    Some(&files[at])
}

/// The names of the files that the build makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BuildNames {
    pub(super) loaded: BuildFiles,
    /// Whether the names have hashes of the contents in them, so that a file never changes.
    pub(super) is_hashed: bool,
    split: String,
    manifest: String,
}

impl BuildNames {
    fn without_hashes() -> Self {
        Self {
            loaded: BuildFiles {
                style: "rill".to_owned(),
                script: "rill".to_owned(),
                // wasm-bindgen's own name, which cargo-leptos changes.
                wasm: match option_env!("LEPTOS_OUTPUT_NAME") {
                    Some(_) => "rill",
                    None => "rill_bg",
                }
                .to_owned(),
            },
            is_hashed: false,
            split: "__wasm_split.______________________.js".to_owned(),
            manifest: "__wasm_split_manifest.json".to_owned(),
        }
    }

    /// The names by the file that cargo-leptos writes: a line `js: hash` for each.
    fn in_hashes(text: &str) -> Self {
        let mut names = Self::without_hashes();
        names.loaded.wasm = "rill".to_owned();
        names.is_hashed = true;
        for (kind, hash) in text.lines().filter_map(|line| line.split_once(':')) {
            names.set(kind.trim(), hash.trim());
        }
        names
    }

    /// The names by a list of the files.
    fn in_names<'a>(files: impl Iterator<Item = &'a str>) -> Self {
        let mut names = Self::without_hashes();
        for file in files {
            let [name, hash, kind] = file.split('.').collect::<Vec<_>>()[..] else {
                continue;
            };
            match (name, kind) {
                ("rill", "js" | "wasm" | "css") => names.set(kind, hash),
                ("__wasm_split", "js") => names.set("split", hash),
                ("__wasm_split_manifest", "json") => names.set("manifest", hash),
                _ => continue,
            }
            names.is_hashed = true;
        }
        names
    }

    fn set(&mut self, kind: &str, hash: &str) {
        match kind {
            "js" => self.loaded.script = format!("rill.{hash}"),
            "wasm" => self.loaded.wasm = format!("rill.{hash}"),
            "css" => self.loaded.style = format!("rill.{hash}"),
            "split" => self.split = format!("__wasm_split.{hash}.js"),
            "manifest" => self.manifest = format!("__wasm_split_manifest.{hash}.json"),
            _ => {}
        }
    }
}

/// Serves files of the binary.
#[derive(Clone)]
struct EmbeddedFiles {
    files: &'static [EmbeddedFile],
    below: &'static str,
    otherwise: Option<FileService>,
}

impl Service<Request> for EmbeddedFiles {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The other service is asked when it is needed.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let is_get = request.method() == Method::GET;
        let file = self.file(request.uri().path()).filter(|_| is_get);
        let otherwise = self.otherwise.clone();
        Box::pin(async move {
            match (file, otherwise) {
                (Some(file), _) => Ok(file.respond(request.headers()).await),
                (None, Some(otherwise)) => otherwise.oneshot(request).await,
                (None, None) if is_get => Ok(StatusCode::NOT_FOUND.into_response()),
                (None, None) => Ok(StatusCode::METHOD_NOT_ALLOWED.into_response()),
            }
        })
    }
}

impl EmbeddedFiles {
    fn file(&self, path: &str) -> Option<&'static EmbeddedFile> {
        let path = percent_decode_str(path.strip_prefix('/')?)
            .decode_utf8()
            .ok()?;
        match self.below {
            "" => find(self.files, &path),
            below => find(self.files, &format!("{below}/{path}")),
        }
    }
}

impl EmbeddedFile {
    async fn respond(&'static self, request: &HeaderMap) -> Response {
        let known = request.get(header::IF_NONE_MATCH);
        let known = known
            .and_then(|known| known.to_str().ok())
            .unwrap_or_default();
        let is_known = known
            .split(',')
            .any(|tag| tag.trim().trim_start_matches("W/") == self.tag);
        let mut response = if is_known {
            StatusCode::NOT_MODIFIED.into_response()
        } else if self.is_brotli && !accepts_brotli(request) {
            // Few clients do not: it takes some milliseconds, on a thread for that.
            match tokio::task::spawn_blocking(|| self.whole()).await {
                Ok(whole) => Body::from(whole).into_response(),
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        } else {
            let mut response = Body::from(self.bytes).into_response();
            if self.is_brotli {
                let brotli = HeaderValue::from_static("br");
                response
                    .headers_mut()
                    .insert(header::CONTENT_ENCODING, brotli);
            }
            response
        };
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, media_type(self.path)),
            (header::ETAG, self.tag),
            (header::VARY, "accept-encoding"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }

    /// The file as it was before it was compressed.
    fn whole(&self) -> Vec<u8> {
        if !self.is_brotli {
            return self.bytes.to_vec();
        }
        let mut whole = Vec::new();
        brotli_decompressor::Decompressor::new(self.bytes, 64 * 1024)
            .read_to_end(&mut whole)
            .expect("the build has compressed it");
        whole
    }
}

fn accepts_brotli(request: &HeaderMap) -> bool {
    let values = request.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_brotli = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("br"));
        let is_refused = parts.any(|part| {
            part.strip_prefix("q=")
                .is_some_and(|weight| weight.parse() == Ok(0.0_f32))
        });
        is_brotli && !is_refused
    })
}

/// The media type by the extension of a name.
fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css",
        Some("html") => "text/html",
        Some("ico") => "image/x-icon",
        Some("js") => "text/javascript",
        Some("json") => "application/json",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain",
        Some("wasm") => "application/wasm",
        Some("webmanifest") => "application/manifest+json",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use std::io::Write;

    const SCRIPT: &str =
        "console.log('a script that repeats itself, repeats itself, repeats itself');";

    /// A site of a compressed and an uncompressed file.
    fn site() -> Site {
        let mut compressed = Vec::new();
        brotli::CompressorWriter::new(&mut compressed, 4096, 9, 20)
            .write_all(SCRIPT.as_bytes())
            .expect("memory");
        let file = |path, bytes: Vec<u8>, is_brotli| EmbeddedFile {
            path,
            bytes: bytes.leak(),
            is_brotli,
            tag: "\"1-1\"",
        };
        let files = vec![
            file("icon.png", b"png".to_vec(), false),
            file("pkg/rill.Ab1.js", compressed, true),
            file("pkg/rill.Ab2.wasm", b"wasm".to_vec(), false),
        ];
        Site::Embedded(files.leak())
    }

    async fn get(
        service: FileService,
        path: &str,
        fields: &[(&str, &str)],
    ) -> (u16, HeaderMap, Vec<u8>) {
        let mut request = Request::get(path);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = service.oneshot(request).await.expect("never fails");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body");
        (parts.status.as_u16(), parts.headers, body.to_vec())
    }

    #[tokio::test]
    async fn a_file_of_the_binary_is_sent_as_the_browser_takes_it() {
        let check = async |encoding: &str, coding: Option<&str>| {
            let fields = [("accept-encoding", encoding)];
            let (status, headers, body) = get(site().files("pkg"), "/rill.Ab1.js", &fields).await;
            assert_eq!(status, 200);
            let got = headers
                .get("content-encoding")
                .map(|value| value.to_str().expect("ASCII"));
            assert_eq!(got, coding, "{encoding}");
            assert_eq!(headers["content-type"], "text/javascript");
            assert_eq!(headers["vary"], "accept-encoding");
            assert_eq!(body == SCRIPT.as_bytes(), coding.is_none(), "{encoding}");
        };
        check("gzip, deflate, br, zstd", Some("br")).await;
        check("BR;q=0.5", Some("br")).await;
        check("gzip", None).await;
        check("br;q=0", None).await;
        check("", None).await;
        let (status, headers, body) =
            get(site().files(""), "/icon.png", &[("accept-encoding", "br")]).await;
        assert_eq!((status, body.as_slice()), (200, b"png".as_slice()));
        assert!(!headers.contains_key("content-encoding"));
    }

    #[tokio::test]
    async fn a_file_that_the_browser_has_is_not_sent_again() {
        for (tag, expect) in [("\"1-1\"", 304), ("\"0\", W/\"1-1\"", 304), ("\"2\"", 200)] {
            let (status, headers, _) = get(
                site().files("pkg"),
                "/rill.Ab1.js",
                &[("if-none-match", tag)],
            )
            .await;
            assert_eq!(status, expect, "{tag}");
            assert_eq!(headers["etag"], "\"1-1\"");
        }
    }

    #[tokio::test]
    async fn only_files_of_the_site_are_found_and_the_rest_is_left_to_another() {
        let check = async |path: &str, expect: u16| {
            let (status, _, _) = get(site().files("pkg"), path, &[]).await;
            assert_eq!(status, expect, "{path}");
        };
        check("/rill.Ab1.js", 200).await;
        check("/rill%2EAb1.js", 200).await;
        for path in [
            "/",
            "/rill.js",
            "/../icon.png",
            "/..%2Ficon.png",
            "/%FF",
            "//rill.Ab1.js",
        ] {
            check(path, 404).await;
        }
        let teapot = boxed(tower::service_fn(async |_: Request| {
            Ok::<_, Infallible>(StatusCode::IM_A_TEAPOT.into_response())
        }));
        let all = site().files_or(teapot);
        assert_eq!(get(all.clone(), "/icon.png", &[]).await.0, 200);
        assert_eq!(get(all.clone(), "/icon", &[]).await.0, 418);
        let post = Request::post("/icon.png")
            .body(Body::empty())
            .expect("a request");
        assert_eq!(all.oneshot(post).await.expect("never fails").status(), 418);
    }

    #[test]
    fn the_names_of_a_build_are_those_of_its_files_or_of_the_list_of_hashes() {
        let files = [
            "__wasm_split.H1.js",
            "__wasm_split_manifest.H2.json",
            "chunk_1.H3.wasm",
            "rill.H4.css",
            "rill.H5.js",
            "rill.H6.wasm",
        ];
        let by_files = BuildNames::in_names(files.into_iter());
        let by_hashes =
            BuildNames::in_hashes("js: H5\nwasm: H6\ncss: H4\nmanifest: H2\nsplit: H1\n");
        assert_eq!(by_files, by_hashes);
        assert!(by_files.is_hashed);
        let loaded = BuildFiles {
            style: "rill.H4".to_owned(),
            script: "rill.H5".to_owned(),
            wasm: "rill.H6".to_owned(),
        };
        assert_eq!(by_files.loaded, loaded);
        assert_eq!(site().build_files().loaded.wasm, "rill.Ab2");
        assert!(!BuildNames::in_names(["rill.css", "rill.js"].into_iter()).is_hashed);
    }
}
