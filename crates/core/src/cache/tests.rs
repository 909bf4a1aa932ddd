use std::collections::HashMap;

use proptest::prelude::*;

use crate::dns::{Name, Rcode, Rrset, response::ChainEnd};

use super::*;

const SETTINGS: CacheSettings = CacheSettings {
    size: 1 << 20,
    min_ttl: 0,
    max_ttl: 3600,
    serve_stale: 86400,
    bridge_denials: false,
};
const ROOT: NameRef<'static> = NameRef::ROOT;

fn key(name: NameRef<'_>) -> CacheKey<'_> {
    CacheKey {
        name,
        qtype: RecordType::A,
        dnssec_ok: false,
        checking_disabled: false,
        partition: 1,
    }
}

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

fn start() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some time to begin at"
    )]
    Instant::now()
}

fn after(start: Instant, seconds: f64) -> Instant {
    start + Duration::from_secs_f64(seconds)
}

/// One TXT set of `len` bytes that holds for `ttl`.
fn answer(ttl: u32, len: usize) -> Arc<Response> {
    let mut set = Rrset::new(RecordType::TXT, ttl);
    set.push(&vec![b'x'; len]).expect("it fits");
    Arc::new(Response {
        rcode: Rcode::NoError,
        aliases: Vec::new(),
        end: ChainEnd::Name,
        dname: None,
        answers: vec![set],
        authority: Vec::new(),
    })
}

/// NXDOMAIN, with an SOA of this TTL or none.
fn negative(soa: Option<u32>) -> Arc<Response> {
    let soa = soa.map(|ttl| {
        let mut set = Rrset::new(RecordType::SOA, ttl);
        set.push(&[0; 22]).expect("it fits");
        (Name::root(), set)
    });
    Arc::new(Response {
        rcode: Rcode::NxDomain,
        aliases: Vec::new(),
        end: ChainEnd::Name,
        dname: None,
        answers: Vec::new(),
        authority: soa.into_iter().collect(),
    })
}

fn kind(found: &CacheLookup) -> &'static str {
    match found {
        CacheLookup::Fresh(_) => "fresh",
        CacheLookup::Refresh(_) => "refresh",
        CacheLookup::Stale(_) => "stale",
        CacheLookup::StaleNow(_) => "stale now",
        CacheLookup::Failed(_) => "failed",
        CacheLookup::Missing => "missing",
    }
}

#[test]
fn time_counts_down_within_bounds() {
    let bounds = |min_ttl, max_ttl| CacheSettings {
        min_ttl,
        max_ttl,
        ..SETTINGS
    };
    let day = 86400;
    // Settings, the response, the TTL of a record in it; then at which second what is found.
    for (settings, response, own, at, want, ttl) in [
        (bounds(0, 3600), answer(300, 4), 300, 0.0, "fresh", 300),
        (bounds(0, 3600), answer(300, 4), 300, 0.9, "fresh", 300),
        (bounds(0, 3600), answer(300, 4), 300, 1.0, "fresh", 299),
        (bounds(0, 3600), answer(300, 4), 900, 10.0, "fresh", 890),
        (bounds(0, 3600), answer(300, 4), 300, 299.9, "fresh", 1),
        (bounds(0, 3600), answer(300, 4), 300, 300.0, "stale", 30),
        (bounds(0, 3600), answer(300, 4), 300, 86699.9, "stale", 30),
        (bounds(0, 3600), answer(300, 4), 300, 86700.0, "missing", 0),
        (bounds(60, 3600), answer(5, 4), 5, 30.0, "fresh", 30),
        (bounds(60, 3600), answer(0, 4), 0, 59.9, "fresh", 1),
        (bounds(0, 100), answer(300, 4), 300, 40.0, "fresh", 60),
        (bounds(0, 100), answer(300, 4), 300, 100.0, "stale", 30),
        (bounds(200, 100), answer(5, 4), 5, 99.0, "fresh", 1), // the maximum wins
        (bounds(0, 3600), answer(0, 4), 0, 0.0, "missing", 0),
        (bounds(0, 0), answer(300, 4), 300, 0.0, "missing", 0),
        // Negative answers, at most three hours, and not without SOA.
        (bounds(0, day), negative(Some(60)), 60, 59.0, "fresh", 1),
        (
            bounds(0, day),
            negative(Some(day)),
            day,
            800.0,
            "fresh",
            10000,
        ),
        (
            bounds(0, day),
            negative(Some(day)),
            day,
            10800.0,
            "stale",
            30,
        ),
        (bounds(60, day), negative(None), 0, 0.0, "missing", 0),
        (bounds(60, day), negative(Some(0)), 0, 0.0, "missing", 0),
    ] {
        let cache = Cache::new(settings);
        let begin = start();
        let put = cache.put(&key(ROOT), &response, begin);
        assert!(!put.is_stale(begin), "{settings:?} {response:?}");
        let now = after(begin, at);
        let found = cache.get(&key(ROOT), now);
        assert_eq!(kind(&found), want, "{settings:?} {response:?} at {at}");
        if let CacheLookup::Fresh(entry) | CacheLookup::Stale(entry) = found {
            assert_eq!(
                entry.ttl(own, now),
                ttl,
                "{settings:?} {response:?} at {at}"
            );
            assert_eq!(entry.is_stale(now), want == "stale");
        }
    }
}

#[test]
fn what_is_not_kept_can_be_used_once() {
    let begin = start();
    for (settings, response) in [
        (SETTINGS, answer(0, 4)),
        (
            CacheSettings {
                size: 0,
                ..SETTINGS
            },
            answer(300, 4),
        ),
        (SETTINGS, answer(300, 60_000)), // kept: there is room
        (
            CacheSettings {
                size: 50_000,
                ..SETTINGS
            },
            answer(300, 60_000),
        ),
    ] {
        let cache = Cache::new(settings);
        let entry = cache.put(&key(ROOT), &response, begin);
        let own = response.answers[0].ttl();
        assert_eq!(entry.ttl(own, after(begin, 0.1)), own);
        assert!(!entry.is_stale(after(begin, 0.1)));
        let kept = own > 0 && settings.size == SETTINGS.size;
        assert_eq!(cache.stats().entries, usize::from(kept), "{settings:?}");
    }
    let cache = Cache::new(CacheSettings {
        size: 0,
        ..SETTINGS
    });
    cache.fail(&key(ROOT), Failure::Timeout, begin);
    assert_eq!(kind(&cache.get(&key(ROOT), begin)), "missing");
}

#[test]
fn each_part_of_the_key_tells_apart() {
    let (one, other) = (name("a.x"), name("b.x"));
    let base = key(one.as_ref());
    let keys = [
        base,
        CacheKey {
            name: other.as_ref(),
            ..base
        },
        CacheKey {
            qtype: RecordType::AAAA,
            ..base
        },
        CacheKey {
            dnssec_ok: true,
            ..base
        },
        CacheKey {
            checking_disabled: true,
            ..base
        },
        CacheKey {
            dnssec_ok: true,
            checking_disabled: true,
            ..base
        },
        CacheKey {
            partition: 2,
            ..base
        },
        CacheKey {
            partition: u32::MAX,
            qtype: RecordType(u16::MAX),
            ..base
        },
    ];
    let (cache, now) = (Cache::new(SETTINGS), start());
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(kind(&cache.get(key, now)), "missing", "{key:?}");
        cache.put(key, &answer(300, at), now);
    }
    for (at, key) in keys.iter().enumerate() {
        let CacheLookup::Fresh(entry) = cache.get(key, now) else {
            panic!("{key:?} is not there");
        };
        assert_eq!(entry.response(), &*answer(300, at));
    }
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.entries), (8, 8, 8));
}

#[test]
fn a_failure_is_remembered_for_a_moment() {
    let cache = Cache::new(CacheSettings {
        serve_stale: 100,
        ..SETTINGS
    });
    let begin = start();
    let at = |seconds| after(begin, seconds);
    let found = |seconds| kind(&cache.get(&key(ROOT), at(seconds)));
    cache.fail(&key(ROOT), Failure::Shed, begin);
    assert_eq!(found(0.0), "missing"); // says nothing of the question
    cache.fail(&key(ROOT), Failure::Code(2), begin);
    assert!(matches!(
        cache.get(&key(ROOT), at(4.9)),
        CacheLookup::Failed(Failure::Code(2))
    ));
    assert_eq!(found(5.0), "missing");
    assert!(cache.stale(&key(ROOT), at(1.0)).is_none());

    // A response takes its place; a failure does not take theirs.
    cache.put(&key(ROOT), &answer(10, 4), at(6.0));
    assert_eq!(found(6.0), "fresh");
    cache.fail(&key(ROOT), Failure::Timeout, at(15.0));
    assert_eq!(found(15.0), "fresh");
    assert_eq!(found(16.0), "stale now");
    assert_eq!(found(20.0), "stale");
    assert!(
        cache
            .stale(&key(ROOT), at(20.0))
            .is_some_and(|entry| entry.is_stale(at(20.0)))
    );
    cache.fail(&key(ROOT), Failure::Unreachable, at(30.0));
    assert_eq!(found(34.9), "stale now");
    assert_eq!(found(35.0), "stale");
    assert_eq!(found(116.0), "missing");
    cache.fail(&key(ROOT), Failure::Timeout, at(116.0));
    assert_eq!(found(116.0), "failed");
    assert!(cache.stale(&key(ROOT), at(116.0)).is_none());
}

#[test]
fn what_is_superseded_does_not_come_back() {
    let begin = start();
    let at = |seconds| after(begin, seconds);
    for (what, settings, said) in [
        ("no time to live", SETTINGS, answer(0, 4)),
        ("a denial without SOA", SETTINGS, negative(None)),
        (
            "too large",
            CacheSettings {
                size: 50_000,
                ..SETTINGS
            },
            answer(300, 60_000),
        ),
    ] {
        for seen_at in [5.0, 20.0] {
            let cache = Cache::new(settings);
            cache.put(&key(ROOT), &answer(10, 4), begin);
            assert_eq!(kind(&cache.get(&key(ROOT), at(1.0))), "fresh", "{what}");
            let entry = cache.put(&key(ROOT), &said, at(seen_at));
            assert!(entry.holds(&said), "{what}");
            cache.fail(&key(ROOT), Failure::Timeout, at(21.0));
            assert!(cache.stale(&key(ROOT), at(21.0)).is_none(), "{what}");
            assert_eq!(kind(&cache.get(&key(ROOT), at(21.0))), "failed", "{what}");
        }
    }
}

#[test]
fn a_sudden_denial_is_bridged_where_that_is_wanted() {
    let begin = start();
    let at = |seconds| after(begin, seconds);
    for bridge_denials in [false, true] {
        let cache = Cache::new(CacheSettings {
            serve_stale: 100,
            bridge_denials,
            ..SETTINGS
        });
        let found = |seconds| kind(&cache.get(&key(ROOT), at(seconds)));
        let there = cache.put(&key(ROOT), &answer(10, 4), begin);
        let gone = negative(Some(60));
        let entry = cache.put(&key(ROOT), &gone, at(20.0));
        if !bridge_denials {
            assert!(entry.holds(&gone));
            assert_eq!(found(20.0), "fresh");
            continue;
        }
        assert!(Arc::ptr_eq(&entry, &there) && entry.is_denied(at(20.0)));
        assert_eq!([found(24.9), found(25.0)], ["stale now", "stale"]);
        // A failure is another reason, and an answer ends it.
        cache.fail(&key(ROOT), Failure::Timeout, at(30.0));
        assert!(!entry.is_denied(at(30.0)));
        let back = answer(10, 5);
        assert!(cache.put(&key(ROOT), &back, at(40.0)).holds(&back));
        // No longer than anything is served past its time; then the denial holds.
        let entry = cache.put(&key(ROOT), &gone, at(40.0 + 10.0 + 100.0));
        assert!(entry.holds(&gone));
        // One denial does not bridge another, nor does an answer of the past a name that is too long.
        assert!(
            cache
                .put(&key(ROOT), &negative(Some(9)), at(151.0))
                .response()
                .denies()
        );
    }
}

#[test]
fn one_caller_is_told_to_ask_again() {
    let (cache, begin) = (Cache::new(SETTINGS), start());
    let at = |seconds| after(begin, seconds);
    let found = |seconds| kind(&cache.get(&key(ROOT), at(seconds)));
    let response = answer(100, 4);
    let put = cache.put(&key(ROOT), &response, begin);
    // Not asked for often enough.
    assert_eq!([95.0, 95.0, 95.0].map(found), ["fresh"; 3]);
    assert_eq!(found(90.0), "fresh"); // not near enough
    assert_eq!(found(90.1), "refresh");
    assert_eq!([90.2, 94.9].map(found), ["fresh"; 2]);
    assert_eq!(found(95.2), "refresh"); // nobody put anything
    assert_eq!(found(95.3), "fresh");
    cache.fail(&key(ROOT), Failure::Timeout, at(95.4)); // and now it is known why
    assert_eq!(found(99.9), "fresh");

    // The same responses are the same entry; new ones begin a new life.
    assert!(Arc::ptr_eq(
        &put,
        &cache.put(&key(ROOT), &response, at(99.0))
    ));
    assert!(!Arc::ptr_eq(
        &put,
        &cache.put(&key(ROOT), &answer(100, 4), at(99.0))
    ));
    assert_eq!(found(100.0), "fresh");
    assert_eq!(found(195.0), "fresh"); // the second time in this life
}

#[test]
fn only_one_of_many_threads_is_told() {
    let (cache, begin) = (Cache::new(SETTINGS), start());
    cache.put(&key(ROOT), &answer(100, 4), begin);
    for _ in 0..3 {
        let _ = cache.get(&key(ROOT), begin);
    }
    let told = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let found = |_: &i32| {
                        matches!(
                            cache.get(&key(ROOT), after(begin, 95.0)),
                            CacheLookup::Refresh(_)
                        )
                    };
                    (0..1000).filter(found).count()
                })
            })
            .collect();
        let told = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"));
        told.sum::<usize>()
    });
    assert_eq!(told, 1);
    assert_eq!(cache.stats().hits, 8003);
}

/// A different number each time, the same ones in each run.
fn next(seed: &mut u64) -> usize {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as usize
}

#[test]
fn whatever_is_put_the_sum_is_bounded() {
    let begin = start();
    for size in [1_000, 5_000, 100_000, 1 << 20, (3 << 20) + 7, 16 << 20] {
        let cache = Cache::new(CacheSettings { size, ..SETTINGS });
        let mut seed = 7;
        for _ in 0..3_000 {
            let own = name(&format!("n{}.x", next(&mut seed) % 2_000));
            let len = [10, 200, 3_000, 60_000][next(&mut seed) % 4];
            match next(&mut seed) % 8 {
                0 => cache.fail(&key(own.as_ref()), Failure::Timeout, begin),
                _ => drop(cache.put(
                    &key(own.as_ref()),
                    &answer(300, next(&mut seed) % len),
                    begin,
                )),
            }
            let stats = cache.stats();
            assert!(stats.bytes <= size as u64, "{stats:?} of {size}");
        }
        let stats = cache.stats();
        let summed: u64 = cache
            .table
            .iter()
            .map(|(own, kept)| weigh(&own, &kept))
            .sum();
        assert_eq!(stats.bytes, summed);
        assert!(
            stats.evictions > 0 && (size < 100_000 || stats.entries > 0),
            "{stats:?}"
        );
    }
}

/// What a place holds, by what it was made from.
fn weigh(own: &OwnedKey, kept: &CacheSlot) -> u64 {
    use quick_cache::Weighter;
    if let CacheSlot::Response(entry) = kept {
        assert!(entry.weight() >= entry.response().bytes());
        assert!(
            entry.response().bytes() >= entry.response().answers[0].rdatas().map(<[u8]>::len).sum()
        );
    }
    SlotWeigher.weight(own, kept)
}

#[test]
fn many_threads_stay_within_the_bound() {
    let size = 2 << 20;
    let (cache, begin) = (Cache::new(CacheSettings { size, ..SETTINGS }), start());
    std::thread::scope(|scope| {
        for thread in 0..32u64 {
            let cache = &cache;
            scope.spawn(move || {
                let mut seed = thread;
                for round in 0..300 {
                    let own = name(&format!("n{}.x", next(&mut seed) % 300));
                    let now = after(begin, f64::from(round));
                    match next(&mut seed) % 4 {
                        0 => drop(cache.put(
                            &key(own.as_ref()),
                            &answer(60, next(&mut seed) % 30_000),
                            now,
                        )),
                        1 => cache.fail(&key(own.as_ref()), Failure::Timeout, now),
                        _ => drop(cache.get(&key(own.as_ref()), now)),
                    }
                    if round % 50 == 0 {
                        assert!(cache.stats().bytes <= size as u64);
                    }
                }
            });
        }
    });
    let stats = cache.stats();
    assert!(
        stats.bytes <= size as u64 && stats.evictions > 0,
        "{stats:?}"
    );
}

/// What the cache does, said once more, slowly and without a bound.
#[derive(Default)]
struct Model {
    response: HashMap<u8, (u64, u64)>,
    failed: HashMap<u8, u64>,
}

impl Model {
    const STALE: u64 = 50;

    fn usable(&self, at: u8, now: u64) -> bool {
        let response = self.response.get(&at);
        response.is_some_and(|&(since, ttl)| now < since + ttl + Self::STALE)
    }

    fn get(&self, at: u8, now: u64) -> &'static str {
        let failed = self.failed.get(&at).is_some_and(|&since| now < since + 5);
        let true_now = self
            .response
            .get(&at)
            .is_some_and(|&(since, ttl)| now < since + ttl);
        match (true_now, self.usable(at, now), failed) {
            (true, ..) => "fresh",
            (_, true, true) => "stale now",
            (_, true, false) => "stale",
            (_, _, true) => "failed",
            _ => "missing",
        }
    }
}

proptest! {
    #[test]
    fn equal_to_a_map(steps in prop::collection::vec((0..6u8, 0..3u8, 0..8u64, 0..40u64), 0..80)) {
        let cache = Cache::new(CacheSettings { serve_stale: 50, ..SETTINGS });
        let mut model = Model::default();
        let (begin, mut now) = (start(), 0);
        for (at, what, pause, ttl) in steps {
            now += pause;
            let own = name(&format!("n{at}.x"));
            let (key, instant) = (key(own.as_ref()), begin + Duration::from_secs(now));
            match what {
                0 => {
                    cache.put(&key, &answer(ttl as u32, 4), instant);
                    // Without a time to live it is not kept, and what was there is gone.
                    model.response.insert(at, (now, ttl));
                    if ttl == 0 {
                        model.response.remove(&at);
                    }
                    model.failed.remove(&at);
                }
                1 => {
                    cache.fail(&key, Failure::Timeout, instant);
                    model.failed.insert(at, now);
                    if !model.usable(at, now) {
                        model.response.remove(&at);
                    }
                }
                _ => {}
            }
            for at in 0..6 {
                let own = name(&format!("n{at}.x"));
                let found = cache.get(&self::key(own.as_ref()), instant);
                // Asking again is on top of it.
                let found = if kind(&found) == "refresh" { "fresh" } else { kind(&found) };
                // A failure noted on responses goes when they do.
                let want = match model.get(at, now) {
                    "failed" if model.response.contains_key(&at) => "missing",
                    want => want,
                };
                prop_assert_eq!(found, want);
                prop_assert_eq!(cache.stale(&self::key(own.as_ref()), instant).is_some(), model.usable(at, now));
            }
        }
    }
}
