//! Any bytes as an upstream's answer: read into responses, kept, filtered and sent; later sent again from the cache, to
//! another client and under a stricter policy.
//!
//! Held: nothing panics; each reply is not larger than it may be; hickory-proto can read it; every record of its answer
//! is on the chain of aliases from the question, which is not longer than it may be; every address in it, hints
//! included, is in the ranges of a rule that let it pass, by a second opinion on addresses; every alias leads where a
//! scan over all rules lets it; and what it says of zones is said of zones on the chain.
//!
//! | byte | what it chooses |
//! |---|---|
//! | 0 | name (2 bits), type (3), DO, CD, and whether the message is spliced |
//! | 1 | client, transport (1 bit each), whether denials are bridged, one unused, then how much later it is asked again (4) |
//! | 2–5 | of a spliced message: the code, and the number of records of each section |
//!
//! The rest is the message; of a spliced one, what follows a header and a question that are right, whatever is asked.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use dnsgate_core::cache::{Cache, CacheSettings};
use dnsgate_core::dns::{Failure, Response, Transport};
use dnsgate_core::engine::{self, Client, Context, Permit, Reason, Step, UpstreamResult};

#[path = "upstream/address.rs"]
mod address;
#[path = "upstream/reply.rs"]
mod reply;
#[path = "upstream/table.rs"]
mod table;
#[path = "upstream/wire.rs"]
mod wire;

use reply::Case;
use table::{SOURCES, Table, UNTIL};

/// Wire form of the names that are asked for: with public ranges, with others, with aliases to allowed names only, and
/// an alias of ours to the first.
const NAMES: [&[u8]; 4] = [
    b"\x03www\x03any\x07example\0",
    b"\x03www\x06within\x07example\0",
    b"\x03www\x06strict\x07example\0",
    b"\x05alias\x04corp\x07example\0",
];
/// A, AAAA, HTTPS, SVCB, CNAME, MX, TXT, RRSIG.
const TYPES: [u16; 8] = [1, 28, 65, 64, 5, 15, 16, 46];
/// What a query's OPT record announces.
const UDP_PAYLOAD: u16 = 1232;
/// How often a query is taken up again, as the program does.
const ROUNDS: usize = 11;
const CACHE: CacheSettings = CacheSettings {
    size: 1 << 20,
    min_ttl: 0,
    max_ttl: 3600,
    serve_stale: 86_400,
    bridge_denials: false,
};

struct Fixture {
    open: Table,
    stricter: Table,
}

static FIXTURE: LazyLock<Result<Fixture, String>> = LazyLock::new(|| {
    Ok(Fixture {
        open: table::table(1, false)?,
        stricter: table::table(2, true)?,
    })
});

/// One input.
struct Input<'i> {
    choices: u8,
    said: &'i [u8],
    cache: Cache,
    /// Second 0.
    began: Instant,
    /// All messages that there were.
    heard: Vec<Vec<u8>>,
}

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    run(data);
}

/// Checks one input. Returns how the first client's query ended.
pub(crate) fn run(data: &[u8]) -> Option<Reason> {
    let &[choices, ways, ref said @ ..] = data else {
        return None;
    };
    let fixture = FIXTURE.as_ref();
    assert!(
        fixture.is_ok(),
        "the table of this target makes no policy: {:?}",
        fixture.err()
    );
    let Ok(fixture) = fixture else { return None };
    let mut input = Input {
        choices,
        said,
        cache: Cache::new(CacheSettings {
            bridge_denials: ways & 4 != 0,
            ..CACHE
        }),
        began: now(),
        heard: Vec::new(),
    };
    let first = Asker {
        table: &fixture.open,
        group: usize::from(ways & 1),
        transport: Transport::ALL[usize::from(ways >> 1 & 1)],
        after: 0,
        answers: true,
    };
    let second = Asker {
        group: 1 - first.group,
        transport: Transport::ALL[usize::from(!ways >> 1 & 1)],
        after: u64::from(ways >> 4).pow(4) * 2, // up to 28 hours
        answers: false,
        ..first
    };
    let reason = input.ask(first);
    input.ask(Asker {
        table: &fixture.stricter,
        ..second
    });
    input.ask(second);
    reason
}

/// Who asks, under which policy, and when.
#[derive(Clone, Copy)]
struct Asker<'t> {
    table: &'t Table,
    group: usize,
    transport: Transport,
    /// In seconds.
    after: u64,
    /// Whether upstreams say anything.
    answers: bool,
}

impl Input<'_> {
    /// Asks and checks the reply.
    fn ask(&mut self, asker: Asker<'_>) -> Option<Reason> {
        let Asker {
            table,
            group,
            transport,
            after,
            answers,
        } = asker;
        let query = self.query();
        let now = table::at(UNTIL - 1 + after);
        let context = Context::new(&table.snapshot, now)
            .with_cache(&self.cache, self.began + Duration::from_secs(after));
        let client = Client {
            source: SOURCES[group].into(),
            transport,
        };
        let mut out = vec![0; engine::max_reply(transport)];
        let mut step = engine::begin(&query, client, &context, &mut out);
        let mut arrived = Vec::new();
        for _ in 0..ROUNDS {
            let Step::Forward(ask) = step else { break };
            let response = if answers {
                let message = self.message(&ask.permit);
                let response = read(&message, &ask.permit);
                self.heard.push(message);
                response
            } else {
                Err(Failure::Timeout)
            };
            arrived.push(UpstreamResult::new(ask.permit, response, &context));
            step = engine::resume(&query, client, &context, &arrived, &mut out);
        }
        if step.is_empty() {
            return None;
        }
        let len = step.len();
        let most = match transport {
            Transport::Udp => usize::from(UDP_PAYLOAD),
            Transport::Tcp => usize::from(u16::MAX),
        };
        assert!(len <= most, "{len} bytes where {most} are allowed");
        let case = Case {
            table,
            group,
            now,
            query: &query,
            dnssec_ok: self.dnssec_ok(),
            heard: &self.heard,
            reply: &out[..len],
        };
        case.check();
        Some(step.outcome().reason)
    }

    const fn dnssec_ok(&self) -> bool {
        self.choices & 0x20 != 0
    }

    fn query(&self) -> Vec<u8> {
        let checking_disabled = self.choices >> 6 & 1;
        let mut query = vec![7, 7, 1, checking_disabled << 4, 0, 1, 0, 0, 0, 0, 0, 1];
        query.extend(NAMES[usize::from(self.choices & 3)]);
        query.extend(TYPES[usize::from(self.choices >> 2 & 7)].to_be_bytes());
        query.extend([0, 1, 0, 0, 41]);
        query.extend(UDP_PAYLOAD.to_be_bytes());
        query.extend([0, 0, if self.dnssec_ok() { 0x80 } else { 0 }, 0, 0, 0]);
        query
    }

    /// What an upstream says to a question.
    fn message(&self, permit: &Permit) -> Vec<u8> {
        let spliced = self.choices & 0x80 != 0;
        let Some((&[code, answer, authority, additional], body)) =
            self.said.split_first_chunk().filter(|_| spliced)
        else {
            return self.said.to_vec();
        };
        let mut message = vec![7, 7, 0x81, 0x80 | code & 0xf, 0, 1];
        for count in [answer, authority, additional] {
            message.extend([0, count]);
        }
        message.extend(permit.name().wire());
        message.extend(permit.qtype().0.to_be_bytes());
        message.extend([0, 1]);
        message.extend(body);
        message
    }
}

fn read(message: &[u8], permit: &Permit) -> Result<Arc<Response>, Failure> {
    let (name, bits) = (permit.name(), permit.bits());
    Response::parse(message, name, permit.qtype(), bits.dnssec_ok).map(Arc::new)
}

#[expect(
    clippy::disallowed_methods,
    reason = "some moment to begin with: what is checked does not depend on which"
)]
fn now() -> Instant {
    Instant::now()
}
