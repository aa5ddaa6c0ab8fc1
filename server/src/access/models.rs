//! Which models a person may use, by groups.

use std::collections::BTreeMap;

use super::person::Person;

/// Groups of people, and the models that only some groups may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelRules {
    /// The people of each group by their emails or names, in lower case. Claims and proxies name others.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Models and the groups that may use them.
    pub limits: Vec<ModelLimit>,
}

/// Models that only some groups may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelLimit {
    /// A model as `model` or `upstream/model`; with `*` at the end, all that begin so.
    pub models: String,
    /// The groups.
    pub groups: Vec<String>,
}

impl ModelRules {
    /// Whether everybody may use every model.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// Whether a person may use a model of an upstream. Each line that names it must allow it.
    #[must_use]
    pub fn allow(&self, person: &Person, upstream: &str, model: &str) -> bool {
        self.limits
            .iter()
            .filter(|limit| limit.concerns(upstream, model))
            .all(|limit| limit.groups.iter().any(|group| self.has(group, person)))
    }

    fn has(&self, group: &str, person: &Person) -> bool {
        let is_listed = |members: &Vec<String>| members.iter().any(|name| name == person.email());
        person.groups().iter().any(|name| name == group)
            || self.groups.get(group).is_some_and(is_listed)
    }

    /// Whether somebody who may use the model of this name may use the other as well, as when it falls back.
    #[must_use]
    pub fn allow_fallback(&self, model: &str, other: &str) -> bool {
        let limits = |name: &str| {
            let (upstream, rest) = name.split_once('/').unwrap_or(("", name));
            let (upstream, rest, name) = (upstream.to_owned(), rest.to_owned(), name.to_owned());
            self.limits
                .iter()
                .filter(move |limit| limit.concerns(&upstream, &rest) || limit.concerns("", &name))
        };
        limits(other).all(|wanted| {
            limits(model).any(|given| given.groups.iter().all(|it| wanted.groups.contains(it)))
        })
    }
}

impl ModelLimit {
    fn concerns(&self, upstream: &str, model: &str) -> bool {
        let pattern = plain(&self.models);
        let names = [
            plain(model),
            format!("{}/{}", plain(upstream), plain(model)),
        ];
        names.iter().any(|name| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => *name == pattern,
        })
    }
}

/// A name of a model as upstreams compare it: some do not tell cases apart, and Ollama takes a missing tag for `latest`.
fn plain(name: &str) -> String {
    let name = name.to_lowercase();
    name.strip_suffix(":latest").unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> ModelRules {
        let limit = |models: &str, groups: &[&str]| ModelLimit {
            models: models.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        };
        ModelRules {
            groups: BTreeMap::from([
                ("research".to_owned(), vec!["ann@example.com".to_owned()]),
                ("staff".to_owned(), Vec::new()),
            ]),
            limits: vec![
                limit("gpt-5", &["research"]),
                limit("gpu/*", &["research", "staff"]),
                limit("gpu/big", &["research"]),
            ],
        }
    }

    #[test]
    fn a_limited_model_is_for_its_groups_by_whatever_name_it_is_asked() {
        let check = |email: &str, groups: &[&str], upstream: &str, model: &str, expect: bool| {
            let person = Person::for_test(email, groups);
            let allowed = rules().allow(&person, upstream, model);
            assert_eq!(allowed, expect, "{email} {groups:?} {upstream}/{model}");
        };
        check("bob@example.com", &[], "openai", "gpt-5-mini", true);
        check("bob@example.com", &[], "openai", "gpt-5", false);
        check("bob@example.com", &[], "openai", "GPT-5", false);
        check("bob@example.com", &[], "openai", "gpt-5:latest", false);
        check("bob@example.com", &["staff"], "openai", "gpt-5", false);
        check("bob@example.com", &["research"], "openai", "gpt-5", true);
        check("ann@example.com", &[], "openai", "gpt-5", true);
        check("bob@example.com", &[], "gpu", "small", false);
        check("bob@example.com", &["staff"], "gpu", "small", true);
        check("bob@example.com", &["staff"], "gpu", "big", false);
        check("bob@example.com", &["Research"], "gpu", "small", false);
        check("ann@example.com", &[], "gpu", "big", true);
    }

    #[test]
    fn a_fallback_opens_no_model_that_the_person_may_not_use() {
        let check = |model: &str, other: &str, expect: bool| {
            assert_eq!(
                rules().allow_fallback(model, other),
                expect,
                "{model} {other}"
            );
        };
        check("gpt-5-mini", "other", true);
        check("gpt-5", "gpt-5-mini", true);
        check("gpt-5-mini", "gpt-5", false);
        check("gpt-5-mini", "openai/gpt-5", false);
        check("gpt-5", "gpu/small", true);
        check("gpt-5", "gpu/big", true);
        check("gpu/small", "gpt-5", false);
    }
}
