//! Images in a text, shown when the user clicks their button.
//!
//! Before that an image is a link, and nothing is requested: the owner of its URL does not learn that the text is read.
//! The image is shown in a sandboxed iframe of our own server (`server/src/http/frames.rs`), so that the policy of the
//! page itself allows no other origin. The Markdown renderer creates the button
//! (see [`crate::markdown::node::Kind::ShowImage`]).

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use crate::markdown::node::SHOW_IMAGE;
use crate::page::base::below;
use crate::protocol::IMAGE_PATH;
use crate::ui::dom::{append, create_frame, set};
use crate::ui::transcript::follow::Follow;

/// The label of the button while the image is shown.
const HIDE_IMAGE: &str = "Hide image";

/// Shows the image of this button, or hides it.
pub(in crate::ui) fn toggle_picture(button: &Element, follow: Follow) {
    let Some(place) = button.parent_element() else {
        return;
    };
    if let Ok(Some(frame)) = place.query_selector("iframe") {
        frame.remove();
        set(button, "aria-label", SHOW_IMAGE);
        return;
    }
    let Some(link) = place.previous_element_sibling() else {
        return;
    };
    let Some(address) = link.get_attribute("href") else {
        return;
    };
    // Following would scroll the opened image up.
    follow.pause();
    let frame = create_frame(&name_of(&link));
    set(&frame, "sandbox", "");
    set(&frame, "src", &path_of(&address));
    append(&place, &frame);
    set(button, "aria-label", HIDE_IMAGE);
}

/// The title of an image: the text of its link.
fn name_of(link: &Element) -> String {
    let words = link.unchecked_ref::<HtmlElement>().inner_text();
    match words.trim() {
        "" => "Image".to_owned(),
        words => words.to_owned(),
    }
}

/// The path at which our server shows the image of this URL.
fn path_of(address: &str) -> String {
    let address: String = js_sys::encode_uri_component(address).into();
    below(IMAGE_PATH) + "?src=" + &address
}
