//! What lets a caller in, kept in memory: sessions, keys, and people whom a proxy names.
//!
//! The database is read once for each; then a check costs one look-up. Every change that can end one of them raises
//! the epoch of access in the database, by whichever program it is made. [`Access::watch`] reads the epoch several
//! times a second and reads all that is in memory again when it has grown. So the command line can revoke a session
//! without reaching the server, also where several servers use one database.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use super::person::{Caller, Person, Scope};
use super::{Access, Mode};
use crate::store::people::{StoredKey, StoredSession};
use crate::store::{StoreError, now};

/// How often the epoch is read. A session that is revoked ends within this time and what a read takes.
const WATCH: Duration = Duration::from_millis(250);
/// How often it is stored when sessions and keys were last used.
const NOTE: Duration = Duration::from_secs(60);

/// The epoch of memory that must be read again. No database has it.
const UNKNOWN: i64 = -1;

/// By what a caller is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// A session with this id.
    Session(String),
    /// A key with these scopes.
    Key(Vec<Scope>),
    /// A trusted proxy has named the person.
    Proxy,
}

/// A credential that is valid, with its person.
#[derive(Debug)]
pub(crate) struct Live {
    /// The hash of the secret, or the name that the proxy gave.
    name: String,
    pub(super) person: Arc<Person>,
    pub(super) credential: Credential,
    /// When it ends in any case, and after how long without use, in milliseconds.
    expires_at: Option<i64>,
    idle: Option<i64>,
    seen_at: AtomicI64,
    noted_at: AtomicI64,
    /// Cancelled when the credential ends.
    pub(super) ended: CancellationToken,
}

impl Live {
    fn is_valid(&self, now: i64) -> bool {
        let seen_at = self.seen_at.load(Ordering::Relaxed);
        self.expires_at.is_none_or(|end| now < end)
            && self
                .idle
                .is_none_or(|idle| now < seen_at.saturating_add(idle))
            && !self.ended.is_cancelled()
    }
}

/// The credentials in memory, and the epoch up to which they are right.
#[derive(Debug, Default)]
pub(super) struct LiveCredentials {
    by_name: RwLock<HashMap<String, Arc<Live>>>,
    epoch: AtomicI64,
}

const HELD: &str = "no holder of the lock panics";

impl LiveCredentials {
    fn get(&self, name: &str) -> Option<Arc<Live>> {
        self.by_name.read().expect(HELD).get(name).cloned()
    }

    fn all(&self) -> Vec<Arc<Live>> {
        self.by_name.read().expect(HELD).values().cloned().collect()
    }

    /// Removes and ends what has this name.
    fn end(&self, name: &str) {
        if let Some(live) = self.by_name.write().expect(HELD).remove(name) {
            live.ended.cancel();
        }
    }

    /// Adds what was read when the epoch was this, unless it has changed since.
    fn add(&self, live: &Arc<Live>, epoch: i64) -> bool {
        let mut all = self.by_name.write().expect(HELD);
        let is_current = self.epoch.load(Ordering::Relaxed) == epoch;
        if is_current {
            all.insert(live.name.clone(), Arc::clone(live));
        }
        is_current
    }

    /// Begins an epoch. Returns what is in memory and must be read again.
    fn begin(&self, epoch: i64) -> Vec<Arc<Live>> {
        let all = self.by_name.write().expect(HELD);
        self.epoch.store(epoch, Ordering::Relaxed);
        all.values().cloned().collect()
    }
}

/// How to read a credential that is not in memory.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Session,
    Key,
    Proxy,
}

impl Access {
    /// The caller with this credential, from memory or from the database. `None` if it is not valid.
    pub(super) async fn find(&self, kind: Kind, name: &str) -> Result<Option<Caller>, StoreError> {
        let now = now();
        let live = match self.live.get(name) {
            Some(live) => live,
            None => match self.load(kind, name).await? {
                Some(live) => live,
                None => return Ok(None),
            },
        };
        let is_of_kind = matches!(
            (kind, &live.credential),
            (Kind::Session, Credential::Session(_))
                | (Kind::Key, Credential::Key(_))
                | (Kind::Proxy, Credential::Proxy)
        );
        if !is_of_kind {
            return Ok(None);
        }
        if !live.is_valid(now) {
            self.live.end(name);
            return Ok(None);
        }
        live.seen_at.fetch_max(now, Ordering::Relaxed);
        Ok(Some(Caller::of(live)))
    }

    async fn load(&self, kind: Kind, name: &str) -> Result<Option<Arc<Live>>, StoreError> {
        loop {
            let epoch = self.live.epoch.load(Ordering::Relaxed);
            let Some(live) = self.read(kind, name).await? else {
                return Ok(None);
            };
            let live = Arc::new(live);
            if self.live.add(&live, epoch) {
                return Ok(Some(live));
            }
        }
    }

    async fn read(&self, kind: Kind, name: &str) -> Result<Option<Live>, StoreError> {
        let found = match kind {
            Kind::Session => self
                .store
                .session(name)
                .await
                .map(|(session, person)| self.of_session(&session, Person::from(person))),
            Kind::Key => {
                let found = self.store.api_key(name).await;
                found.map(|(key, person)| of_key(&key, Person::from(person)))
            }
            Kind::Proxy => self.read_named(name).await,
        };
        match found {
            Ok(live) => Ok(Some(live)),
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn of_session(&self, session: &StoredSession, person: Person) -> Live {
        Live {
            name: session.hash.clone(),
            person: Arc::new(person),
            credential: Credential::Session(session.id.clone()),
            expires_at: Some(session.expires_at),
            idle: i64::try_from(self.settings.idle.as_millis()).ok(),
            seen_at: AtomicI64::new(session.seen_at),
            noted_at: AtomicI64::new(session.seen_at),
            ended: CancellationToken::new(),
        }
    }

    /// A person whom the proxy names, as `name` and groups in lines.
    async fn read_named(&self, lines: &str) -> Result<Live, StoreError> {
        let (name, groups) = lines.split_once('\n').unwrap_or((lines, ""));
        let name = name.strip_prefix(BY_PROXY).unwrap_or(name);
        let stored = self.store.person_by_email(name).await?;
        if stored.disabled_at.is_some() {
            return Err(StoreError::NotFound);
        }
        let groups: Vec<String> = groups.lines().map(str::to_owned).collect();
        let is_admin = groups
            .iter()
            .any(|group| self.settings.admin_groups.contains(group));
        Ok(Live {
            name: lines.to_owned(),
            person: Arc::new(Person::from(stored).in_groups(groups, is_admin)),
            credential: Credential::Proxy,
            expires_at: None,
            idle: None,
            seen_at: AtomicI64::new(0),
            noted_at: AtomicI64::new(i64::MAX),
            ended: CancellationToken::new(),
        })
    }

    /// Reads everything in memory again if the epoch has grown, and ends what is not valid any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let epoch = self.store.access_epoch().await?;
        if epoch == self.live.epoch.load(Ordering::Relaxed) {
            return Ok(());
        }
        for live in self.live.begin(epoch) {
            let kind = match live.credential {
                Credential::Session(_) => Kind::Session,
                Credential::Key(_) => Kind::Key,
                Credential::Proxy => Kind::Proxy,
            };
            match self.read(kind, &live.name).await {
                Ok(Some(new)) if new.person == live.person && new.credential == live.credential => {
                }
                // The role or the owner is another one: what is open ends, and the next request reads it anew.
                Ok(_) => self.live.end(&live.name),
                // A failure of the store ends no stream. Everything is read again soon.
                Err(error) => {
                    self.live.epoch.store(UNKNOWN, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Watches for changes by other programs until the server stops, and stores when credentials were used.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        if self.settings.mode == Mode::Local {
            return;
        }
        let (mut ticks, mut notes) = (interval(WATCH), interval(NOTE));
        let mut has_failed = false;
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {
                    self.end_expired();
                    self.refresh().await
                }
                _ = notes.tick() => self.note_uses().await,
            };
            match done {
                Ok(()) => has_failed = false,
                Err(error) if !has_failed => {
                    has_failed = true;
                    tracing::error!(%error, "changes of accounts cannot be read from the database");
                }
                Err(_) => {}
            }
        }
    }

    fn end_expired(&self) {
        let now = now();
        for live in self.live.all() {
            if !live.is_valid(now) {
                self.live.end(&live.name);
            }
        }
    }

    async fn note_uses(&self) -> Result<(), StoreError> {
        let mut uses = Vec::new();
        for live in self.live.all() {
            let seen_at = live.seen_at.load(Ordering::Relaxed);
            if seen_at > live.noted_at.fetch_max(seen_at, Ordering::Relaxed) {
                uses.push((live.name.clone(), seen_at));
            }
        }
        let (now, idle) = (now(), self.settings.idle.as_millis());
        let idle_since = now.saturating_sub(i64::try_from(idle).unwrap_or(i64::MAX));
        self.store.note_uses(&uses, idle_since, now).await
    }
}

/// What the names of people begin with whom a proxy names. No hash begins so.
pub(super) const BY_PROXY: &str = "proxy:";

fn of_key(key: &StoredKey, person: Person) -> Live {
    let names: Vec<Scope> = serde_json::from_str(&key.scopes).unwrap_or_default();
    Live {
        name: key.hash.clone(),
        person: Arc::new(person),
        credential: Credential::Key(names),
        expires_at: key.expires_at,
        idle: None,
        seen_at: AtomicI64::new(key.seen_at.unwrap_or(0)),
        noted_at: AtomicI64::new(key.seen_at.unwrap_or(0)),
        ended: CancellationToken::new(),
    }
}
