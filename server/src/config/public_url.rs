//! The public address of the server: an origin, and the path below which the server is.

use reqwest::Url;

/// The address that people open, if a proxy in front of Rill has another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// `https://chat.example.com`, as browsers send it in `Origin`: in lower case, without a path.
    pub origin: String,
    /// `chat.example.com`, with the port if it is not the default of the scheme.
    pub host: String,
    /// The path below which the server is, as `/chat`; empty if it has the whole host.
    pub path: String,
}

impl PublicUrl {
    /// The whole address, without a slash at its end.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }

    /// Whether only this machine can open it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        Url::parse(&self.origin).is_ok_and(|url| is_loopback(&url))
    }
}

/// Whether only this machine can open a URL.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The first parts of the server's own paths. Below one of them it could not be told whether a proxy has removed it.
const OWN_PATHS: [&str; 15] = [
    "account", "api", "c", "code", "diagram", "healthz", "image", "invite", "metrics", "people",
    "pkg", "readyz", "signin", "signout", "v1",
];

/// Reads a public URL.
///
/// # Errors
/// A sentence that says what to write.
pub(super) fn parse(text: &str) -> Result<PublicUrl, String> {
    let url = Url::parse(text).map_err(|_| "write a URL as https://chat.example.com".to_owned())?;
    let has_more = url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some();
    if !matches!(url.scheme(), "http" | "https") || has_more {
        return Err("write scheme, host and path only, as https://example.com/chat/".to_owned());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    check_path(&path)?;
    let origin = url.origin().ascii_serialization();
    let host = origin
        .split_once("://")
        .map_or(String::new(), |(_, host)| host.to_owned());
    Ok(PublicUrl { origin, host, path })
}

/// Checks the path. It becomes part of headers and documents, so only plain characters are taken.
fn check_path(path: &str) -> Result<(), String> {
    let parts = || path.split('/').skip(1);
    if let Some(own) = parts().next().filter(|first| OWN_PATHS.contains(first)) {
        return Err(format!(
            "choose another path than /{own}, which is one of Rill's own"
        ));
    }
    let is_plain = |part: &str| {
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.~".contains(&c);
        !part.is_empty() && part.bytes().all(is_plain)
    };
    if parts().all(is_plain) {
        Ok(())
    } else {
        Err("the path may have letters, digits, and the characters - _ . ~ only".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_browsers_write_an_origin_and_a_path() {
        let check = |text: &str, expect: Option<(&str, &str, &str)>| {
            let expect = expect.map(|(origin, host, path)| PublicUrl {
                origin: origin.to_owned(),
                host: host.to_owned(),
                path: path.to_owned(),
            });
            assert_eq!(parse(text).ok(), expect, "{text}");
        };
        let (origin, host) = ("https://chat.example.com", "chat.example.com");
        check("HTTPS://Chat.Example.com:443/", Some((origin, host, "")));
        check("https://chat.example.com", Some((origin, host, "")));
        check(
            "https://chat.example.com/chat",
            Some((origin, host, "/chat")),
        );
        check(
            "https://chat.example.com/chat/",
            Some((origin, host, "/chat")),
        );
        check(
            "https://chat.example.com/tools/Chat-2.0//",
            Some((origin, host, "/tools/Chat-2.0")),
        );
        check(
            "http://127.0.0.1:8080/x/../y/",
            Some(("http://127.0.0.1:8080", "127.0.0.1:8080", "/y")),
        );
        for wrong in [
            "chat.example.com",
            "ftp://chat.example.com",
            "https://chat.example.com/?x",
            "https://chat.example.com/#x",
            "https://me@chat.example.com/",
            "https://chat.example.com/a b/",
            "https://chat.example.com/a//b/",
            "https://chat.example.com/ä/",
            "https://chat.example.com/a%2Fb/",
            "https://chat.example.com/a;b/",
            "https://chat.example.com/a'/",
            "https://chat.example.com/api/",
            "https://chat.example.com/c/chat",
        ] {
            check(wrong, None);
        }
    }
}
