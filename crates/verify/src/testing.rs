//! Helpers for several tests of this crate.

use std::{net::IpAddr, path::Path};

use super::answer::Answer;
use crate::transport::ProbeFault;
use dnsgate_config::{Config, Vip};
use dnsgate_core::dns::Name;

pub(super) fn config(text: &str) -> Config {
    dnsgate_config::parse(text, "test", Path::new("")).expect(text)
}

pub(super) fn name(text: &str) -> Name {
    text.parse().expect(text)
}

pub(super) fn addresses(text: &str) -> Vec<IpAddr> {
    let each = text.split_whitespace();
    each.map(|it| it.parse().expect(it)).collect()
}

/// An answer with this response code and these addresses, if any.
pub(super) fn answer(rcode: u16, text: &str) -> Result<Answer, ProbeFault> {
    Ok(Answer {
        rcode,
        addresses: addresses(text),
        ..Answer::default()
    })
}

pub(super) fn vip(ipv6: bool) -> Vip {
    let config = config(&format!("google_apis: {{ ipv6: {ipv6} }}"));
    let leads = config.served.into_iter().find_map(|it| it.leads.ok());
    leads.expect("a name that leads somewhere")
}
