"""The measurements: each suite starts its servers, has them asked in rounds, and stops them."""

import os
import shutil
import statistics
import threading
import time
import urllib.request

import forwarders
import peers as p
import workloads
from bench import say
from measure import ask, free_port

# For the reload: names in the list, and how long the load lasts; the reload ends before the load does.
RELOAD_SIZE, RELOAD_SECONDS = 1_000_000, 4

LISTS = [("list-10", 10), ("list-10k", 10_000), ("list-1m", 1_000_000)]


def plain(bench, wanted):
    """The workloads with the built-in zone: (a), (b), (f), (h) and latency."""
    mix, refused = workloads.mix(), workloads.refused()
    dnsgate = bench.start(p.Dnsgate(), mix)
    if not dnsgate:
        raise SystemExit("dnsgate does not answer correctly")
    echoes = {}
    for name, questions in [("mix", mix), ("refused", refused)]:
        sizes = [len(ask(dnsgate.port, question) or b"") for question, _, _ in questions]
        echoes[name] = bench.start(p.Echo(sizes), questions, name=f"echo {name}")
        bench.about[f"echo {name}"]["reply_bytes"] = statistics.mean(sizes)
    others = [bench.start(peer(), mix) for peer in wanted if peer().path()]
    servers = [dnsgate] + [server for server in others if server]
    files = {}
    for name, questions in [("mix", mix), ("refused", refused)]:
        files[name] = {server: bench.file(f"{name}.{server.peer.answers}", questions, server.peer.answers) for server in servers}
        files[name][echoes[name]] = bench.file(f"{name}.echo", [(n, 0, 0) for n, _, _ in questions])

    def runs(name, extra=(), echo=True, tcp=False):
        chosen = ([echoes[name]] if echo and echoes[name] else []) + servers
        return [(server, files[name][server], extra, tcp) for server in chosen]

    bench.rounds("mix", runs("mix"))
    bench.rounds("refused", runs("refused"))
    bench.rounds("latency", runs("mix", ["--rate", bench.options.rate]))
    for workload, peer in [("observed", p.Observed()), ("log-all", p.Logged())]:
        if workload in bench.options.only:
            observed(bench, workload, peer, dnsgate, files["mix"][dnsgate], mix)
    bench.rounds("tcp-fresh", runs("mix", echo=False, tcp=True))
    kept = ["--keep", "--window", 32]
    bench.rounds("tcp-kept", [run for run in runs("mix", kept, echo=False, tcp=True) if run[0].peer.keeps])
    bench.stop_all()


def observed(bench, workload, peer, dnsgate, file, questions):
    peer.admin = free_port()
    logging = bench.start(peer, questions)
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
        bench.rounds(workload, [(dnsgate, file, (), False), (logging, file, (), False)])
    finally:
        stop.set()
        scraper.join()
        bench.about[logging.name]["log_bytes"] = os.path.getsize(os.path.join(logging.where, "log"))
        bench.stop(logging)


def lists(bench, wanted):
    """Workload (e): allowlists of several lengths."""
    servers = []
    for name, size in LISTS:
        if name not in bench.options.only:
            continue
        say(f"starting servers with {size} names")
        names, questions = workloads.names(size), workloads.of_list(size)
        file = bench.file(name, questions)
        for kind in [p.Dnsgate, p.Unbound]:
            # Unbound takes longer to load a million local zones than --quick may take.
            if kind is p.Unbound and (kind not in wanted or not kind().path() or bench.options.quick and size > 10_000):
                continue
            server = bench.start(kind(names), questions, name=f"{kind.label} {name}", patience=180)
            if server:
                servers.append((server, file, (), False))
    if servers:
        say(f"lists: {bench.options.rounds} rounds of {bench.options.seconds} s, {len(servers)} servers")
    for _ in range(bench.options.rounds):
        for server, *run in servers:
            bench.sample("lists", server, *run)
    bench.stop_all()


def forwarding(bench, wanted):
    """Workloads (c) and (d): names that only an upstream knows, from the cache, from a near and from a far upstream."""
    known = workloads.forwarded(forwarders.SUFFIX)
    near = [name for name in ["cached", "miss", "miss-near"] if name in bench.options.only]
    for delay, names in [(0, near), (bench.options.delay, ["miss-far"])]:
        if not set(names) & set(bench.options.only):
            continue
        say(f"starting forwarders, their upstream {delay} ms away")
        upstream = bench.start(forwarders.Upstream(delay), known, name=f"upstream, {delay} ms")
        kinds = [kind for kind in forwarders.FORWARDERS if any(issubclass(kind, peer) for peer in wanted)]
        others = [bench.start(kind(upstream.port), known) for kind in kinds if kind(0).path()]
        servers = [bench.start(forwarders.Dnsgate(upstream.port), known)] + others
        servers = [server for server in servers if server]
        cached = bench.file("cached", known)
        new = bench.file("fresh", workloads.fresh(forwarders.SUFFIX))
        if delay == 0:
            bench.rounds("cached", [(server, cached, (), False) for server in servers])
            bench.rounds("miss", [(server, new, bench.unheard_of, False) for server in servers])
        name = "miss-far" if delay else "miss-near"

        def paced():
            return ["--rate", bench.options.miss_rate, *bench.unheard_of()]

        bench.rounds(name, [(server, new, paced, False) for server in [upstream, *servers]])
        bench.stop_all()


def streams(bench, wanted):
    """Misses whose upstream is asked over TCP, TLS and HTTPS."""
    known = workloads.forwarded(forwarders.SUFFIX)
    if not shutil.which(forwarders.StreamUpstream.program):
        return bench.problems.append("no Unbound, so misses over streams have no upstream")
    upstream = bench.start(forwarders.StreamUpstream(bench.where), known, name="upstream over streams")
    if not upstream:
        return None
    new = bench.file("fresh", workloads.fresh(forwarders.SUFFIX))
    for scheme in ["tcp", "tls", "https"]:
        if f"miss-{scheme}" not in bench.options.only:
            continue
        kinds = [kind for kind in forwarders.STREAM_FORWARDERS if any(issubclass(kind, peer) for peer in wanted)]
        kinds = [kind for kind in kinds if scheme in kind.schemes and shutil.which(kind.program)]
        peers = [kind(upstream.peer, scheme) for kind in [forwarders.DnsgateOverStream, *kinds]]
        started = [bench.start(peer, known, name=f"{peer.label}, {scheme}") for peer in peers]
        servers = [server for server in started if server]
        for server in servers:
            server.name = server.peer.label
        bench.rounds(f"miss-{scheme}", [(server, new, bench.unheard_of, False) for server in servers])
        for server in servers:
            bench.stop(server)
    bench.stop_all()
    return None


def workers(bench, _wanted):
    """One worker and two, on both cores, at a rate that leaves the generator its part of one."""
    mix = workloads.mix()
    servers = [bench.start(p.OnBothCores(count), mix) for count in (1, 2)]
    file = bench.file("mix.5", mix)
    paced = ["--rate", bench.options.rate // 4]
    bench.rounds("workers", [(server, file, paced, False) for server in servers if server])
    bench.stop_all()


def beside(bench, _wanted):
    """Answers from the zone alone, and beside many misses on the same worker."""
    mix, known = workloads.mix(), workloads.forwarded(forwarders.SUFFIX)
    upstream = bench.start(forwarders.Upstream(0), known, name="upstream, beside")
    peer = forwarders.Both(upstream.port)
    server = bench.start(peer, mix)
    if not server:
        return
    file, new = bench.file("mix.5", mix), bench.file("fresh", workloads.fresh(forwarders.SUFFIX))
    paced = ["--rate", bench.options.miss_rate]
    for _ in range(bench.options.rounds):
        bench.sample("beside", server, file, paced, name="dnsgate, alone")
        misses = bench.load(server, new, ["--rate", forwarders.MISSES, *bench.unheard_of()])
        bench.sample("beside", server, file, paced, name="dnsgate, beside misses")
        misses.wait()
    bench.stop_all()


def reload(bench, _wanted):
    """Workload (g): dnsgate reads the list of a million names again under load, on the one core that serves."""
    say(f"reload: starting dnsgate with {RELOAD_SIZE} names")
    names, questions = workloads.names(RELOAD_SIZE), workloads.of_list(RELOAD_SIZE)
    peer = p.Dnsgate(names)
    peer.admin = free_port()
    server = bench.start(peer, questions, patience=180)
    if not server:
        return
    file = bench.file("reload", questions)
    paced = ["--rate", bench.options.rate, "--seconds", RELOAD_SECONDS]
    # One round here takes as long as a workload with many servers.
    for number in range(1 if bench.options.quick else bench.options.rounds):
        bench.sample("reload", server, file, paced, name="dnsgate, steady")
        with open(os.path.join(server.where, "names.txt"), "w", encoding="ascii") as out:
            out.write("\n".join([*names, f"added-{number}.example"]))
        reloading = threading.Thread(target=ask_to_reload, args=(bench, peer.admin))
        reloading.start()
        bench.sample("reload", server, file, paced, name="dnsgate, reloading")
        reloading.join()
    bench.stop_all()


def ask_to_reload(bench, admin):
    """Makes dnsgate reload its configuration, and records how long that took."""
    request = urllib.request.Request(f"http://127.0.0.1:{admin}/reload", method="POST", headers={"X-Dnsgate": "reload"})
    began = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=60) as page:
            page.read()
    except OSError as error:
        bench.problems.append(f"the reload failed: {error}")
    bench.about.setdefault("dnsgate, reloading", {})["reload_s"] = time.monotonic() - began
