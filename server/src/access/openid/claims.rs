//! What a provider says about a person.

use openidconnect::AdditionalClaims;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::failure::Failure;

/// Claims beyond those that the standard names.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct OtherClaims(pub(super) Map<String, Value>);

impl AdditionalClaims for OtherClaims {}

impl OtherClaims {
    /// The claim of this name. Dots also lead into objects, such as `realm_access.roles`.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        if let Some(value) = self.0.get(name) {
            return Some(value);
        }
        let (first, rest) = name.split_once('.')?;
        rest.split('.')
            .try_fold(self.0.get(first)?, |value, part| value.get(part))
    }

    /// The texts of a claim: a list, or one. Nothing if the claim is missing.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, Failure> {
        let wrong = || Failure::Claim(format!("{name} is neither a text nor a list of texts"));
        match self.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(Value::Array(list)) => list
                .iter()
                .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
                .collect(),
            Some(_) => Err(wrong()),
        }
    }
}

/// Who has signed in at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider.
    pub issuer: String,
    /// The provider's name for the person, which never changes.
    pub subject: String,
    /// The email. The provider has checked it, unless the configuration does without.
    pub email: String,
    /// The name; it may be empty.
    pub name: String,
    /// The groups, if the configuration names a claim for them.
    pub groups: Option<Vec<String>>,
    /// Whether the person is an admin, if the configuration names a claim for it.
    pub is_admin: Option<bool>,
    /// The ID token, by which the provider recognizes the session at its end.
    pub id_token: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_claim_is_found_by_its_whole_name_or_by_a_path() {
        let claims = json!({
            "groups": ["a", "b"], "role": "admin", "realm_access": { "roles": ["x"] },
            "https://example.com/groups": ["y"], "count": 5, "mixed": ["a", 1], "none": null,
        });
        let claims: OtherClaims = serde_json::from_value(claims).expect("claims");
        let check = |name: &str, expect: &[&str]| {
            assert_eq!(claims.texts(name).expect("texts"), expect, "{name}");
        };
        check("groups", &["a", "b"]);
        check("role", &["admin"]);
        check("realm_access.roles", &["x"]);
        check("https://example.com/groups", &["y"]);
        check("missing", &[]);
        check("realm_access.missing", &[]);
        check("none", &[]);
        for wrong in ["count", "mixed", "realm_access"] {
            assert!(claims.texts(wrong).is_err(), "{wrong}");
        }
    }
}
