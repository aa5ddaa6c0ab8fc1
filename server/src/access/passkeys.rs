//! Signing in with a passkey (WebAuthn): a key pair that a device or a password manager keeps for this server, and that
//! names the person by itself.

mod pending;

use std::sync::Mutex;

use reqwest::Url;
use serde::Serialize;
use uuid::Uuid;
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Webauthn, WebauthnError,
};
use webauthn_rs::{DEFAULT_AUTHENTICATOR_TIMEOUT, WebauthnBuilder};

use self::pending::Pending;
use super::accounts::{Actor, NewSignIn, Refused};
use super::guesses::Guess;
use super::person::Caller;
use super::secret::{hash_of, hex, new_secret};
use super::{Access, accounts};
use crate::store::StoreError;
use crate::store::people::{NewPasskey, PeopleChange, StoredPasskey};

/// The sentence of every failed sign-in, whatever was wrong.
const WRONG: &str = "This passkey does not let you in. Sign in otherwise, or ask an admin.";
/// The most passkeys of a person.
const MOST: usize = 20;

/// What was begun and not finished yet.
#[derive(Default)]
pub(super) struct Passkeys {
    /// By the id of the session.
    registrations: Mutex<Pending<PasskeyRegistration>>,
    /// By the hash of the secret in a cookie.
    sign_ins: Mutex<Pending<DiscoverableAuthentication>>,
}

const HELD: &str = "no holder of the lock panics";

/// Whether browsers have passkeys for a server at this address: it needs a name.
#[must_use]
pub fn has_passkeys(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| url.domain().is_some())
}

/// The server as browsers know it.
fn webauthn(address: &str) -> Result<Webauthn, Refused> {
    let no_name =
        || sentence("Passkeys need a server with a name, such as https://chat.example.com.");
    let url = Url::parse(address).map_err(|_| no_name())?;
    let origin = Url::parse(&url.origin().ascii_serialization()).map_err(|_| no_name())?;
    let name = origin.domain().ok_or_else(no_name)?;
    let builder = WebauthnBuilder::new(name, &origin).map_err(|_| no_name())?;
    builder
        .rp_name("Rill")
        .timeout(DEFAULT_AUTHENTICATOR_TIMEOUT)
        .build()
        .map_err(|_| no_name())
}

fn sentence(text: &str) -> Refused {
    Refused::Sentence(text.to_owned())
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("what was read or made is JSON")
}

impl Access {
    /// Begins to add a passkey of the caller. Returns what the browser needs to make one, as JSON.
    ///
    /// # Errors
    /// When the server has no name, or the person has too many passkeys.
    pub async fn begin_passkey(&self, caller: &Caller, address: &str) -> Result<String, Refused> {
        let webauthn = webauthn(address)?;
        let session = caller.session().ok_or(Refused::NotFound)?;
        let person = caller.person();
        let present = self.store.passkeys_of(person.id()).await?;
        if present.len() >= MOST {
            return Err(sentence("Remove a passkey before you add another one."));
        }
        let present = present
            .iter()
            .filter_map(|it| Some(read(it)?.cred_id().clone()));
        let id = Uuid::try_parse(person.id()).map_err(|_| Refused::NotFound)?;
        let name = match person.name() {
            "" => person.email(),
            name => name,
        };
        let begun =
            webauthn.start_passkey_registration(id, person.email(), name, Some(present.collect()));
        let (mut options, state) = begun.map_err(failed)?;
        // So that it names the person by itself.
        use webauthn_rs_proto::ResidentKeyRequirement;
        if let Some(selection) = &mut options.public_key.authenticator_selection {
            selection.resident_key = Some(ResidentKeyRequirement::Required);
            selection.require_resident_key = true;
        }
        let mut registrations = self.passkeys.registrations.lock().expect(HELD);
        registrations.add(session.to_owned(), person.id(), state);
        Ok(json(&options))
    }

    /// Adds the passkey that the browser has made, and which it describes as JSON.
    ///
    /// # Errors
    /// When it was not begun within the last minutes, or the passkey is not as it was asked for.
    pub async fn add_passkey(
        &self,
        caller: &Caller,
        address: &str,
        made: &str,
        name: &str,
        actor: &Actor,
    ) -> Result<(), Refused> {
        let refused = || sentence("The passkey could not be added. Try again.");
        let session = caller.session().ok_or(Refused::NotFound)?;
        let state = {
            let mut registrations = self.passkeys.registrations.lock().expect(HELD);
            registrations.take(session).ok_or_else(refused)?
        };
        let made: RegisterPublicKeyCredential =
            serde_json::from_str(made).map_err(|_| refused())?;
        let passkey = webauthn(address)?
            .finish_passkey_registration(&made, &state)
            .map_err(|error| {
                tracing::warn!(%error, "a passkey was not added");
                refused()
            })?;
        let new = NewPasskey {
            id: hex(passkey.cred_id()),
            person: caller.person().id().to_owned(),
            name: name.to_owned(),
            credential: json(&passkey),
        };
        let email = caller.person().email();
        self.change(
            "added a passkey",
            actor,
            email,
            PeopleChange::AddPasskey(new),
        )
        .await
    }

    /// Begins to sign somebody in with a passkey. Returns what the browser needs as JSON, and the secret of a cookie.
    ///
    /// # Errors
    /// When the server has no name.
    pub fn begin_passkey_sign_in(
        &self,
        address: &str,
        actor: &Actor,
    ) -> Result<(String, String), Refused> {
        let begun = webauthn(address)?.start_discoverable_authentication();
        let (mut options, state) = begun.map_err(failed)?;
        // The page decides how it asks.
        options.mediation = None;
        let secret = new_secret();
        let hash = hash_of(&secret).expect("a new secret");
        let mut sign_ins = self.passkeys.sign_ins.lock().expect(HELD);
        sign_ins.add(hash, &actor.address, state);
        Ok((json(&options), secret))
    }

    /// Signs a person in whose browser asserts, as JSON, to have a passkey. Returns the secret of the session.
    ///
    /// # Errors
    /// One sentence, whatever was wrong, or that there were too many failures.
    pub async fn sign_in_by_passkey(
        &self,
        address: &str,
        asserted: &str,
        begun: Option<&str>,
        actor: &Actor,
        replaces: Option<&str>,
    ) -> Result<String, Refused> {
        // The account is not known yet.
        let guess = Guess {
            account: "",
            address: &actor.address,
            is_known: true,
        };
        self.guesses
            .begin(guess, tokio::time::Instant::now())
            .map_err(Refused::TooMany)?;
        let verified = self.verified(address, asserted, begun).await?;
        let Some((stored, passkey)) = verified else {
            let failed = "failed to sign in with a passkey";
            let noted = accounts::change(&self.store, failed, actor, "unknown", PeopleChange::Note);
            let _ = noted.await;
            return Err(sentence(WRONG));
        };
        self.guesses.was_right(guess);
        let person = self.store.person(&stored.person).await?;
        if person.disabled_at.is_some() {
            return Err(sentence(WRONG));
        }
        let actor = Actor {
            name: person.email.clone(),
            ..actor.clone()
        };
        let used = PeopleChange::UsePasskey {
            id: stored.id,
            credential: json(&passkey),
        };
        self.change("used a passkey", &actor, &person.email, used)
            .await?;
        let sign_in = NewSignIn::of(&person.id, &person.email, replaces);
        self.begin_session(sign_in, &actor).await
    }

    /// The passkey that the browser has proved to have, as it is from now on.
    async fn verified(
        &self,
        address: &str,
        asserted: &str,
        begun: Option<&str>,
    ) -> Result<Option<(StoredPasskey, Passkey)>, Refused> {
        let webauthn = webauthn(address)?;
        let state = begun.and_then(hash_of).and_then(|hash| {
            let mut sign_ins = self.passkeys.sign_ins.lock().expect(HELD);
            sign_ins.take(&hash)
        });
        let asserted: Result<PublicKeyCredential, _> = serde_json::from_str(asserted);
        let (Some(state), Ok(asserted)) = (state, asserted) else {
            return Ok(None);
        };
        let Ok((person, id)) = webauthn.identify_discoverable_authentication(&asserted) else {
            return Ok(None);
        };
        let stored = match self.store.passkey(&hex(id)).await {
            Ok(stored) if stored.person == person.to_string() => stored,
            Ok(_) | Err(StoreError::NotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(mut passkey) = read(&stored) else {
            return Ok(None);
        };
        match webauthn.finish_discoverable_authentication_v2(&asserted, state, &passkey) {
            Ok(result) => {
                passkey.update_credential(&result);
                Ok(Some((stored, passkey)))
            }
            Err(error) => {
                tracing::warn!(%error, "a passkey did not let anybody in");
                Ok(None)
            }
        }
    }
}

fn read(stored: &StoredPasskey) -> Option<Passkey> {
    serde_json::from_str(&stored.credential).ok()
}

fn failed(error: WebauthnError) -> Refused {
    tracing::error!(%error, "a passkey cannot be asked for");
    Refused::Failed
}
