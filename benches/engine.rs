//! What one query costs in the engine, in nanoseconds: `cargo bench --bench engine`.
//!
//! For comparing two versions on a quiet machine. What must not grow is held by instructions
//! instead (`benches/instructions.rs`), which no neighbour disturbs.

mod fixture;

use std::{hint::black_box, path::Path};

use anyhow::Context as _;
use criterion::Criterion;
use dnsgate_core::{
    dns::{Query, ReplyWriter, Rrset, Transport, reply::Section},
    engine,
    policy::Verdict,
    zone::ZoneLookup,
};

use fixture::{Class, Fixture};

/// The queries taken the whole way.
const WHOLE: &[(&str, Class)] = &[
    ("answer", Class::Answer),
    ("nodata", Class::NoData),
    ("record", Class::Record),
    ("listed", Class::Listed),
    ("refusal", Class::Refusal),
    ("denial", Class::Denial),
    ("unknown_client", Class::UnknownClient),
    ("malformed", Class::Malformed),
];

fn whole(criterion: &mut Criterion, fixture: &Fixture) -> anyhow::Result<()> {
    let mut out = vec![0; engine::max_reply(Transport::Udp)];
    for (name, class) in WHOLE {
        let case = fixture.case(*class)?;
        criterion.bench_function(&format!("begin/{name}"), |bencher| {
            bencher.iter(|| fixture.begin(black_box(case), &mut out));
        });
    }
    Ok(())
}

fn parse(criterion: &mut Criterion, fixture: &Fixture) -> anyhow::Result<()> {
    for (name, class) in [("edns", Class::Answer), ("plain", Class::Record)] {
        let case = fixture.case(class)?;
        criterion.bench_function(&format!("parse/{name}"), |bencher| {
            bencher.iter(|| Query::parse(black_box(&case.packet)));
        });
    }
    Ok(())
}

fn decide(criterion: &mut Criterion, fixture: &Fixture) -> anyhow::Result<()> {
    let policy = fixture.snapshot.policy();
    for (name, class) in [
        ("zone", Class::Answer),
        ("listed", Class::Listed),
        ("refusal", Class::Refusal),
    ] {
        let case = fixture.case(class)?;
        let query = Query::parse(&case.packet).ok().context("a bad query")?;
        let group = policy
            .admit(case.client.source)
            .context("a unknown_client")?;
        criterion.bench_function(&format!("decide/{name}"), |bencher| {
            bencher.iter(|| {
                policy.decide(
                    group,
                    black_box(query.name()),
                    black_box(query.qtype()),
                    fixture.now,
                )
            });
        });
        criterion.bench_function(&format!("admit/{name}"), |bencher| {
            bencher.iter(|| policy.admit(black_box(case.client.source)));
        });
    }
    Ok(())
}

/// The alias that `storage.googleapis.com` is.
fn alias(fixture: &Fixture) -> anyhow::Result<&Rrset> {
    let case = fixture.case(Class::Answer)?;
    let query = Query::parse(&case.packet).ok().context("a bad query")?;
    let policy = fixture.snapshot.policy();
    let group = policy
        .admit(case.client.source)
        .context("a unknown_client")?;
    let Verdict::Zone { zone, .. } = policy.decide(group, query.name(), query.qtype(), fixture.now)
    else {
        anyhow::bail!("not from a zone");
    };
    let zone = fixture.snapshot.zones().get(zone.0 as usize);
    match zone
        .context("no such zone")?
        .lookup(query.name(), query.qtype())
    {
        ZoneLookup::Alias(set) => Ok(set),
        other => anyhow::bail!("not an alias: {other:?}"),
    }
}

fn zone_and_reply(criterion: &mut Criterion, fixture: &Fixture) -> anyhow::Result<()> {
    let case = fixture.case(Class::Answer)?;
    let query = Query::parse(&case.packet).ok().context("a bad query")?;
    let set = alias(fixture)?;
    let zone = fixture.snapshot.zones().first().context("no zone")?;
    criterion.bench_function("zone/lookup", |bencher| {
        bencher.iter(|| zone.lookup(black_box(query.name()), black_box(query.qtype())));
    });
    let mut out = vec![0; engine::max_reply(Transport::Udp)];
    criterion.bench_function("reply/empty", |bencher| {
        bencher.iter(|| {
            let max = out.len();
            ReplyWriter::new(black_box(&query), max, &mut out).map(|mut reply| reply.finish(None))
        });
    });
    criterion.bench_function("reply/alias", |bencher| {
        bencher.iter(|| {
            let max = out.len();
            let mut reply = ReplyWriter::new(black_box(&query), max, &mut out)?;
            reply.rrset(Section::Answer, query.name(), set).ok()?;
            Some(reply.finish(None))
        });
    });
    Ok(())
}

/// What a start and every reload cost: the built-in configuration from its text.
fn load(criterion: &mut Criterion) {
    criterion.bench_function("config/default", |bencher| {
        bencher.iter(|| {
            dnsgate_config::parse(black_box(dnsgate_config::DEFAULT), "bench", Path::new("."))
                .is_ok()
        });
    });
}

fn main() -> anyhow::Result<()> {
    let fixture = Fixture::new()?;
    let mut criterion = Criterion::default().configure_from_args();
    whole(&mut criterion, &fixture)?;
    parse(&mut criterion, &fixture)?;
    decide(&mut criterion, &fixture)?;
    zone_and_reply(&mut criterion, &fixture)?;
    load(&mut criterion);
    criterion.final_summary();
    Ok(())
}
