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


def lost(*workloads):
    """The number of our lost and wrong replies in all of these workloads."""

    def figure(rows):
        own = [line for name in workloads for label, line in rows[name].items() if label.startswith("dnsgate")]
        return sum(line["lost"] + line["wrong"] for line in own)

    return figure


UDP = ["mix", "refused"]
PROMISES = (
    [(f"`{name}`: CPU per query, by the echo's", "≤", 1.05, ratio(name, "cpu_us", f"echo {name}")) for name in UDP]
    + [(f"`{name}`: queries per second, by NSD's", "≥", 1.0, ratio(name, "qps", "nsd")) for name in UDP]
    + [(f"`{name}`: the same, by Unbound's", "≥", 1.1, ratio(name, "qps", "unbound")) for name in UDP]
    + [(f"`{name}`: the same, by Knot's", "≥", 1.1, ratio(name, "qps", "knot")) for name in UDP]
    + [(f"`{name}`: the same, by CoreDNS's", "≥", 3.0, ratio(name, "qps", "coredns")) for name in UDP]
    + [
        ("`cached`: queries per second, by dnsdist's", "≥", 1.0, ratio("cached", "qps", "dnsdist")),
        ("`cached`: the same, by Unbound's", "≥", 1.1, ratio("cached", "qps", "unbound")),
        ("`miss`: CPU per query, by Unbound's", "≤", 1.0, ratio("miss", "cpu_us", "unbound")),
        ("`miss-near`: median latency, by Unbound's", "≤", 1.0, ratio("miss-near", "p50_us", "unbound")),
        ("misses: lost or wrong", "≤", 0, lost("miss", "miss-near", "miss-far")),
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
