//! Replies as they are read.

use std::time::SystemTime;

use super::*;
use crate::testing::{addresses, config, name};
use dnsgate_core::dns::upstream_query;

/// A reply to `asked` as dnsgate would write it by the configuration.
fn reply(text: &str, asked: &str) -> Answer {
    use dnsgate_core::{dns::Transport, engine};
    let config = config(text);
    let snapshot = dnsgate_whatif::snapshot(config.policy, config.zones, 0);
    let query = upstream_query::encode(7, name(asked).as_ref(), RecordType::A, false, false);
    let client = engine::Client {
        source: "127.0.0.1".parse().expect("an address"),
        transport: Transport::Udp,
    };
    let mut reply = vec![0; 1232];
    let context = engine::Context::new(&snapshot, SystemTime::UNIX_EPOCH);
    let len = engine::begin(&query, client, &context, &mut reply).len();
    Answer::read(&reply[..len], &name(asked), RecordType::A).expect("a reply")
}

#[test]
fn replies_are_read_as_dnsgate_writes_them() {
    let vip = "199.36.153.4 199.36.153.5 199.36.153.6 199.36.153.7";
    for (text, asked, shown, denial) in [
        ("{}", "Storage.googleapis.com", vip, false),
        (
            "{}",
            "example.com",
            "REFUSED, EDE 15: no rule allows this name",
            true,
        ),
        (
            "deny_with: nxdomain",
            "example.com",
            "NXDOMAIN, EDE 15: no rule allows this name",
            true,
        ),
        (
            "deny_with: nodata",
            "example.com",
            "NODATA, EDE 15: no rule allows this name",
            true,
        ),
    ] {
        let answer = reply(text, asked);
        assert_eq!(answer.to_string(), shown, "{text} {asked}");
        assert_eq!(answer.is_denial(), denial, "{text} {asked}");
        assert_eq!(answer.strays, addresses(""));
    }
    let answer = reply("{}", "storage.googleapis.com");
    assert_eq!(answer.aliases, ["restricted.googleapis.com"]);
    assert_eq!(answer.addresses, addresses(vip));
    assert_eq!(Answer::read(b"no message", &name("x"), RecordType::A), None);
}
