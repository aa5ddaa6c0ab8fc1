//! All upstreams and the models that they have.
//!
//! A model is addressed by its name at its upstream, or by the upstream's name and its own, such as
//! `work/gpt-5-mini`, if several upstreams have the same name or a person wants to be explicit.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use app::protocol::ChatRequest;
use futures::future::join_all;

use crate::metrics::Metrics;
use crate::providers::Upstream;
use crate::providers::UpstreamLimits;
use crate::providers::api::Api;
use crate::providers::caching::Reuse;
use crate::providers::demo;
use crate::providers::dispatch::Dispatch;
use crate::providers::models::Model;
use crate::providers::settings::UpstreamSettings;

/// The default model of an upstream without a list.
const USUAL_MODEL: &str = "gpt-5-mini";
/// The same for Anthropic.
const USUAL_CLAUDE: &str = "claude-haiku-4-5";

/// The upstreams and their models. They may be replaced while replies are made.
#[derive(Debug)]
pub struct Registry {
    current: RwLock<Arc<Setup>>,
    pub(super) metrics: Arc<Metrics>,
}

/// The upstreams at one time. A reply keeps those with which it began.
#[derive(Debug)]
pub(crate) struct Setup {
    /// In the order of the configuration. An Ollama may be added at run time.
    upstreams: Arc<[Arc<Upstream>]>,
    /// The default model for requests without one, if configured.
    model: Option<String>,
    fallback: Arc<BTreeMap<String, Vec<String>>>,
    pub(super) limits: UpstreamLimits,
}

/// The upstream of a model.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// The upstream.
    pub(crate) upstream: Arc<Upstream>,
    /// The name of the model there.
    pub(crate) model: String,
}

/// A model that can be chosen.
#[derive(Debug, Clone)]
pub(crate) struct AvailableModel {
    /// Its unambiguous name.
    pub(crate) name: String,
    /// The upstream.
    pub(crate) upstream: Arc<Upstream>,
    /// The upstream's description of it.
    pub(crate) model: Model,
}

impl Registry {
    /// A registry of these upstreams. The first one is the default. Those that are found at run time are counted in
    /// `metrics`.
    #[must_use]
    pub fn new(
        upstreams: Vec<Arc<Upstream>>,
        model: Option<String>,
        fallback: BTreeMap<String, Vec<String>>,
        limits: UpstreamLimits,
        metrics: Arc<Metrics>,
    ) -> Self {
        let setup = Setup {
            upstreams: upstreams.into(),
            model,
            fallback: Arc::new(fallback),
            limits,
        };
        Self {
            current: RwLock::new(Arc::new(setup)),
            metrics,
        }
    }

    /// Replaces the upstreams. One whose settings are the same keeps its connections and what it has learnt, and an
    /// Ollama that was found at run time stays. Replies that have begun keep theirs.
    ///
    /// # Errors
    /// When no HTTP client for an upstream can be built. Nothing is replaced then.
    pub fn replace(
        &self,
        settings: Vec<UpstreamSettings>,
        model: Option<String>,
        fallback: BTreeMap<String, Vec<String>>,
    ) -> Result<(), reqwest::Error> {
        let old = self.current();
        let limits = old.limits;
        let kept_or_new = |settings: UpstreamSettings| {
            let mut old = old.upstreams.iter();
            match old.find(|upstream| upstream.settings().is_same(&settings)) {
                Some(same) => Ok(Arc::clone(same)),
                None => Upstream::new(settings, limits, &self.metrics).map(Arc::new),
            }
        };
        let upstreams: Result<Vec<_>, _> = settings.into_iter().map(kept_or_new).collect();
        let mut upstreams = upstreams?;
        let found = old.upstreams.iter().filter(|upstream| upstream.is_found());
        for found in found {
            let name = &found.settings().name;
            if upstreams.iter().all(|other| other.settings().name != *name) {
                upstreams.retain(|other| !is_demo(other));
                upstreams.push(Arc::clone(found));
            }
        }
        let setup = Setup {
            upstreams: upstreams.into(),
            model,
            fallback: Arc::new(fallback),
            limits,
        };
        *self.current.write().expect("no holder of the lock panics") = Arc::new(setup);
        Ok(())
    }

    /// The upstreams at this time.
    pub(super) fn current(&self) -> Arc<Setup> {
        Arc::clone(&self.current.read().expect("no holder of the lock panics"))
    }

    /// Requests an answer from a model.
    pub(crate) fn dispatch<'a>(
        &self,
        prompt: &'a ChatRequest,
        reuse: &'a Reuse,
        model: &str,
    ) -> Dispatch<'a> {
        Dispatch::new(self.current(), prompt, reuse, model)
    }

    /// The current upstreams.
    pub(crate) fn upstreams(&self) -> Arc<[Arc<Upstream>]> {
        Arc::clone(&self.current().upstreams)
    }

    /// The settings of an upstream with this name.
    pub(crate) fn settings_of(&self, name: &str) -> Option<UpstreamSettings> {
        let upstreams = self.upstreams();
        let mut all = upstreams.iter().map(|upstream| upstream.settings());
        all.find(|settings| settings.name == name).cloned()
    }

    /// Adds an upstream that was found at run time, unless there is one with its name. It replaces the demo.
    pub(crate) fn add(&self, upstream: Arc<Upstream>) {
        let mut current = self.current.write().expect("no holder of the lock panics");
        let name = &upstream.settings().name;
        let list = &current.upstreams;
        if list.iter().all(|other| other.settings().name != *name) {
            let others = list.iter().filter(|other| !is_demo(other)).cloned();
            *current = Arc::new(Setup {
                upstreams: others.chain([upstream]).collect(),
                model: current.model.clone(),
                fallback: Arc::clone(&current.fallback),
                limits: current.limits,
            });
        }
    }

    /// A sentence for each upstream, for the log. It has no key in it.
    #[must_use]
    pub fn described(&self) -> Vec<String> {
        let describe = |upstream: &Arc<Upstream>| {
            let settings = upstream.settings();
            let key = if settings.key.is_some() {
                "with a key"
            } else {
                "without a key"
            };
            let (name, url) = (&settings.name, &settings.base_url);
            format!("the upstream {name} is at {url}, {key}")
        };
        let upstreams = self.upstreams();
        upstreams
            .iter()
            .filter(|upstream| !is_demo(upstream))
            .map(describe)
            .collect()
    }

    /// Whether the embedded demo answers, because there is no other upstream.
    #[must_use]
    pub fn is_demo(&self) -> bool {
        self.upstreams().iter().any(is_demo)
    }

    /// The default model for requests without one.
    #[must_use]
    pub fn default_model(&self) -> String {
        self.current().default_model()
    }

    /// Finds the upstream of a model. Requests lists of models only if the known ones do not decide.
    pub(crate) async fn route(&self, name: &str) -> Option<Route> {
        self.current().route(name).await
    }

    /// All models that can be chosen, by upstream.
    pub(crate) async fn choices(&self) -> Vec<AvailableModel> {
        self.current().choices().await
    }
}

impl Setup {
    /// The default model for requests without one.
    fn default_model(&self) -> String {
        let upstreams = &self.upstreams;
        let Some(first) = upstreams.first() else {
            return USUAL_MODEL.to_owned();
        };
        if let Some(model) = &self.model
            && !is_demo(first)
        {
            return model.clone();
        }
        first.usual_model().to_owned()
    }

    /// The fallbacks of a model, in order.
    pub(super) fn fallbacks(&self, model: &str) -> &[String] {
        self.fallback.get(model).map_or(&[], Vec::as_slice)
    }

    /// Finds the upstream of a model. Requests lists of models only if the known ones do not decide.
    pub(crate) async fn route(&self, name: &str) -> Option<Route> {
        let upstreams = &self.upstreams;
        if let Some(route) = find(upstreams, name) {
            return Some(route);
        }
        // The default model of the first upstream needs no request.
        if self.model.is_none() && name == self.default_model() {
            return Some(Route {
                upstream: Arc::clone(upstreams.first()?),
                model: name.to_owned(),
            });
        }
        join_all(upstreams.iter().map(Upstream::list_models)).await;
        find(upstreams, name).or_else(|| {
            // No upstream lists the model: try one that does not list its models.
            let open: Vec<_> = upstreams.iter().filter(|one| !is_closed(one)).collect();
            let silent = |upstream: &&&Arc<Upstream>| upstream.known_models().is_none();
            let upstream = open.iter().find(silent).or(open.first())?;
            Some(Route {
                upstream: Arc::clone(upstream),
                model: name.to_owned(),
            })
        })
    }

    /// All models that can be chosen, by upstream.
    pub(crate) async fn choices(&self) -> Vec<AvailableModel> {
        let upstreams = &self.upstreams;
        let lists = join_all(upstreams.iter().map(Upstream::list_models)).await;
        let mut choices = Vec::new();
        for (upstream, models) in upstreams.iter().zip(&lists) {
            for model in models.iter() {
                let others = lists.iter().filter(|list| has(list, &model.id));
                let name = if others.count() > 1 {
                    format!("{}/{}", upstream.settings().name, model.id)
                } else {
                    model.id.clone()
                };
                choices.push(AvailableModel {
                    name,
                    upstream: Arc::clone(upstream),
                    model: model.clone(),
                });
            }
        }
        if choices.is_empty() {
            // An upstream without a list still has its default model.
            let name = self.default_model();
            if let Some(upstream) = upstreams.first() {
                choices.push(AvailableModel {
                    model: Model::named(&name),
                    name,
                    upstream: Arc::clone(upstream),
                });
            }
        }
        choices
    }
}

impl Upstream {
    /// The default model of an upstream. It does not change at run time, also when the upstream lists other
    /// models.
    fn usual_model(&self) -> &str {
        self.usual_model.get_or_init(|| {
            let settings = self.settings();
            let first_known = || Some(self.known_models()?.first()?.id.clone());
            match settings.api {
                _ if !settings.models.is_empty() => settings.models[0].clone(),
                _ if settings.is_openai() => USUAL_MODEL.to_owned(),
                Api::Messages => USUAL_CLAUDE.to_owned(),
                _ => first_known().unwrap_or_else(|| USUAL_MODEL.to_owned()),
            }
        })
    }
}

fn is_demo(upstream: &Arc<Upstream>) -> bool {
    upstream.settings().name == demo::NAME
}

/// Whether the configuration lists all models of an upstream. The demo costs nothing and answers for any model.
fn is_closed(upstream: &Arc<Upstream>) -> bool {
    !upstream.settings().models.is_empty() && !is_demo(upstream)
}

fn has(models: &[Model], name: &str) -> bool {
    models.iter().any(|model| model.id == name)
}

/// Finds the upstream of a model among the known lists.
fn find(upstreams: &[Arc<Upstream>], name: &str) -> Option<Route> {
    let route = |upstream: &Arc<Upstream>, model: &str| Route {
        upstream: Arc::clone(upstream),
        model: model.to_owned(),
    };
    let known_to = |upstream: &&Arc<Upstream>| {
        upstream
            .known_models()
            .is_some_and(|models| has(&models, name))
    };
    let exact = upstreams.iter().find(known_to);
    let explicit = upstreams.iter().find_map(|upstream| {
        let rest = name.strip_prefix(&upstream.settings().name)?;
        Some((upstream, rest.strip_prefix('/')?))
    });
    if let Some((upstream, model)) = explicit {
        let may_have = match upstream.known_models() {
            Some(models) => has(&models, model),
            // A gateway may list models with the provider's name, and may be the only upstream.
            None => exact.is_none() && upstreams.len() > 1,
        };
        if may_have {
            return Some(route(upstream, model));
        }
    }
    if let Some(upstream) = exact {
        return Some(route(upstream, name));
    }
    if let [only] = upstreams
        && !is_closed(only)
    {
        return Some(route(only, name));
    }
    by_family(upstreams, name).map(|upstream| route(upstream, name))
}

/// Finds an upstream without a list for a model of OpenAI or Anthropic, by the model's name.
fn by_family<'a>(upstreams: &'a [Arc<Upstream>], name: &str) -> Option<&'a Arc<Upstream>> {
    const OPENAI: [&str; 5] = ["gpt-", "chatgpt-", "o1", "o3", "o4"];
    let silent = upstreams
        .iter()
        .filter(|upstream| upstream.known_models().is_none());
    let (anthropics, others): (Vec<_>, Vec<_>) =
        silent.partition(|upstream| upstream.settings().api == Api::Messages);
    if name.starts_with("claude-") {
        return anthropics.first().copied();
    }
    if OPENAI.iter().any(|prefix| name.starts_with(prefix)) {
        return match others.as_slice() {
            [only] => Some(*only),
            others => {
                let mut others = others.iter().copied();
                others.find(|upstream| upstream.settings().is_openai())
            }
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(name: &str, api: Api, base_url: &str, models: &[&str]) -> Arc<Upstream> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = UpstreamSettings {
            models: models.iter().map(|model| (*model).to_owned()).collect(),
            ..UpstreamSettings::new(name, api, base_url.parse().expect("a URL"))
        };
        let limits = UpstreamLimits::for_tests();
        Arc::new(Upstream::new(settings, limits, &Arc::default()).expect("a client"))
    }

    fn local(name: &str, models: &[&str]) -> Arc<Upstream> {
        upstream(name, Api::ChatCompletions, "http://127.0.0.1:9/v1", models)
    }

    #[test]
    fn a_model_is_found_by_its_name() {
        let check = |upstreams: &[Arc<Upstream>], name: &str, expect: Option<(&str, &str)>| {
            let found = find(upstreams, name);
            let found = found.as_ref().map(|route| {
                (
                    route.upstream.settings().name.as_str(),
                    route.model.as_str(),
                )
            });
            assert_eq!(found, expect, "{name}");
        };
        let two = [local("a", &["x", "y"]), local("b", &["y", "z"])];
        check(&two, "x", Some(("a", "x")));
        check(&two, "z", Some(("b", "z")));
        check(&two, "y", Some(("a", "y")));
        check(&two, "b/y", Some(("b", "y")));
        check(&two, "b/x", None);
        check(&two, "w", None);

        let one = [local("openai", &[])];
        check(&one, "openai/gpt-5", Some(("openai", "openai/gpt-5")));
        check(&one, "anything", Some(("openai", "anything")));
        let said = [local("work", &["x"])];
        check(&said, "work/x", Some(("work", "x")));
        check(&said, "x", Some(("work", "x")));
        for other in ["w", "work/w", "gpt-5", "X", " x", ""] {
            check(&said, other, None);
        }
        check(
            &[local(demo::NAME, &[demo::NAME])],
            "w",
            Some((demo::NAME, "w")),
        );

        let router = [local("router", &["b/y"]), local("b", &[])];
        check(&router, "b/y", Some(("router", "b/y")));
        check(&router, "b/w", Some(("b", "w")));
        check(&router, "router/b/y", Some(("router", "b/y")));

        let families = [
            local("ollama", &[]),
            upstream("openai", Api::Responses, "https://api.openai.com/v1", &[]),
            upstream("claude", Api::Messages, "https://api.anthropic.com", &[]),
        ];
        check(&families, "gpt-5", Some(("openai", "gpt-5")));
        check(&families, "claude-x", Some(("claude", "claude-x")));
        check(&families, "llama3.2", None);
        let mocks = [
            local("one", &[]),
            upstream("claude", Api::Messages, "http://127.0.0.1:9", &[]),
        ];
        check(&mocks, "gpt-5", Some(("one", "gpt-5")));
        check(&mocks, "claude-x", Some(("claude", "claude-x")));
    }

    #[tokio::test]
    async fn a_model_that_no_upstream_may_be_asked_for_has_no_route() {
        let check = async |upstreams: &[Arc<Upstream>], name: &str, expect: Option<&str>| {
            let registry = Registry::new(
                upstreams.to_vec(),
                None,
                BTreeMap::new(),
                UpstreamLimits::for_tests(),
                Arc::default(),
            );
            let route = registry.route(name).await;
            let upstream = route
                .as_ref()
                .map(|route| route.upstream.settings().name.as_str());
            assert_eq!(upstream, expect, "{name}");
        };
        let closed = [local("a", &["x"]), local("b", &["y"])];
        check(&closed, "y", Some("b")).await;
        check(&closed, "w", None).await;
        check(&closed, "a/y", None).await;
        // An upstream without a list takes models that no other has, in any position.
        let mixed = [local("a", &["x"]), local("b", &[])];
        check(&mixed, "w", Some("b")).await;
        check(&mixed, "a/w", Some("b")).await;
    }

    #[test]
    fn the_usual_model_is_the_one_that_is_there() {
        let check = |upstreams: Vec<Arc<Upstream>>, expect: &str| {
            let registry = Registry::new(
                upstreams,
                None,
                BTreeMap::new(),
                UpstreamLimits::for_tests(),
                Arc::default(),
            );
            assert_eq!(registry.default_model(), expect);
        };
        check(vec![local("a", &["x", "y"]), local("b", &["z"])], "x");
        check(vec![local("a", &[])], USUAL_MODEL);
        check(
            vec![upstream("c", Api::Messages, "http://h", &[])],
            USUAL_CLAUDE,
        );
        check(vec![], USUAL_MODEL);
    }

    #[tokio::test]
    async fn two_models_of_one_name_are_told_apart_by_their_upstreams() {
        let registry = Registry::new(
            vec![local("a", &["x", "y"]), local("b", &["y", "z"])],
            None,
            BTreeMap::new(),
            UpstreamLimits::for_tests(),
            Arc::default(),
        );
        let names: Vec<String> = registry
            .choices()
            .await
            .into_iter()
            .map(|choice| choice.name)
            .collect();
        assert_eq!(names, ["x", "a/y", "b/y", "z"]);
    }
}
