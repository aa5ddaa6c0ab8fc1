//! Which models can be chosen, as the server tells.
//!
//! The trait stands here and its real implementation in `frontend`, so that this crate does no I/O. On
//! the server there is none: the list is asked for when somebody opens it.

use std::sync::Arc;

use futures::future::LocalBoxFuture;
use leptos::prelude::{provide_context, use_context};

use crate::protocol::ModelList;

/// A way to ask the server for its models.
pub trait Models: Send + Sync {
    /// The list; nothing if the server does not answer with one.
    fn list(&self) -> LocalBoxFuture<'static, Option<ModelList>>;
}

/// Makes the models available to the page.
pub fn provide_models(models: impl Models + 'static) {
    provide_context::<Arc<dyn Models>>(Arc::new(models));
}

/// The models, if they can be asked for here.
#[must_use]
pub fn use_models() -> Option<Arc<dyn Models>> {
    use_context()
}
