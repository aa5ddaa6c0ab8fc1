//! Small controls that several components use.

pub mod copy_button;
pub mod icon;
pub mod link;
pub mod local_number;
pub mod popup_menu;
pub mod theme_switch;
pub mod ticking;
