//! Checks who may make a request: its host name must be one of this server's names, and some requests
//! are only for programs on this machine, even if the admin port is open to others.
//!
//! A web page can point its own name to an address of this server (DNS rebinding), and the browser
//! then lets the page read every answer. Such a request still carries the page's host name. A name
//! must therefore be known. Any address is accepted, because a page cannot choose the address of
//! another host.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
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

/// The sender of a request.
///
/// A web page in a browser on this machine is excluded: it cannot set our header without a CORS
/// preflight, which dnsgate does not grant, and it cannot use its own host name (DNS rebinding),
/// because the request must name this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(IpAddr);

impl Peer {
    pub(crate) const fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }
}

/// Checks whether the peer is allowed. The request must also have this header.
pub(crate) fn check(
    peer: Peer,
    headers: &HeaderMap,
    (name, value): (&str, &str),
) -> Result<(), String> {
    if !peer.0.is_loopback() {
        return Err("only this machine may ask for this".to_owned());
    }
    if headers.get(name).is_none_or(|given| given != value) {
        return Err(format!("the request has no header `X-Dnsgate: {value}`"));
    }
    if headers.contains_key(header::ORIGIN) {
        return Err("the request comes from a web page".to_owned());
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_this_machine) {
        let told = "the Host of the request is neither localhost nor a loopback address";
        return Err(told.to_owned());
    }
    Ok(())
}

fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
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

    /// The peer, the headers, and a part of the refusal; empty for none.
    type Case<'a> = (&'a str, &'a [(&'static str, &'static str)], &'a str);

    #[test]
    fn only_programs_of_this_machine_may() {
        let ours = [("x-dnsgate", "reload"), ("host", "127.0.0.1:9153")];
        let with = |host| [ours[0], ("host", host)];
        let cases: &[Case<'_>] = &[
            ("127.0.0.1", &ours, ""),
            ("127.8.0.1", &with("localhost"), ""),
            ("::1", &with("[::1]:9153"), ""),
            ("::ffff:127.0.0.1", &with("LOCALHOST:1"), ""),
            ("10.0.0.1", &ours, "only this machine"),
            ("::ffff:10.0.0.1", &ours, "only this machine"),
            ("fe80::1", &ours, "only this machine"),
            ("127.0.0.1", &ours[1..], "no header"),
            ("127.0.0.1", &[("x-dnsgate", "yes"), ours[1]], "no header"),
            ("127.0.0.1", &ours[..1], "the Host"),
            ("127.0.0.1", &with("evil.example:9153"), "the Host"),
            ("127.0.0.1", &with("127.0.0.1.evil.example"), "the Host"),
            ("127.0.0.1", &with("localhost.evil.example"), "the Host"),
            ("127.0.0.1", &with("10.0.0.1:9153"), "the Host"),
            ("127.0.0.1", &with(""), "the Host"),
            (
                "127.0.0.1",
                &[ours[0], ours[1], ("origin", "http://127.0.0.1:9153")],
                "web page",
            ),
        ];
        for (peer, given, told) in cases {
            let peer = Peer(peer.parse::<IpAddr>().expect("an address").to_canonical());
            let mut headers = HeaderMap::new();
            for &(name, value) in *given {
                headers.append(name, HeaderValue::from_static(value));
            }
            match check(peer, &headers, super::super::pages::RELOAD_HEADER) {
                Ok(()) => assert_eq!(*told, "", "{peer:?} {given:?}"),
                Err(why) => assert!(
                    !told.is_empty() && why.contains(told),
                    "{peer:?} {given:?}: {why}"
                ),
            }
        }
    }
}
