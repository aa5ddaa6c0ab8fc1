//! Lets in a person whom the provider has named.

use super::claims::Identity;
use super::failure::Failure;
use super::{Attempt, OpenId, Returned};
use crate::access::accounts::{Actor, Refused, change};
use crate::access::email::AccountName;
use crate::access::guesses::Guess;
use crate::access::person::Role;
use crate::access::secret::hash_of;
use crate::access::{Access, NewSignIn};
use crate::store::people::{NewPerson, PeopleChange, ProviderPerson, StoredPerson};
use crate::store::{StoreError, new_id, now};

/// What the record tells about a failed sign-in.
const FAILED: &str = "failed to sign in by OpenID Connect";

/// What a person reads, whatever was wrong.
const SENTENCE: &str = "You could not be signed in.";

impl Access {
    /// Signing in by OpenID Connect, if it is configured.
    #[must_use]
    pub fn openid(&self) -> Option<&OpenId> {
        self.openid.as_ref()
    }

    /// Signs a person in whose browser has come back from the provider. Returns the secret of the session. The reason
    /// of a refusal is in the log.
    ///
    /// # Errors
    /// One sentence, whatever was wrong, or that there were too many failures.
    pub async fn sign_in_by_openid(
        &self,
        attempt: Option<&Attempt>,
        returned: Returned,
        return_url: &str,
        actor: &Actor,
        replaces: Option<&str>,
    ) -> Result<String, Refused> {
        let openid = self.openid().ok_or(Refused::NotFound)?;
        // Only the address is counted: the account is not known yet.
        let guess = Guess {
            account: "",
            address: &actor.address,
            is_known: true,
        };
        self.guesses
            .begin(guess, tokio::time::Instant::now())
            .map_err(Refused::TooMany)?;
        let finished = openid.finish(attempt, returned, return_url).await;
        let let_in = match finished {
            Ok(identity) => self.let_in(openid, identity, actor, replaces).await,
            Err(failure) => Err(failure),
        };
        match let_in {
            Ok(secret) => {
                self.guesses.was_right(guess);
                Ok(secret)
            }
            Err(failure) => {
                tracing::warn!(address = actor.address, "OpenID Connect: {failure}");
                let provider = openid.settings().issuer.clone();
                let noted = change(&self.store, FAILED, actor, &provider, PeopleChange::Note);
                // The person gets the same answer without the record.
                let _ = noted.await;
                Err(Refused::Sentence(SENTENCE.to_owned()))
            }
        }
    }

    /// The token of the session with this secret, if a provider gave one.
    pub async fn id_token_of(&self, secret: &str) -> Option<String> {
        let hash = hash_of(secret)?;
        self.store.id_token_of(&hash).await.ok().flatten()
    }

    async fn let_in(
        &self,
        openid: &OpenId,
        identity: Identity,
        actor: &Actor,
        replaces: Option<&str>,
    ) -> Result<String, Failure> {
        let settings = openid.settings();
        let refused = |refused: Refused| Failure::NotAdmitted(refused.to_string());
        let failed = |error: StoreError| refused(error.into());
        let known = self
            .store
            .person_by_identity(&identity.issuer, &identity.subject)
            .await;
        let known = found(known).map_err(failed)?;
        let is_expected = match &known {
            Some(_) => true,
            None => {
                let account = self.store.person_by_email(&identity.email).await;
                found(account).map_err(failed)?.is_some()
                    || self
                        .store
                        .is_invited(&identity.email, now())
                        .await
                        .map_err(failed)?
            }
        };
        settings
            .admit
            .check(&identity, is_expected)
            .map_err(Failure::NotAdmitted)?;
        let met = provider_person(&identity)?;
        if !known.is_some_and(|known| is_as_met(&known, &met)) {
            let what = "was named by OpenID Connect";
            let actor = Actor {
                name: identity.email.clone(),
                ..actor.clone()
            };
            self.change(what, &actor, &identity.email, PeopleChange::Meet(met))
                .await
                .map_err(refused)?;
        }
        let person = self
            .store
            .person_by_identity(&identity.issuer, &identity.subject)
            .await
            .map_err(failed)?;
        if person.disabled_at.is_some() {
            let email = person.email;
            return Err(Failure::NotAdmitted(format!("{email} is disabled")));
        }
        let actor = Actor {
            name: person.email.clone(),
            ..actor.clone()
        };
        let sign_in = NewSignIn {
            person: &person.id,
            email: &person.email,
            replaces,
            id_token: Some(identity.id_token),
        };
        self.begin_session(sign_in, &actor).await.map_err(refused)
    }
}

fn found<T>(found: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

fn provider_person(identity: &Identity) -> Result<ProviderPerson, Failure> {
    let name = AccountName::email(&identity.email)
        .ok_or_else(|| Failure::Claim("email is not an email address".to_owned()))?;
    let role = |is_admin: bool| if is_admin { Role::Admin } else { Role::Member };
    let groups = identity.groups.as_ref();
    Ok(ProviderPerson {
        issuer: identity.issuer.clone(),
        subject: identity.subject.clone(),
        person: NewPerson {
            id: new_id(),
            email: name.name,
            likeness: name.likeness,
            name: identity.name.clone(),
            role: Role::Member.as_str().to_owned(),
        },
        role: identity
            .is_admin
            .map(|is_admin| role(is_admin).as_str().to_owned()),
        groups: groups.map(|groups| serde_json::to_string(groups).expect("texts are JSON")),
    })
}

/// Whether the provider says nothing new about a person whom it has named before.
fn is_as_met(known: &StoredPerson, met: &ProviderPerson) -> bool {
    met.role.as_ref().is_none_or(|role| *role == known.role)
        && met
            .groups
            .as_ref()
            .is_none_or(|groups| *groups == known.member_of)
}
