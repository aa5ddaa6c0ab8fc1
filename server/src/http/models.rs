//! Which models a caller may use. A model that somebody may not use is like one that does not exist.

use app::protocol::ErrorKind;

use super::state::AppState;
use crate::access::Caller;
use crate::providers::{AvailableModel, Route};

impl AppState {
    /// Checks that the caller may use the model of this name, or the default one.
    ///
    /// # Errors
    /// As for a model that does not exist.
    pub(super) async fn check_model(
        &self,
        caller: &Caller,
        name: Option<&str>,
    ) -> Result<(), ErrorKind> {
        if self.access.settings().models.is_empty() {
            return Ok(());
        }
        let name = name.map_or_else(|| self.upstreams.default_model(), str::to_owned);
        match self.upstreams.route(&name).await {
            Some(route) => self.check_route(caller, &route),
            // Whoever asks it finds that out.
            None => Ok(()),
        }
    }

    /// The same, where it is known which upstream has the model.
    pub(super) fn check_route(&self, caller: &Caller, route: &Route) -> Result<(), ErrorKind> {
        let upstream = &route.upstream.settings().name;
        match self.may_use(caller, upstream, &route.model) {
            true => Ok(()),
            false => Err(ErrorKind::ModelNotFound),
        }
    }

    fn may_use(&self, caller: &Caller, upstream: &str, model: &str) -> bool {
        let rules = &self.access.settings().models;
        rules.is_empty() || rules.allow(caller.person(), upstream, model)
    }

    /// The models that the caller can choose.
    pub(super) async fn models_of(&self, caller: &Caller) -> Vec<AvailableModel> {
        self.look_for_ollama().await;
        let mut models = self.upstreams.choices().await;
        models.retain(|choice| {
            self.may_use(caller, &choice.upstream.settings().name, &choice.model.id)
        });
        models
    }
}
