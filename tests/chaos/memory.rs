//! More names than the cache has room for: its memory stays within the limit.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    gate::Gate,
    load::{Load, PATIENCE, Questions, lasting},
    message::{QUESTION, record, reply},
    upstream::Upstream,
};

/// The room of the cache, in bytes.
const CACHE: u64 = 1 << 20;
/// Addresses in each answer, so that the room is soon used.
const ADDRESSES: u16 = 20;

const MANY: Questions = Questions {
    name: |number| format!("q{number}.many.test"),
    judge: |_, seen| {
        let addresses = seen.matches(" A 192.31.196.").count();
        (addresses == usize::from(ADDRESSES)).then_some("answered from upstreams")
    },
};

#[test]
fn full_cache_stays_within_its_memory() {
    let upstream = Upstream::start(|query, socket, to| {
        let address = |last: u16| record(QUESTION, 1, &[192, 31, 196, last as u8]);
        let records: Vec<u8> = (0..ADDRESSES).flat_map(address).collect();
        // The asker may have gone.
        let _ = socket.send_to(&reply(query, 0, ADDRESSES, &records), to);
    });
    let gate = Gate::start(&format!(
        "google_apis: {{ vip: off }}
log: {{ queries: none }}
cache: {{ size: {CACHE_MIB}MiB }}
upstreams: {{ many: {{ servers: [\"udp://{}\"] }} }}
rules: [{{ name: many, domains: [.many.test], forward: many }}]
",
        upstream.address,
        CACHE_MIB = CACHE >> 20,
    ));
    let load = Load::udp(gate.port(), MANY);
    let began = Instant::now();
    let evictions = || gate.metric("dnsgate_cache_evictions_total");
    while began.elapsed() < lasting() || evictions() == 0 {
        assert!(
            began.elapsed() < lasting() + PATIENCE * 3,
            "there is still room"
        );
        let bytes = gate.metric("dnsgate_cache_bytes");
        assert!(bytes <= CACHE, "{bytes} bytes");
        thread::sleep(Duration::from_millis(50));
    }
    let tally = load.stop();
    let (bytes, evicted) = (gate.metric("dnsgate_cache_bytes"), evictions());
    assert_eq!(gate.metric("dnsgate_in_flight"), 0);
    let note = format!("{bytes} of {CACHE} bytes used, {evicted} evicted");
    gate.holds("more names than the cache has room for", &tally, &note);
}
