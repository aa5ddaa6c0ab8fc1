//! The address of a client behind a trusted proxy.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::FORWARDED;

use super::listen::Peer;
use crate::access::AccessSettings;

/// The address from which a request comes: the peer, or, if that is a trusted proxy, the last address in
/// `X-Forwarded-For` (or else `Forwarded`, RFC 7239) that is no trusted proxy. A client can write
/// whatever it likes before that address.
pub(super) fn address(
    settings: &AccessSettings,
    peer: Option<Peer>,
    headers: &HeaderMap,
) -> Option<IpAddr> {
    let Peer(peer) = peer?;
    if !settings.trusts(peer) {
        return Some(peer.to_canonical());
    }
    let chain = match list(headers, "x-forwarded-for") {
        chain if chain.is_empty() => forwarded(headers),
        chain => chain,
    };
    let mut nearest = peer.to_canonical();
    for text in chain.iter().rev() {
        let Some(address) = parse(text) else {
            break;
        };
        nearest = address;
        if !settings.trusts(address) {
            break;
        }
    }
    Some(nearest)
}

/// An address as the limit of guesses counts it: of IPv6 the first 64 bits.
pub(super) fn counted(address: Option<IpAddr>) -> String {
    match address {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let network = std::net::Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
            format!("{network}/64")
        }
    }
}

fn list(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(|part| part.trim().to_owned())
        .collect()
}

fn forwarded(headers: &HeaderMap) -> Vec<String> {
    list(headers, FORWARDED.as_str())
        .iter()
        .map(|hop| {
            let named = hop
                .split(';')
                .filter_map(|pair| pair.trim().split_once('='));
            let mut named = named.filter(|(key, _)| key.eq_ignore_ascii_case("for"));
            named
                .next()
                .map_or("", |(_, value)| value.trim_matches('"'))
                .to_owned()
        })
        .collect()
}

/// An address, which may have a port, and brackets if it is of IPv6.
fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (address, _) = rest.split_once(']')?;
        return address
            .parse::<IpAddr>()
            .ok()
            .map(|address| address.to_canonical());
    }
    let (address, _) = text.rsplit_once(':')?;
    address.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::V4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    #[test]
    fn only_a_trusted_proxy_says_from_where_a_request_comes() {
        let settings = AccessSettings {
            trusted: vec!["10.0.0.0/8".parse().expect("a network")],
            ..AccessSettings::default()
        };
        let check = |peer: &str, headers: &[(&'static str, &'static str)], expect: &str| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                );
            }
            let peer = Peer(peer.parse().expect("an address"));
            assert_eq!(
                counted(address(&settings, Some(peer), &map)),
                expect,
                "{headers:?}"
            );
        };
        let xff = "x-forwarded-for";
        check("192.0.2.1", &[], "192.0.2.1");
        check("192.0.2.1", &[(xff, "198.51.100.1")], "192.0.2.1");
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &[(xff, "198.51.100.1")], "198.51.100.1");
        check("::ffff:10.0.0.1", &[(xff, "198.51.100.1")], "198.51.100.1");
        // A client's own entries precede those that the proxies append.
        check(
            "10.0.0.1",
            &[(xff, "127.0.0.1, 198.51.100.1")],
            "198.51.100.1",
        );
        check(
            "10.0.0.1",
            &[(xff, "1.1.1.1"), (xff, "198.51.100.1, 10.0.0.2")],
            "198.51.100.1",
        );
        check("10.0.0.1", &[(xff, "nonsense")], "10.0.0.1");
        check(
            "10.0.0.1",
            &[(xff, "1.1.1.1, nonsense, 10.0.0.2")],
            "10.0.0.2",
        );
        check("10.0.0.1", &[(xff, "198.51.100.1:4711")], "198.51.100.1");
        check(
            "10.0.0.1",
            &[(xff, "2001:db8:1:2:3::4")],
            "2001:db8:1:2::/64",
        );
        let forwarded = "forwarded";
        check(
            "10.0.0.1",
            &[(forwarded, "for=198.51.100.1;proto=https")],
            "198.51.100.1",
        );
        check(
            "10.0.0.1",
            &[(forwarded, "for=1.1.1.1, For=\"[2001:db8::1]:80\"")],
            "2001:db8::/64",
        );
        check("10.0.0.1", &[(forwarded, "proto=https")], "10.0.0.1");
    }
}
