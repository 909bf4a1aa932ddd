//! Restricts some requests to programs on this machine, even if the admin port is open to others.
//!
//! A web page in a browser on this machine is excluded: it cannot set our header without a CORS
//! preflight, which dnsgate does not grant, and it cannot use its own host name (DNS rebinding),
//! because the request must name this machine.

use std::net::IpAddr;

use axum::http::{HeaderMap, header, uri::Authority};

/// The sender of a request.
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
