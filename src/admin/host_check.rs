//! Checks the host name of a request: it must be one of this server's names.
//!
//! A web page can point its own name to an address of this server (DNS rebinding), and the browser
//! then lets the page read every answer. Such a request still carries the page's host name. A name
//! must therefore be known. Any address is accepted, because a page cannot choose the address of
//! another host.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use axum::http::{HeaderMap, StatusCode, Uri, Version, header, uri::Authority};

use dnsgate_config::HostName;

/// The accepted host names, in addition to every address and `localhost`.
#[derive(Clone, Debug)]
pub(crate) struct Hosts(Arc<[HostName]>);

impl Hosts {
    pub(crate) fn new(names: &[HostName]) -> Self {
        Self(names.into())
    }

    /// Checks whether a request names this server. The error is the status code and the page.
    pub(crate) fn check(
        &self,
        version: Version,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), (StatusCode, String)> {
        let mut given = headers.get_all(header::HOST).iter();
        let (host, more) = (given.next(), given.next());
        // RFC 9112 section 3.2. Browsers always send it; HTTP/1.0 does not have it.
        if more.is_some() || (host.is_none() && version >= Version::HTTP_11) {
            let told = "bad request: write one Host header\n";
            return Err((StatusCode::BAD_REQUEST, told.to_owned()));
        }
        let host = host.map(|host| host.to_str().ok().and_then(|host| host.parse().ok()));
        let named = uri.authority().cloned().map(Some);
        for authority in host.into_iter().chain(named) {
            if !authority.as_ref().is_some_and(|it| self.knows(it)) {
                return Err((StatusCode::FORBIDDEN, refusal(authority.as_ref())));
            }
        }
        Ok(())
    }

    fn knows(&self, authority: &Authority) -> bool {
        let host = authority.host();
        // Only a host and an optional port (RFC 9110 section 7.2).
        let rest = authority.as_str().strip_prefix(host);
        let port = rest.map(|rest| rest.strip_prefix(':').unwrap_or(rest));
        if !port.is_some_and(|port| port.is_empty() || port.parse::<u16>().is_ok()) {
            return false;
        }
        let bracketed = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        if let Some(address) = bracketed {
            // With or without the zone of a link-local address.
            let address = address
                .split_once('%')
                .map_or(address, |(address, _)| address);
            return address.parse::<Ipv6Addr>().is_ok();
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        name.eq_ignore_ascii_case("localhost")
            || host.parse::<Ipv4Addr>().is_ok()
            || self.0.iter().any(|known| known.is(name))
    }
}

fn refusal(authority: Option<&Authority>) -> String {
    let host = authority.map_or("", Authority::host);
    format!(
        "refused: the Host of the request, {host:?}, is not an allowed host name; ask for it by its address, \
         or add the name to `admin_hosts` in its configuration (or `serve --admin-host`) and restart it\n"
    )
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_request_names_this_server() {
        let hosts = Hosts::new(&["dnsgate.monitoring".parse().expect("a name")]);
        // The version, the target, the Host headers, and the code; 0 for none.
        let cases: &[(Version, &str, &[&str], u16)] = &[
            (Version::HTTP_11, "/", &["127.0.0.1:9153"], 0),
            (Version::HTTP_11, "/", &["10.1.2.3"], 0),
            (Version::HTTP_11, "/", &["[2001:db8::1]:9153"], 0),
            (Version::HTTP_11, "/", &["LOCALHOST:9153"], 0),
            (Version::HTTP_11, "/", &["dnsgate.monitoring:9153"], 0),
            (Version::HTTP_11, "/", &["DNSgate.Monitoring."], 0),
            (Version::HTTP_10, "/", &[], 0),
            (Version::HTTP_11, "/", &[], 400),
            (Version::HTTP_11, "/", &["127.0.0.1", "127.0.0.1"], 400),
            (Version::HTTP_11, "/", &["evil.example:9153"], 403),
            (Version::HTTP_10, "/", &["evil.example:9153"], 403),
            (Version::HTTP_11, "/", &["127.0.0.1.evil.example"], 403),
            (Version::HTTP_11, "/", &["localhost.evil.example"], 403),
            (Version::HTTP_11, "/", &["x.dnsgate.monitoring"], 403),
            (Version::HTTP_11, "/", &["127.0.0.1@evil.example"], 403),
            (Version::HTTP_11, "/", &["2130706433"], 403),
            (Version::HTTP_11, "/", &[""], 403),
            (
                Version::HTTP_11,
                "http://evil.example/",
                &["127.0.0.1"],
                403,
            ),
            (Version::HTTP_11, "http://127.0.0.1/", &["127.0.0.1"], 0),
        ];
        for &(version, uri, given, code) in cases {
            let mut headers = HeaderMap::new();
            for host in given {
                headers.append(header::HOST, HeaderValue::from_static(host));
            }
            let checked = hosts.check(version, &Uri::from_static(uri), &headers);
            let got = checked.err().map_or(0, |(code, _)| code.as_u16());
            assert_eq!(got, code, "{uri} {given:?}");
        }
    }
}
