//! A picture that a text names, shown in its place when a person asks for it.
//!
//! Before that it is a link, and nothing of it is requested: whoever wrote its address does not learn that
//! the text is read. Then it stands in a sandboxed frame of our own server (`server/src/frames.rs`), so that
//! the page itself stays closed to everything from elsewhere. The button is part of the text's elements
//! (see [`crate::markdown::node::Kind::ShowImage`]), and only what it shows is added here.

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use crate::markdown::node::SHOW_IMAGE;
use crate::protocol::IMAGE_PATH;
use crate::ui::dom::{append, create_frame, set};
use crate::ui::transcript::follow::Follow;

/// The name of the button while the picture is shown.
const HIDE_IMAGE: &str = "Hide image";

/// Shows the picture before this button, or hides it.
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
    // What the person opens stays where it is, instead of being pushed up by the following.
    follow.pause();
    let frame = create_frame(&name_of(&link));
    set(&frame, "sandbox", "");
    set(&frame, "src", &path_of(&address));
    append(&place, &frame);
    set(button, "aria-label", HIDE_IMAGE);
}

/// What a picture is called: the words of its link.
fn name_of(link: &Element) -> String {
    let words = link.unchecked_ref::<HtmlElement>().inner_text();
    match words.trim() {
        "" => "Image".to_owned(),
        words => words.to_owned(),
    }
}

/// Where our server shows the picture of this address.
fn path_of(address: &str) -> String {
    let address: String = js_sys::encode_uri_component(address).into();
    format!("{IMAGE_PATH}?src={address}")
}
