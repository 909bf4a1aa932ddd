//! Takes queries of each class through the engine, a fixed number of times, one function a class:
//! under `valgrind --tool=callgrind` each function's inclusive count is what its queries cost, in
//! instructions. That does not depend on what else the machine does, as time would.
//!
//! `scripts/bench --instructions` runs it, and holds the counts to `bench/instructions.budget`.

mod fixture;

use std::{
    hint::black_box,
    io::{self, Write as _},
    net::SocketAddr,
};

use dnsgate::telemetry::{FinishedQuery, Labels, Latency, LogSettings, Recorder, Telemetry};
use dnsgate_core::{dns::Transport, engine};

use fixture::{Case, Class, Fixture};

/// Queries of each class. The first one's instructions are no others than the last one's.
const QUERIES: u32 = 200;

/// A function a class, never inlined, so that callgrind can tell them apart; its name is the
/// class's name in the budget, behind `class_`.
macro_rules! classes {
    ($($function:ident = $class:ident),+ $(,)?) => {
        $(
            #[inline(never)]
            fn $function(fixture: &Fixture, out: &mut [u8]) -> anyhow::Result<usize> {
                ask(fixture, fixture.case(Class::$class)?, out)
            }
        )+
        const CLASSES: &[fn(&Fixture, &mut [u8]) -> anyhow::Result<usize>] = &[$($function),+];
    };
}

classes! {
    class_answer = Answer,
    class_nodata = NoData,
    class_record = Record,
    class_listed = Listed,
    class_cached = Cached,
    class_refusal = Refusal,
    class_denial = Denial,
    class_unknown_client = UnknownClient,
    class_malformed = Malformed,
}

#[inline(always)]
fn ask(fixture: &Fixture, case: &Case, out: &mut [u8]) -> anyhow::Result<usize> {
    let mut bytes = 0;
    for _ in 0..QUERIES {
        bytes += black_box(fixture.begin(black_box(case), black_box(out))).len();
    }
    Ok(bytes)
}

/// What a worker does beside the engine for every query: counting it.
#[inline(never)]
fn class_counted(recorder: &mut Recorder, event: &FinishedQuery<'_>) {
    for _ in 0..QUERIES {
        recorder.record(black_box(event));
    }
}

fn count(fixture: &Fixture, out: &mut [u8]) -> anyhow::Result<()> {
    let telemetry = Telemetry::start(&LogSettings::default())?;
    let labels = Labels {
        groups: vec!["vpc".into(), "cloud-dns".into()],
        rules: vec!["rule".into(); fixture.snapshot.policy().rules().len()],
        upstreams: Vec::new(),
    };
    telemetry.loaded(fixture.snapshot.generation(), labels, fixture.now);
    telemetry.note_usage(&fixture.snapshot, fixture.now);
    let case = fixture.case(Class::Answer)?;
    let step = fixture.begin(case, out);
    let event = FinishedQuery {
        outcome: *step.outcome(),
        transport: case.client.transport,
        source: SocketAddr::new(case.client.source, 5353),
        query: &case.packet,
        reply: out.get(..step.len()).unwrap_or_default(),
        rejected: None,
        time: fixture.now,
        latency: Latency::Batch {
            since: fixture.steady,
            clock: fixture::steady,
        },
        generation: fixture.snapshot.generation(),
    };
    let mut recorder = telemetry.recorder();
    recorder.record(&event); // makes the series, once
    class_counted(&mut recorder, &event);
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let fixture = Fixture::new()?;
    let mut out = vec![0; engine::max_reply(Transport::Udp)];
    for class in CLASSES {
        class(&fixture, &mut out)?;
    }
    count(&fixture, &mut out)?;
    writeln!(io::stdout(), "queries {QUERIES}")?;
    Ok(())
}
