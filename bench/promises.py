"""Checks dnsgate's promises about speed against results of bench/run.py: one row per promise, one column per run.

Each promise is a figure of one run, a limit, and the side of it that is good; the median of the runs decides.
"""

import json
import statistics
import sys

from report import paired

MIB = 2**20 / 1e6  # in MB


def ratio(workload, key, other, ours="dnsgate"):
    """The ratio of our figure to another server's, round by round."""
    return lambda rows: paired(key, rows[workload][ours], rows[workload][other])


def of_server(name, key, scale=1):
    """A figure of a server at its start."""
    return lambda rows: rows["servers"][name][key] * scale


def beside(rows):
    """The ratio of the latency of answers beside many misses to that of answers alone."""
    return paired("mean_us", rows["beside"]["dnsgate, beside misses"], rows["beside"]["dnsgate, alone"])


def lost(*workloads):
    """The number of our lost and wrong replies in all of these workloads."""

    def figure(rows):
        own = [line for name in workloads for label, line in rows[name].items() if label.startswith("dnsgate")]
        return sum(line["lost"] + line["wrong"] for line in own)

    return figure


UDP = ["mix", "refused"]
# dnsgate's limits come from the design's table; a figure that does not hold is explained in docs/performance.md.
PROMISES = (
    [(f"`{name}`: CPU per query, by the echo's", "≤", 1.05, ratio(name, "cpu_us", f"echo {name}")) for name in UDP]
    + [(f"`{name}`: queries per second, by NSD's", "≥", 1.2, ratio(name, "qps", "nsd")) for name in UDP]
    + [(f"`{name}`: the same, by Unbound's", "≥", 1.35, ratio(name, "qps", "unbound")) for name in UDP]
    + [(f"`{name}`: the same, by Knot's", "≥", 1.2, ratio(name, "qps", "knot")) for name in UDP]
    + [(f"`{name}`: the same, by CoreDNS's", "≥", 3.0, ratio(name, "qps", "coredns")) for name in UDP]
    + [
        ("`cached`: queries per second, by dnsdist's", "≥", 1.4, ratio("cached", "qps", "dnsdist")),
        ("`cached`: the same, by Unbound's", "≥", 1.2, ratio("cached", "qps", "unbound")),
        ("`miss`: CPU per query, by dnsdist's", "≤", 1.0, ratio("miss", "cpu_us", "dnsdist")),
        ("`miss`: the same, by Unbound's", "≤", 1.0, ratio("miss", "cpu_us", "unbound")),
        ("`miss-near`: median latency, by dnsdist's", "≤", 1.0, ratio("miss-near", "p50_us", "dnsdist")),
        ("`miss-near`: the same, by Unbound's", "≤", 1.0, ratio("miss-near", "p50_us", "unbound")),
        ("`miss-tls`: CPU per query, by Unbound's", "≤", 0.7, ratio("miss-tls", "cpu_us", "unbound")),
        ("`miss-tls`: the same, by dnsdist's", "≤", 1.0, ratio("miss-tls", "cpu_us", "dnsdist")),
        ("`miss-https`: CPU per query, by dnsdist's", "≤", 1.0, ratio("miss-https", "cpu_us", "dnsdist")),
        ("`miss-tcp`: CPU per query, by Unbound's", "≤", 0.7, ratio("miss-tcp", "cpu_us", "unbound")),
        ("misses: lost or wrong", "≤", 0, lost("miss", "miss-near", "miss-far", "miss-tcp", "miss-tls", "miss-https")),
        ("`beside`: mean latency of answers beside misses, by that alone", "≤", 1.3, beside),
        ("`tcp-fresh`: CPU per query, by Knot's", "≤", 1.0, ratio("tcp-fresh", "cpu_us", "knot")),
        ("`log-all`: CPU per query, by that without a log", "≤", 1.1, ratio("log-all", "cpu_us", "dnsgate", "dnsgate, logging all")),
        ("a million names: queries per second, by ten's", "≥", 0.95, ratio("lists", "qps", "dnsgate list-10", "dnsgate list-1m")),
        ("a million names: ready after, s", "≤", 1.0, of_server("dnsgate list-1m", "ready_s")),
        ("a million names: resident, MB", "≤", 100, of_server("dnsgate list-1m", "resident_mib", MIB)),
        ("reload under load: p99, by the steady state's", "≤", 2.0, ratio("reload", "p99_us", "dnsgate, steady", "dnsgate, reloading")),
        ("reload under load: lost or wrong", "≤", 0, lost("reload")),
        ("idle: resident, MB", "≤", 10, of_server("dnsgate", "resident_mib", MIB)),
        ("ready after, s, as seen every 20 ms", "≤", 0.05, of_server("dnsgate", "ready_s")),
    ]
)


def value(figure, result):
    """A run's figure; None if it was not measured."""
    try:
        return figure({**result["workloads"], "servers": result["servers"]})
    except KeyError:
        return None


def row(text, sign, limit, figures):
    """A line of the table."""
    cells = ["-" if figure is None else f"{figure:.3g}" for figure in figures]
    known = [figure for figure in figures if figure is not None]
    if not known:
        return f"| {text} {sign} {limit:g} | {' | '.join(cells)} | - | not measured |"
    median = statistics.median(known)
    holds = median <= limit if sign == "≤" else median >= limit
    return f"| {text} {sign} {limit:g} | {' | '.join(cells)} | {median:.3g} | {'holds' if holds else '**does not hold**'} |"


def main():
    if not sys.argv[1:]:
        raise SystemExit("usage: scripts/bench --promises RESULT.json...")
    results = []
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            results.append(json.load(file))
    print(f"| promise | {' | '.join(f'run {number}' for number in range(1, len(results) + 1))} | median | |")
    print(f"|---|{'---|' * len(results)}---|---|")
    for text, sign, limit, figure in PROMISES:
        print(row(text, sign, limit, [value(figure, result) for result in results]))


if __name__ == "__main__":
    main()
