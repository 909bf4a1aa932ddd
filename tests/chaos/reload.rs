//! A hundred reloads, half of them with an invalid file: each reply comes from one policy, and invalid files change nothing.

use std::time::Instant;

use crate::{
    gate::{Gate, write_config},
    load::{Load, Questions, ask, lasting},
};

const RELOADS: usize = 100;

/// Two names whose records are of one policy, one that only A answers, one that only B answers.
const EITHER: Questions = Questions {
    name: |number| match number % 3 {
        0 => format!("q{number}.link.zone.test"),
        1 => format!("q{number}.a.test"),
        _ => format!("q{number}.b.test"),
    },
    judge: |name, seen| match (name.rsplit('.').nth(1)?, seen) {
        ("zone", "NOERROR 101 CNAME end.zone.test. 101 A 10.0.1.1")
        | ("a", "NOERROR 101 A 10.0.1.1")
        | ("b", "REFUSED") => Some("by A"),
        ("zone", "NOERROR 202 CNAME end.zone.test. 202 A 10.0.2.2")
        | ("b", "NOERROR 202 A 10.0.2.2")
        | ("a", "REFUSED") => Some("by B"),
        _ => None,
    },
};

/// One of the two policies. Nothing in it is as in the other.
fn policy(is_b: bool) -> String {
    let (ttl, last, name) = if is_b { (202, 2, "b") } else { (101, 1, "a") };
    let address = format!("10.0.{last}.{last}");
    format!(
        "google_apis: {{ vip: off }}
log: {{ queries: none }}
cache: {{ size: 1MiB }}
zones: [{{ origin: zone.test, records: [\"*.link {ttl} IN CNAME end\", \"end {ttl} IN A {address}\"] }}]
rules: [{{ name: only-{name}, domains: [.{name}.test], records: [\"{ttl} A {address}\"] }}]
tests: [{{ ask: x.{name}.test, from: 127.0.0.1, expect: {{ rule: only-{name} }} }}]
"
    )
}

/// The policy that is not in force, spoilt in some way.
fn bad(number: usize, is_b: bool) -> String {
    let good = policy(is_b);
    match number % 5 {
        0 => good + "rules: [",
        1 => good.replace("rule: only-", "rule: never-"),
        2 => good + "cache: { size: 1MiB }\n",
        3 => good.replace("domains", "domain"),
        _ => good.replace("origin: zone.test", "origin: zone..test"),
    }
}

#[test]
fn reloads_lose_no_query() {
    let (mut done, mut refused) = (0, 0);
    let gate = Gate::start_with(&policy(false), "", |_, command| {
        command.arg("--no-watch");
    });
    let load = Load::both(gate.port(), EITHER);
    let mut in_force = false;
    let began = Instant::now();
    let mut number = 0;
    while number < RELOADS || began.elapsed() < lasting() {
        let is_good = number % 2 == 0;
        let text = if is_good {
            policy(!in_force)
        } else {
            bad(number / 2, !in_force)
        };
        write_config(gate.running.dir(), &text);
        let output = gate.running.reload();
        assert_eq!(output.status.success(), is_good, "{output:?}");
        if is_good {
            in_force = !in_force;
            done += 1;
        } else {
            refused += 1;
        }
        // As soon as the verb has said so, it is so.
        let seen = ask(gate.port(), "x.link.zone.test");
        let said = (EITHER.judge)("x.link.zone.test", &seen);
        assert_eq!(said, Some(if in_force { "by B" } else { "by A" }), "{seen}");
        number += 1;
    }
    let tally = load.stop();
    let reloads = |result| gate.metric(&format!("dnsgate_reload_total{{result=\"{result}\"}}"));
    assert_eq!((reloads("success"), reloads("rejected")), (done, refused));
    assert_eq!(gate.metric("dnsgate_snapshot_generation"), done + 1);
    assert!(tally.of("by A") > 0 && tally.of("by B") > 0);
    let note = format!("{done} reloads, {refused} refused");
    gate.holds("reloads, half of them bad", &tally, &note);
}
