//! The buttons of code blocks: copy, wrap lines, download; and draw, if the code is a diagram (see
//! [`crate::ui::content::diagram`]).
//!
//! The Markdown renderer creates the buttons (see [`crate::markdown::node`]). One event listener on the text handles them
//! all, including those that the server rendered and those of images ([`crate::ui::content::picture`]).

use std::time::Duration;

use js_sys::Array;
use leptos::ev::MouseEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use web_sys::{Blob, BlobPropertyBag, Element, HtmlAnchorElement, Url};

use crate::ui::content::diagram::toggle_diagram;
use crate::ui::content::picture::toggle_picture;
use crate::ui::controls::copy_button::copy_to_clipboard;
use crate::ui::transcript::follow::Follow;

/// How long a button shows its outcome.
const OUTCOME_TIME: Duration = Duration::from_secs(2);

/// Handles a click in a text: finds the button that was clicked, and performs its action.
pub(in crate::ui) fn on_text_click(click: &MouseEvent, follow: Follow) {
    let button = click
        .target()
        .and_then(|target| target.dyn_into::<Element>().ok())
        .and_then(|element| element.closest("[data-act]").ok().flatten());
    let Some(button) = button else { return };
    let Some(name) = button.get_attribute("data-act") else {
        return;
    };
    if name == "show-image" {
        toggle_picture(&button, follow);
    } else if let Some(block) = button.closest("figure").ok().flatten() {
        act_on_code(&name, &button, &block, follow);
    }
}

/// Performs the action of a button of a code block.
fn act_on_code(name: &str, button: &Element, block: &Element, follow: Follow) {
    let Some(code) = block.query_selector("code").ok().flatten() else {
        return;
    };
    match name {
        "draw" => toggle_diagram(block, follow),
        "copy" => copy(button.clone(), code.text_content().unwrap_or_default()),
        "wrap" => {
            let is_wrapped = block.class_list().toggle("wrapped").unwrap_or_default();
            let _ = button.set_attribute("aria-pressed", if is_wrapped { "true" } else { "false" });
        }
        "download" => {
            let language = block.get_attribute("data-language").unwrap_or_default();
            // If this fails, the browser shows that nothing was downloaded.
            let _ = download(
                &code.text_content().unwrap_or_default(),
                file_name(&language),
            );
        }
        _ => {}
    }
}

fn copy(button: Element, text: String) {
    spawn_local(async move {
        let outcome = match copy_to_clipboard(&text).await {
            Ok(()) => "Copied",
            Err(_) => "Not copied",
        };
        let _ = button.set_attribute("data-said", outcome);
        set_timeout(
            move || {
                let _ = button.remove_attribute("data-said");
            },
            OUTCOME_TIME,
        );
    });
}

fn download(text: &str, name: String) -> Result<(), wasm_bindgen::JsValue> {
    let options = BlobPropertyBag::new();
    options.set_type("text/plain;charset=utf-8");
    let blob = Blob::new_with_str_sequence_and_options(&Array::of1(&text.into()), &options)?;
    let address = Url::create_object_url_with_blob(&blob)?;
    let link: HtmlAnchorElement = document().create_element("a")?.unchecked_into();
    link.set_href(&address);
    link.set_download(&name);
    link.click();
    Url::revoke_object_url(&address)
}

/// The file name for code in this language.
fn file_name(language: &str) -> String {
    let lower = language.to_ascii_lowercase();
    let ending = match lower.as_str() {
        "rust" => "rs",
        "python" => "py",
        "javascript" => "js",
        "typescript" => "ts",
        "csharp" | "c#" => "cs",
        "c++" => "cpp",
        "ruby" => "rb",
        "kotlin" => "kt",
        "bash" | "shell" => "sh",
        "powershell" => "ps1",
        "markdown" => "md",
        "haskell" => "hs",
        "perl" => "pl",
        "julia" => "jl",
        "elixir" => "ex",
        "yaml" => "yml",
        short
            if !short.is_empty()
                && short.len() <= 5
                && short.bytes().all(|b| b.is_ascii_alphanumeric()) =>
        {
            short
        }
        _ => "txt",
    };
    format!("code.{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_its_language() {
        let check =
            |language: &str, expect: &str| assert_eq!(file_name(language), expect, "{language}");
        check("rust", "code.rs");
        check("Python", "code.py");
        check("sql", "code.sql");
        check("", "code.txt");
        check("../../etc", "code.txt");
        check("objective-c", "code.txt");
    }
}
