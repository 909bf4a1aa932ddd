//! The clock steps by hours and by years, forward and back: `until` follows the calendar, and nothing else does.
//!
//! Only this one process sees another time. The machine's clock is not touched.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    gate::Gate,
    load::{Load, Questions, ask, lasting},
    message::good,
    running::installed,
    upstream::Upstream,
};

/// Seconds since 1970: midsummer of 2030, a day before the rule ends.
const JUNE_2030: i64 = 1_908_662_400;
const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;
/// Where the clock goes, from [`JUNE_2030`], and whether the rule is in force there.
const STEPS: [(i64, bool); 9] = [
    (HOUR, true),
    (-HOUR, true),
    (YEAR, false),
    (YEAR - 3 * HOUR, false),
    (-YEAR, true),
    (20 * YEAR, false),
    (-30 * YEAR, true),
    (48 * HOUR, false),
    (0, true),
];

/// No longer than this, so that what is kept is not near its end, where it would be asked for again.
const LONGEST: Duration = Duration::from_secs(200);

const DATED: Questions = Questions {
    name: |number| match number % 4 {
        0 => format!("q{number}.any.zone.test"),
        1 => format!("q{number}.denied.test"),
        2 => format!("q{number}.dated.test"),
        _ => format!("q{number}.forward.test"),
    },
    judge: |name, seen| match (name.rsplit('.').nth(1)?, seen) {
        ("zone", "NOERROR 60 A 10.0.0.1") => Some("answered"),
        ("denied" | "dated", "REFUSED") => Some("denied"),
        ("dated", "NOERROR 300 A 10.0.0.7") => Some("answered until a date"),
        ("forward", "NOERROR 300 A 192.31.196.1") => Some("answered from upstreams"),
        _ => None,
    },
};

/// The library that shows a process another time.
fn library() -> PathBuf {
    let dirs = fs::read_dir("/usr/lib").expect("libraries");
    let files = dirs
        .flatten()
        .map(|dir| dir.path().join("faketime/libfaketimeMT.so.1"));
    files
        .into_iter()
        .find(|file| file.exists())
        .expect("Debian's place for it")
}

/// Puts the clock so many seconds from [`JUNE_2030`].
fn step(dir: &Path, seconds: i64) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs() as i64;
    let (new, file) = (dir.join("clock.new"), dir.join("clock"));
    fs::write(&new, format!("{:+}", JUNE_2030 + seconds - now)).expect("room for a file");
    fs::rename(&new, &file).expect("renamed");
}

#[test]
fn clock_steps_lose_no_query() {
    if !installed(&["faketime"]) {
        return;
    }
    let upstream = Upstream::start(|query, socket, to| {
        // The asker may have gone.
        let _ = socket.send_to(&good(query), to);
    });
    let config = format!(
        "google_apis: {{ vip: off }}
log: {{ queries: none }}
cache: {{ size: 4MiB }}
zones: [{{ origin: zone.test, records: [\"*.any 60 IN A 10.0.0.1\"] }}]
upstreams: {{ far: {{ servers: [\"udp://{}\"] }} }}
rules:
  - {{ name: dated, domains: [.dated.test], records: [A 10.0.0.7], until: 2030-06-26 }}
  - {{ name: far, domains: [.forward.test], forward: far }}
",
        upstream.address
    );
    let gate = Gate::start_with(&config, "", |dir, command| {
        step(dir, 0);
        command
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", dir.join("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
    });
    let port = gate.port();
    let kept = || {
        let seen = ask(port, "kept.forward.test");
        let ttl = seen
            .strip_prefix("NOERROR ")
            .and_then(|rest| rest.split(' ').next());
        ttl.and_then(|ttl| ttl.parse::<u64>().ok())
            .expect("an answer")
    };
    let (began, mut last) = (Instant::now(), kept());
    let load = Load::both(port, DATED);
    let mut steps = 0;
    while steps == 0 || began.elapsed() < lasting().min(LONGEST) {
        for (seconds, in_force) in STEPS {
            step(gate.running.dir(), seconds);
            let seen = ask(port, "x.dated.test");
            assert_eq!(seen != "REFUSED", in_force, "{seconds} s: {seen}");
            // What is kept grows old by the seconds that pass, whatever they are called.
            let (ttl, passed) = (kept(), began.elapsed().as_secs() + 1);
            assert!(
                ttl <= last && ttl + passed >= 300,
                "{seconds} s: {last}, {ttl}"
            );
            last = ttl;
            steps += 1;
            thread::sleep(Duration::from_millis(200));
        }
    }
    let tally = load.stop();
    let asked = gate.metric("dnsgate_upstream_queries_total");
    assert_eq!(
        asked,
        tally.of("answered from upstreams") + 1,
        "kept was kept"
    );
    let note = format!("{steps} steps between 2000 and 2050");
    gate.holds("the clock steps by hours and years", &tally, &note);
}
