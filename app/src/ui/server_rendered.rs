//! Views that the server renders and that hydration skips. They belong to a lazy part, which takes them over when it is
//! loaded (see [`mod@crate::page::lazy`]).

use leptos::attr::Attribute;
use leptos::attr::any_attribute::AnyAttribute;
use leptos::prelude::*;
use leptos::tachys::hydration::Cursor;
use leptos::tachys::view::{Position, PositionState};

/// A view that only the server renders. It must be the only child of its element.
pub(in crate::ui) struct ServerRendered(Option<AnyView>);

impl ServerRendered {
    pub(in crate::ui) fn new<V: IntoView + 'static>(view: impl FnOnce() -> V) -> Self {
        // A compile-time condition, so that nothing of the view is in the first file of the wasm.
        Self(cfg!(feature = "ssr").then(|| view().into_any()))
    }
}

/// Skips the content of the element that is being hydrated, except for the marker after it, which the element itself
/// expects.
fn skip(cursor: &Cursor, position: &PositionState) {
    if position.get() != Position::FirstChild {
        return;
    }
    let last = cursor.current().last_child();
    if let Some(before) = last.and_then(|marker| marker.previous_sibling()) {
        cursor.set(before);
        position.set(Position::NextChild);
    }
}

impl Render for ServerRendered {
    type State = ();

    fn build(self) -> Self::State {}

    fn rebuild(self, (): &mut Self::State) {}
}

impl AddAnyAttr for ServerRendered {
    type Output<NewAttr: Attribute> = Self;

    fn add_any_attr<NewAttr: Attribute>(self, _: NewAttr) -> Self::Output<NewAttr> {
        self
    }
}

impl RenderHtml for ServerRendered {
    type AsyncOutput = Self;
    type Owned = Self;

    const MIN_LENGTH: usize = 0;

    fn dry_resolve(&mut self) {}

    async fn resolve(self) -> Self::AsyncOutput {
        self
    }

    fn html_len(&self) -> usize {
        self.0.as_ref().map_or(0, RenderHtml::html_len)
    }

    fn to_html_with_buf(
        self,
        buf: &mut String,
        position: &mut Position,
        escape: bool,
        mark_branches: bool,
        extra_attrs: Vec<AnyAttribute>,
    ) {
        if let Some(view) = self.0 {
            view.to_html_with_buf(buf, position, escape, mark_branches, extra_attrs);
        }
        *position = Position::NextChild;
    }

    fn hydrate<const FROM_SERVER: bool>(
        self,
        cursor: &Cursor,
        position: &PositionState,
    ) -> Self::State {
        skip(cursor, position);
    }

    fn into_owned(self) -> Self::Owned {
        self
    }
}
