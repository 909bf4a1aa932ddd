"""scripts/bench: dnsgate beside its peers, over loopback. docs/performance.md has the method and what it found."""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

import peers as p
import report
import workloads
from measure import LOAD_CORE, Server, ask, cpu, free_port, pin, resident

LOAD = os.path.abspath("target/load/release/load")
LISTS = [("list-10", 10), ("list-10k", 10_000), ("list-1m", 1_000_000)]
ALL = ["mix", "refused", "latency", "observed", "tcp-fresh", "tcp-kept"] + [name for name, _ in LISTS]


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three short rounds: two minutes, and rougher numbers")
    parser.add_argument("--only", help=f"workloads, of: {','.join(ALL)}")
    parser.add_argument("--peers", help="peers by name, dnsgate and echo aside; default: all that there are")
    parser.add_argument("--rounds", type=int, help="rounds of each workload (5, or 3 with --quick)")
    parser.add_argument("--seconds", type=float, help="of one run (2, or 0.5 with --quick)")
    parser.add_argument("--rate", type=int, default=20_000, help="queries a second where latency is measured")
    parser.add_argument("--out", default="target/bench", help="where result.json and chart.svg go")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 5)
    options.seconds = options.seconds or (0.5 if options.quick else 2.0)
    options.only = options.only.split(",") if options.only else list(ALL)
    if unknown := set(options.only) - set(ALL):
        parser.error(f"no such workload: {', '.join(sorted(unknown))}")
    return options


def say(text):
    print(f"-- {text}", flush=True)


def build():
    """The release build, and the generator."""
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
    """Debian's packages of the peers that are not here; their services are not started."""
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


class Bench:
    """One run of everything asked for."""

    def __init__(self, options):
        self.options = options
        self.where = os.path.abspath("target/bench")
        self.servers = []
        self.samples = {}  # workload → server → list of samples
        self.about = {}  # server → what is known of it
        self.problems = []

    def start(self, peer, questions, name=None, patience=20):
        """Starts a server and checks its answers; None when it does not answer correctly."""
        name = name or peer.label
        server = Server(peer, os.path.join(self.where, name.replace(" ", "-").replace(",", "")))
        self.servers.append(server)
        server.name = name
        first = next(question for question, rcode, _ in questions if rcode == 0 or len(questions) == 64)
        if not server.wait_until(first, patience):
            return self.drop(server, f"{name} did not answer within {patience} s; {server.where}/log may say why")
        if not isinstance(peer, p.Echo):
            for question in questions[:128]:
                if fault := wrong(server, question):
                    return self.drop(server, f"{name} is left out: {fault}")
        # The first probe sees the start as it was; what is resident then is what an idle server holds.
        self.about[name] = {"note": peer.note, "resident_mib": resident(server.process.pid), "ready_s": server.ready}
        return server

    def drop(self, server, problem):
        self.problems.append(problem)
        say(problem)
        self.stop(server)

    def stop(self, server):
        server.stop()
        self.servers.remove(server)

    def stop_all(self):
        for server in list(self.servers):
            self.stop(server)

    def file(self, name, questions, answers=None):
        path = os.path.join(self.where, name)
        workloads.write(questions, path, answers)
        return path

    def sample(self, workload, server, file, extra=(), tcp=False):
        """One run of the generator against one server."""
        command = [LOAD, "tcp" if tcp else "udp", f"127.0.0.1:{server.port}", file]
        command += ["--seconds", str(self.options.seconds), *map(str, extra)]
        before = cpu(server.process.pid)
        run = subprocess.run(
            command, stdout=subprocess.PIPE, check=False, preexec_fn=pin(LOAD_CORE), timeout=self.options.seconds + 60
        )
        after = cpu(server.process.pid)
        if run.returncode:
            self.problems.append(f"{workload} of {server.name}: the generator failed")
            return
        result = json.loads(run.stdout)
        used = [end - begin for begin, end in zip(before, after)]
        answered = max(result["answered"], 1)
        result["qps"] = result["answered"] / result["seconds"]
        result["cpu_us"] = used[0] / answered * 1e6
        result["system_part"] = used[2] / (used[1] + used[2]) if used[1] + used[2] else None
        result["busy"] = used[0] / result["seconds"]
        self.samples.setdefault(workload, {}).setdefault(server.name, []).append(result)
        self.about[server.name]["resident_loaded_mib"] = resident(server.process.pid)

    def rounds(self, workload, runs):
        """Interleaved: A B C A B C …, so that what disturbs the machine disturbs all. `runs` is of
        (server, file, extra arguments, tcp)."""
        if workload in self.options.only:
            say(f"{workload}: {self.options.rounds} rounds of {self.options.seconds} s, {len(runs)} servers")
            for _ in range(self.options.rounds):
                for server, file, extra, tcp in runs:
                    self.sample(workload, server, file, extra, tcp)

    def plain(self, wanted):
        """The workloads of the seed's zone: (a), (b), (f), (h) and latency."""
        mix, refused = workloads.mix(), workloads.refused()
        dnsgate = self.start(p.Dnsgate(), mix)
        if not dnsgate:
            raise SystemExit("dnsgate does not answer correctly")
        echoes = {}
        for name, questions in [("mix", mix), ("refused", refused)]:
            sizes = [len(ask(dnsgate.port, question) or b"") for question, _, _ in questions]
            echoes[name] = self.start(p.Echo(sizes), questions, name=f"echo {name}")
            self.about[f"echo {name}"]["reply_bytes"] = statistics.mean(sizes)
        others = [self.start(peer(), mix) for peer in wanted if peer().path()]
        servers = [dnsgate] + [server for server in others if server]
        files = {}
        for name, questions in [("mix", mix), ("refused", refused)]:
            files[name] = {server: self.file(f"{name}.{server.peer.answers}", questions, server.peer.answers) for server in servers}
            files[name][echoes[name]] = self.file(f"{name}.echo", [(n, 0, 0) for n, _, _ in questions])

        def runs(name, extra=(), echo=True, tcp=False):
            chosen = ([echoes[name]] if echo and echoes[name] else []) + servers
            return [(server, files[name][server], extra, tcp) for server in chosen]

        self.rounds("mix", runs("mix"))
        self.rounds("refused", runs("refused"))
        self.rounds("latency", runs("mix", ["--rate", self.options.rate]))
        if "observed" in self.options.only:
            self.observed(dnsgate, files["mix"][dnsgate], mix)
        self.rounds("tcp-fresh", runs("mix", echo=False, tcp=True))
        kept = ["--keep", "--window", 32]
        self.rounds("tcp-kept", [run for run in runs("mix", kept, echo=False, tcp=True) if run[0].peer.keeps])
        self.stop_all()

    def observed(self, dnsgate, file, questions):
        peer = p.Observed()
        peer.admin = free_port()
        logging = self.start(peer, questions)
        if not logging:
            return
        stop = threading.Event()

        def scrape():
            while not stop.wait(1):
                url = f"http://127.0.0.1:{peer.admin}/metrics"
                with urllib.request.urlopen(url, timeout=5) as page:
                    page.read()

        scraper = threading.Thread(target=scrape)
        scraper.start()
        try:
            self.rounds("observed", [(dnsgate, file, (), False), (logging, file, (), False)])
        finally:
            stop.set()
            scraper.join()
            self.about[logging.name]["log_bytes"] = os.path.getsize(os.path.join(logging.where, "log"))
            self.stop(logging)

    def lists(self, wanted):
        """Workload (e): allowlists of several lengths."""
        servers = []
        for name, size in LISTS:
            if name not in self.options.only:
                continue
            say(f"starting servers with {size} names")
            names, questions = workloads.names(size), workloads.of_list(size)
            file = self.file(name, questions)
            for kind in [p.Dnsgate, p.Unbound]:
                # A million local zones take unbound longer to load than --quick has.
                if kind is p.Unbound and (kind not in wanted or not kind().path() or self.options.quick and size > 10_000):
                    continue
                server = self.start(kind(names), questions, name=f"{kind.label} {name}", patience=180)
                if server:
                    servers.append((server, file, (), False))
        if servers:
            say(f"lists: {self.options.rounds} rounds of {self.options.seconds} s, {len(servers)} servers")
        for _ in range(self.options.rounds):
            for server, *run in servers:
                self.sample("lists", server, *run)
        self.stop_all()


def wrong(server, question):
    """What is wrong with a server's answer to a question, over UDP and TCP."""
    name, rcode, answers = question
    if answers == 5:
        answers = server.peer.answers
    addresses = workloads.VIPS if answers > 1 else [bytes([10, 0, 0, 5])] if answers else []
    for tcp in [False, True] if server.peer.tcp else [False]:
        reply = ask(server.port, name, tcp=tcp) or b""
        got = (reply[3] & 15, int.from_bytes(reply[6:8], "big")) if len(reply) >= 12 else None
        if got != (rcode, answers) or any(address not in reply for address in addresses):
            return f"{name} over {'TCP' if tcp else 'UDP'} was answered with {got}, not {(rcode, answers)}"
    return None


def main():
    options = arguments()
    if not {0, LOAD_CORE} <= os.sched_getaffinity(0):
        raise SystemExit("bench: two cores are needed, one for the server and one for the load")
    began = time.monotonic()
    build()
    wanted = [peer for peer in p.PEERS if not options.peers or peer.label in options.peers.split(",")]
    install(wanted)
    bench = Bench(options)
    os.makedirs(bench.where, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: told to end"))
    measured = time.monotonic()
    try:
        if set(options.only) - {name for name, _ in LISTS}:
            bench.plain(wanted)
        if set(options.only) & {name for name, _ in LISTS}:
            bench.lists(wanted)
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
