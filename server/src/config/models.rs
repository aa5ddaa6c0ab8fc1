//! The sections `[groups]` and `[models]`: which models are for some people only.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use crate::access::models::{ModelLimit, ModelRules};

/// Names, each with its place.
type Names = Vec<Spanned<String>>;

/// The sections as they are written.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct NamesSection(BTreeMap<String, Names>);

/// A mistake and its range in the text.
type Mistake = (Range<usize>, String);

/// Reads both sections.
pub(super) fn read(groups: NamesSection, models: NamesSection) -> Result<ModelRules, Mistake> {
    let mut rules = ModelRules::default();
    for (name, members) in groups.0 {
        let members = members
            .into_iter()
            .map(|name| name.get_ref().trim().to_lowercase());
        rules.groups.insert(name, members.collect());
    }
    for (models, groups) in models.0 {
        for group in &groups {
            if !rules.groups.contains_key(group.get_ref()) {
                let message = format!(
                    "there is no group of this name: add `{} = []` to [groups], with the emails of its members unless \
                     a claim or the proxy names them",
                    group.get_ref()
                );
                return Err((group.span(), message));
            }
        }
        rules.limits.push(ModelLimit {
            models,
            groups: groups.into_iter().map(Spanned::into_inner).collect(),
        });
    }
    Ok(rules)
}
