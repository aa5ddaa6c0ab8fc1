//! The number of replies and streams at once, for one client and for all, and the rate at which a client may
//! begin saved replies.
//!
//! A [`Pass`] is taken before a request's body is read and is released when it is dropped. A saved reply takes
//! its pass later, when it is known to be new.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use app::protocol::ErrorKind;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio::time::Instant;

use crate::config::Capacity;

/// The client that a limit counts: the person with accounts, or else an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// An IPv4 address, or the first 64 bits of an IPv6 address, which one household shares.
    Address(IpAddr),
    /// A person by id, wherever the person is.
    Person(String),
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// The listener stores the address in each request.
impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let noted = parts.extensions.get::<Self>().cloned();
        Ok(noted.unwrap_or_else(Self::unknown))
    }
}

impl Client {
    /// The client of a request without an address, as in a test that calls the router directly.
    fn unknown() -> Self {
        Self::Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

/// The error when a limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LimitReached {
    /// [`ErrorKind::TooMany`] for the client's own limit, [`ErrorKind::Busy`] for the limit of all.
    pub(crate) kind: ErrorKind,
    /// The time after which the client should try again.
    pub(crate) retry_after: Duration,
}

/// The default time to try again, because the time of the next release is unknown.
const TRY_AGAIN: Duration = Duration::from_secs(3);

/// Counts passes against two limits.
#[derive(Debug)]
pub(crate) struct Gate {
    in_all: usize,
    per_client: usize,
    taken: Mutex<OpenPasses>,
}

#[derive(Debug, Default)]
struct OpenPasses {
    in_all: usize,
    /// Holds only clients with a pass.
    by_client: HashMap<Client, usize>,
}

impl Gate {
    /// A gate with this many passes for all clients, and for one client.
    pub(crate) fn new(in_all: usize, per_client: usize) -> Arc<Self> {
        Arc::new(Self {
            in_all,
            per_client,
            taken: Mutex::default(),
        })
    }

    /// Takes a pass.
    ///
    /// # Errors
    /// When the client has reached its limit, or no pass is left.
    pub(crate) fn enter(self: &Arc<Self>, client: &Client) -> Result<Pass, LimitReached> {
        let mut taken = self.taken();
        let own = taken.by_client.get(client).copied().unwrap_or(0);
        let reached = |kind| LimitReached {
            kind,
            retry_after: TRY_AGAIN,
        };
        if own >= self.per_client {
            return Err(reached(ErrorKind::TooMany));
        }
        if taken.in_all >= self.in_all {
            return Err(reached(ErrorKind::Busy));
        }
        taken.in_all += 1;
        taken.by_client.insert(client.clone(), own + 1);
        Ok(Pass {
            gate: Arc::clone(self),
            client: client.clone(),
        })
    }

    /// The number of taken passes, and the most.
    pub(crate) fn in_use(&self) -> (usize, usize) {
        (self.taken().in_all, self.in_all)
    }

    fn taken(&self) -> MutexGuard<'_, OpenPasses> {
        self.taken.lock().expect("no holder of the lock panics")
    }
}

/// Permission to hold one stream or reply. Dropping it releases it.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    client: Client,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut taken = self.gate.taken();
        taken.in_all -= 1;
        if let Some(own) = taken.by_client.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                taken.by_client.remove(&self.client);
            }
        }
    }
}

/// A rate limit for each client: a burst, and then a number a second.
#[derive(Debug)]
pub(crate) struct Rate {
    at_once: u32,
    per_second: u32,
    /// For each client with a partly used burst: the time at which it is whole again.
    full_at: Mutex<HashMap<Client, Instant>>,
}

/// Above this many clients, clients with a whole burst are removed.
const MANY_CLIENTS: usize = 1024;

impl Rate {
    /// A limit with this burst and this rate.
    pub(crate) fn new(at_once: u32, per_second: u32) -> Self {
        Self {
            at_once,
            per_second,
            full_at: Mutex::default(),
        }
    }

    /// Counts one use.
    ///
    /// # Errors
    /// When the client has exceeded its rate, with the time until it may try again.
    pub(crate) fn take(&self, client: &Client, now: Instant) -> Result<(), LimitReached> {
        let one = Duration::from_secs(1) / self.per_second;
        let mut all = self.full_at.lock().expect("no holder of the lock panics");
        let full_at = all.get(client).copied().unwrap_or(now).max(now) + one;
        let ahead = full_at - now;
        let most = one * self.at_once;
        if ahead > most {
            return Err(LimitReached {
                kind: ErrorKind::TooMany,
                retry_after: ahead - most,
            });
        }
        all.insert(client.clone(), full_at);
        if all.len() > MANY_CLIENTS {
            all.retain(|_, full_at| *full_at > now);
        }
        Ok(())
    }
}

/// All limits of a server.
#[derive(Debug)]
pub struct ServerLimits {
    /// Open streams: readers of replies, listeners to changes, passed replies, uploads.
    pub(crate) streams: Arc<Gate>,
    /// Running replies, each of which costs a request to a provider.
    pub(crate) replies: Arc<Gate>,
    /// The rate at which saved replies may begin. Each is written into the store.
    pub(crate) beginnings: Rate,
}

/// The passes of a reply that ends with its one reader.
#[derive(Debug)]
pub(crate) struct ReplyPasses {
    /// The pass of the stream.
    pub(crate) stream: Pass,
    /// The pass of the reply.
    pub(crate) reply: Pass,
}

/// The burst and the rate of saved replies for one client.
const BEGINNINGS_AT_ONCE: u32 = 1024;
const BEGINNINGS_PER_SECOND: u32 = 64;

impl ServerLimits {
    /// Takes a pass for a stream and one for a reply.
    ///
    /// # Errors
    /// When a limit is reached.
    pub(crate) fn reply_with_stream(&self, client: &Client) -> Result<ReplyPasses, LimitReached> {
        Ok(ReplyPasses {
            stream: self.streams.enter(client)?,
            reply: self.replies.enter(client)?,
        })
    }

    /// Takes a pass for a saved reply.
    ///
    /// # Errors
    /// When the limit is reached, or the client has begun too many replies recently.
    pub(crate) fn saved_reply(&self, client: &Client) -> Result<Pass, LimitReached> {
        let pass = self.replies.enter(client)?;
        self.beginnings.take(client, Instant::now())?;
        Ok(pass)
    }

    /// The limits with these numbers.
    pub(crate) fn new(counts: &LimitCounts) -> Self {
        Self {
            streams: Gate::new(counts.streams, counts.streams_per_client),
            replies: Gate::new(counts.replies, counts.replies_per_client),
            beginnings: Rate::new(BEGINNINGS_AT_ONCE, BEGINNINGS_PER_SECOND),
        }
    }
}

/// The numbers of the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LimitCounts {
    /// The most open streams.
    pub(crate) streams: usize,
    /// The most open streams of one client.
    pub(crate) streams_per_client: usize,
    /// The most running replies.
    pub(crate) replies: usize,
    /// The most running replies of one client.
    pub(crate) replies_per_client: usize,
    /// The most connections: one for each stream, and a reserve for other requests.
    pub(crate) connections: usize,
}

/// The descriptors for the process itself: the database, the log, the page's files, the runtime.
const OWN_DESCRIPTORS: usize = 64;
/// The default limits on a machine with many descriptors. Each stream and each reply also needs memory.
const USUAL_STREAMS: usize = 4096;
const USUAL_REPLIES: usize = 1024;

impl LimitCounts {
    /// The numbers for a process that may have this many descriptors open.
    ///
    /// Of sixteen parts, eight are for streams, two for connections of other requests, three for connections to
    /// providers, and three for idle connections to providers.
    pub(crate) fn for_descriptors(descriptors: usize, wanted: Capacity) -> Self {
        let usable = descriptors.saturating_sub(OWN_DESCRIPTORS).max(32);
        let room = usable - usable / 8;
        let replies = wanted
            .max_replies
            .unwrap_or((usable * 3 / 16).min(USUAL_REPLIES))
            .min(room);
        let streams = wanted
            .max_streams
            .unwrap_or((usable / 2).min(USUAL_STREAMS))
            .min(room);
        let most_of = |all: usize| (all * 3).div_ceil(4);
        Self {
            streams,
            streams_per_client: wanted.max_streams_per_client.unwrap_or(most_of(streams)),
            replies,
            replies_per_client: wanted.max_replies_per_client.unwrap_or(most_of(replies)),
            connections: streams + (usable / 8).min(USUAL_STREAMS / 4),
        }
    }
}

impl LimitCounts {
    /// Warns if the configured limits exceed what the process can have.
    pub(crate) fn warn_if_below(&self, wanted: Capacity) {
        for (what, wanted, most) in [
            ("streams", wanted.max_streams, self.streams),
            ("replies", wanted.max_replies, self.replies),
        ] {
            if wanted.is_some_and(|wanted| wanted > most) {
                tracing::warn!(
                    what,
                    wanted,
                    most,
                    "the limit of open files allows less than is configured: raise it (ulimit -n)"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Client {
        Client::from(address.parse::<IpAddr>().expect("an address"))
    }

    #[test]
    fn one_client_and_all_together_have_so_many_places_until_they_are_given_back() {
        let gate = Gate::new(3, 2);
        let (a, b, c) = (client("10.0.0.1"), client("10.0.0.2"), client("10.0.0.3"));
        let kind =
            |entered: Result<Pass, LimitReached>| entered.map(drop).map_err(|reached| reached.kind);
        let first = gate.enter(&a).expect("a place");
        let second = gate.enter(&a).expect("a place");
        assert_eq!(kind(gate.enter(&a)), Err(ErrorKind::TooMany));
        let third = gate.enter(&b).expect("a place");
        assert_eq!(kind(gate.enter(&c)), Err(ErrorKind::Busy));
        drop(first);
        assert_eq!(kind(gate.enter(&c)), Ok(()));
        drop((second, third));
        let taken = gate.taken();
        assert_eq!((taken.in_all, taken.by_client.len()), (0, 0));
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:1"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("::ffff:10.0.0.1"), client("10.0.0.1"));
        assert_ne!(client("10.0.0.1"), client("10.0.0.2"));
    }

    #[test]
    fn a_rate_allows_a_number_at_once_and_then_one_after_the_other() {
        let rate = Rate::new(3, 10);
        let (a, b) = (client("10.0.0.1"), client("10.0.0.2"));
        let start = Instant::now();
        for _ in 0..3 {
            rate.take(&a, start).expect("within the number");
        }
        let reached = rate.take(&a, start).expect_err("too often");
        assert_eq!(reached.kind, ErrorKind::TooMany);
        assert_eq!(reached.retry_after, Duration::from_millis(100));
        rate.take(&b, start).expect("somebody else");
        let later = start + Duration::from_millis(100);
        rate.take(&a, later).expect("one more");
        rate.take(&a, later).expect_err("and no more");
        for _ in 0..3 {
            rate.take(&a, start + Duration::from_secs(9)).expect("all");
        }
    }

    #[test]
    fn the_usual_numbers_leave_descriptors_for_requests_and_for_the_server_itself() {
        for descriptors in [64, 128, 256, 1024, 4096, 20_000, 1 << 20] {
            let counts = LimitCounts::for_descriptors(descriptors, Capacity::default());
            let kept = counts.connections - counts.streams;
            assert!(kept >= 4, "{descriptors}: {counts:?}");
            assert!(counts.replies_per_client > 0 && counts.streams_per_client > 0);
            // Connections to providers that are in use, and those that are kept.
            let open = counts.connections + 2 * counts.replies;
            assert!(
                open + OWN_DESCRIPTORS <= descriptors.max(OWN_DESCRIPTORS + 32),
                "{descriptors}: {counts:?}"
            );
        }
        let usual = LimitCounts::for_descriptors(1 << 20, Capacity::default());
        assert_eq!((usual.streams, usual.replies), (4096, 1024));
        assert_eq!(
            (usual.streams_per_client, usual.replies_per_client),
            (3072, 768)
        );
    }

    #[test]
    fn what_is_configured_counts_as_far_as_there_are_descriptors() {
        let wanted = |streams| Capacity {
            max_streams: Some(streams),
            max_replies_per_client: Some(1),
            ..Capacity::default()
        };
        let counts = LimitCounts::for_descriptors(10_064, wanted(50));
        assert_eq!((counts.streams, counts.streams_per_client), (50, 38));
        assert_eq!(counts.replies_per_client, 1);
        let counts = LimitCounts::for_descriptors(10_064, wanted(1_000_000));
        assert_eq!(counts.streams, 8750);
    }
}
