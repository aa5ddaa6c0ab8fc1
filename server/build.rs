//! With the feature `embed-site`: lists the files of the built page, which become part of the binary.
//!
//! cargo-leptos builds and compresses the page before it compiles the server. Of each file only the smallest form is
//! taken, the one that was compressed with Brotli if there is one.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_EMBED_SITE").is_none() {
        return;
    }
    let variable = |name: &str| PathBuf::from(std::env::var_os(name).expect("cargo sets it"));
    let workspace = variable("CARGO_MANIFEST_DIR").join("..");
    let site = workspace.join("target/site");
    println!("cargo:rerun-if-changed={}", site.display());
    let mut files = Vec::new();
    collect(&site, &mut files);
    assert!(
        files.iter().any(|file| file
            .extension()
            .is_some_and(|extension| extension == "wasm")),
        "the page is not built in {}: build it first, as scripts/serve does",
        site.display()
    );
    let mut paths: Vec<String> = files
        .iter()
        .filter(|file| {
            !matches!(
                file.extension().and_then(|it| it.to_str()),
                Some("br" | "gz")
            )
        })
        .map(|file| {
            let below = file.strip_prefix(&site).expect("it was found below");
            below
                .to_str()
                .expect("names of the build are ASCII")
                .replace('\\', "/")
        })
        .collect();
    paths.sort();
    let mut table = String::from("&[\n");
    for path in paths {
        let whole = site.join(&path);
        let smaller = site.join(format!("{path}.br"));
        let is_brotli = smaller.is_file() && size(&smaller) < size(&whole);
        let file = if is_brotli { smaller } else { whole };
        let file = file.canonicalize().expect("it is there");
        let tag = tag(&std::fs::read(&file).expect("it can be read"));
        writeln!(
            table,
            "EmbeddedFile {{ path: {path:?}, bytes: include_bytes!({file:?}), is_brotli: {is_brotli}, tag: {tag:?} }},"
        )
        .expect("a string takes all");
    }
    table.push(']');
    std::fs::write(variable("OUT_DIR").join("site.rs"), table).expect("the folder is for that");
}

fn size(file: &Path) -> u64 {
    file.metadata().map_or(u64::MAX, |metadata| metadata.len())
}

/// A text that differs for different contents, for the header `ETag`.
fn tag(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("\"{:016x}-{:x}\"", hasher.finish(), bytes.len())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
