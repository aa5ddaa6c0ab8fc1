//! The parts of the page, from the frame inwards. Each knows the chat's verbs and nothing of the
//! network; what they share (where the view stands, where one writes) comes by context.

pub mod model_picker;
pub mod settings;
pub mod sidebar;
pub mod theme_switch;

pub mod earlier_row;
pub mod messages;
mod passed_over;
pub mod transcript;
pub mod welcome;

pub mod ask_again;
mod code_block;
mod diagram;
pub mod go_on;
mod markdown_dom;
mod picture;
pub mod question;
pub mod reasoning;
pub mod reply;
pub mod streamed_text;
pub mod waiting;
mod warm_up;

pub mod copy_button;
pub mod figures;
pub mod versions;

pub mod composer;
pub mod composer_field;
pub mod follow;
pub mod link;
pub mod local_number;
pub mod ticking;
