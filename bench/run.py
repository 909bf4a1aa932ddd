"""scripts/bench: measures dnsgate and its peers over loopback. docs/performance.md has the method and the results."""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

import forwarders
import peers as p
import report
import suites
from bench import Bench, say
from measure import LOAD_CORE

# Each suite and its workloads.
SUITES = [
    (suites.plain, ["mix", "refused", "latency", "observed", "log-all", "tcp-fresh", "tcp-kept"]),
    (suites.forwarding, ["cached", "miss", "miss-near", "miss-far"]),
    (suites.streams, ["miss-tcp", "miss-tls", "miss-https"]),
    (suites.beside, ["beside"]),
    (suites.workers, ["workers"]),
    (suites.lists, [name for name, _ in suites.LISTS]),
    (suites.reload, ["reload"]),
]
ALL = [workload for _, workloads in SUITES for workload in workloads]


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three short rounds: two minutes, and rougher numbers")
    parser.add_argument("--only", help=f"workloads, of: {','.join(ALL)}")
    parser.add_argument("--peers", help="peers by name, dnsgate and echo aside; default: all that there are")
    parser.add_argument("--rounds", type=int, help="rounds of each workload (5, or 3 with --quick)")
    parser.add_argument("--seconds", type=float, help="of one run (2, or 0.3 with --quick)")
    parser.add_argument("--rate", type=int, default=20_000, help="queries a second where latency is measured")
    parser.add_argument("--miss-rate", type=int, default=2_000, help="the same, of names that no cache knows")
    parser.add_argument("--delay", type=int, default=20, help="milliseconds to the upstream that is far away")
    parser.add_argument("--out", default="target/bench", help="where result.json and chart.svg go")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 5)
    options.seconds = options.seconds or (0.3 if options.quick else 2.0)
    options.only = options.only.split(",") if options.only else list(ALL)
    if unknown := set(options.only) - set(ALL):
        parser.error(f"no such workload: {', '.join(sorted(unknown))}")
    return options


def build():
    """Builds the release of dnsgate, and the generator."""
    for what, command in [
        ("dnsgate", ["cargo", "build", "--release", "--locked", "--bin", "dnsgate"]),
        (
            "bench/load",
            ["cargo", "build", "--release", "--locked", "--manifest-path=bench/load/Cargo.toml", "--target-dir=target/load"],
        ),
    ]:
        say(f"building {what}")
        subprocess.run([*command, "--quiet"], check=True)


def install(wanted):
    """Installs the Debian packages of missing peers without starting their services."""
    missing = [peer.package for peer in wanted if peer.package and not shutil.which(peer.program)]
    if not missing:
        return
    if os.geteuid() != 0:
        say(f"not root, so these Debian packages stay uninstalled: {' '.join(missing)}")
        return
    policy = "/usr/sbin/policy-rc.d"
    ours = not os.path.exists(policy)
    if ours:
        with open(policy, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexit 101\n")
        os.chmod(policy, 0o755)
    try:
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        apt = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
        if subprocess.run(apt, env=environment, stdout=subprocess.DEVNULL, check=False).returncode:
            say(f"apt-get could not install {' '.join(missing)}")
    finally:
        if ours:
            os.remove(policy)


def main():
    options = arguments()
    if not {0, LOAD_CORE} <= os.sched_getaffinity(0):
        raise SystemExit("bench: two cores are needed, one for the server and one for the load")
    began = time.monotonic()
    build()
    wanted = [peer for peer in p.PEERS if not options.peers or peer.label in options.peers.split(",")]
    install([*wanted, *({forwarders.KnotResolver} if not options.peers or "knot-resolver" in options.peers else ())])
    bench = Bench(options)
    os.makedirs(bench.where, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: told to end"))
    os.sched_setaffinity(0, {LOAD_CORE})  # the script stays off the server's core
    measured = time.monotonic()
    try:
        for suite, workloads in SUITES:
            if set(options.only) & set(workloads):
                suite(bench, wanted)
    finally:
        bench.stop_all()
    result = report.collect(bench, wanted)
    report.table(result)
    os.makedirs(options.out, exist_ok=True)
    with open(os.path.join(options.out, "result.json"), "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
    if "mix" in result["workloads"]:
        with open(os.path.join(options.out, "chart.svg"), "w", encoding="utf-8") as file:
            file.write(report.chart(result["workloads"]["mix"]))
    now = time.monotonic()
    say(f"{now - measured:.0f} s of measuring, {now - began:.0f} s in all; {options.out}/result.json, chart.svg")
    for problem in bench.problems:
        say(problem)
    return 1 if bench.problems else 0


if __name__ == "__main__":
    sys.exit(main())
