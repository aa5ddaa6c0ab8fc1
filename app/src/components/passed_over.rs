//! What the server rendered and the page does not take over while it comes to life.

use leptos::tachys::hydration::Cursor;
use leptos::tachys::view::{Position, PositionState};

/// Steps over the content of the element that is being taken over, whose only child it is. Only the
/// marker behind it is left, which the element itself looks for.
pub(super) fn pass_over(cursor: &Cursor, position: &PositionState) {
    if position.get() != Position::FirstChild {
        return;
    }
    let last = cursor.current().last_child();
    if let Some(before) = last.and_then(|marker| marker.previous_sibling()) {
        cursor.set(before);
        position.set(Position::NextChild);
    }
}
