"""The results as a table, as JSON, and as a chart."""

import os
import platform
import statistics
import subprocess


def output(*command):
    """The output of a command, or nothing."""
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def machine():
    """The machine of the measurement."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "")
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0]}


def versions(wanted):
    """The versions of all servers: of their Debian packages, and as dnsgate prints its own."""
    found = {"dnsgate": output("target/release/dnsgate", "--version") + " " + output("git", "rev-parse", "--short", "HEAD")}
    for peer in wanted:
        if peer().path():
            found[peer.label] = output("dpkg-query", "-W", "-f", "${Version}", peer.package) if peer.package else "?"
    return found


def median(samples, key):
    """The median over the samples that have this key."""
    values = [sample[key] for sample in samples if sample.get(key) is not None]
    return statistics.median(values) if values else None


def paired(key, ours, theirs):
    """The median of the ratios of two servers' figures in the same round: a disturbance of the machine in a round
    affected both."""
    ratios = [one / other for one, other in zip(ours["by_round"][key], theirs["by_round"][key]) if one and other]
    return statistics.median(ratios) if ratios else None


def summary(samples):
    """Summarises one server's samples of one workload."""
    row = {key: median(samples, key) for key in ["qps", "cpu_us", "busy", "system_part", "p50_us", "p99_us", "p999_us", "mean_us"]}
    row["resident_mib"] = max(sample["resident_mib"] for sample in samples)
    row["qps_min"] = min(sample["qps"] for sample in samples)
    row["qps_max"] = max(sample["qps"] for sample in samples)
    for key in ["sent", "lost", "wrong", "stray"]:
        row[key] = sum(sample[key] for sample in samples)
    row["by_round"] = {key: [sample.get(key) for sample in samples] for key in ["qps", "cpu_us", "p50_us", "p99_us", "mean_us"]}
    return row


def collect(bench, wanted):
    """All results, ready for JSON."""
    result = {
        "machine": machine(),
        "versions": versions(wanted),
        "rounds": bench.options.rounds,
        "seconds": bench.options.seconds,
        "rate": bench.options.rate,
        "miss_rate": bench.options.miss_rate,
        "servers": bench.about,
        "workloads": {},
        "problems": bench.problems,
    }
    for workload, servers in bench.samples.items():
        rows = {name: summary(samples) for name, samples in servers.items()}
        ours = rows.get("dnsgate") or next((row for name, row in rows.items() if name.startswith("dnsgate")), None)
        echo = next((row for name, row in rows.items() if name.startswith("echo")), None)
        for row in rows.values():
            for name, base in [("dnsgate", ours), ("echo", echo)]:
                for key in ["qps", "cpu_us"]:
                    if base and (ratio := paired(key, row, base)):
                        row[f"{key}_to_{name}"] = ratio
        result["workloads"][workload] = rows
    return result


def number(value, form):
    return "-" if value is None else format(value, form)


def table(result):
    """Prints the table."""
    machine_ = result["machine"]
    print(f"\n{machine_['cpu']}, {machine_['cores']} cores, Linux {machine_['kernel']}, load {machine_['load']:.1f}")
    print(", ".join(f"{name} {version}" for name, version in result["versions"].items()))
    for workload, rows in result["workloads"].items():
        latency = any(row["p50_us"] for row in rows.values())
        rate = result["miss_rate"] if workload.startswith("miss") else result["rate"]
        print(f"\n{workload}" + (f": {rate} queries a second offered" if latency else ""))
        head = f"{'':22}{'q/s':>9}{'min':>9}{'max':>9}{'to dnsgate':>12}{'CPU µs/q':>10}{'system':>8}{'to dnsgate':>12}{'to echo':>9}{'busy':>6}{'lost':>6}{'RSS MiB':>9}"
        more = f"{'p50 µs':>9}{'p99':>8}{'p99.9':>8}{'mean':>8}" if latency else f"{'ready s':>9}" if workload == "lists" else ""
        print(head + more)
        for name, row in rows.items():
            line = f"{name:22}{row['qps']:9.0f}{row['qps_min']:9.0f}{row['qps_max']:9.0f}"
            line += f"{number(row.get('qps_to_dnsgate'), '12.2f'):>12}{row['cpu_us']:10.2f}"
            line += f"{number(row['system_part'], '.0%'):>8}{number(row.get('cpu_us_to_dnsgate'), '.2f'):>12}"
            line += f"{number(row.get('cpu_us_to_echo'), '.2f'):>9}{row['busy']:6.2f}{row['lost'] + row['wrong']:6}"
            line += f"{row['resident_mib']:9.1f}"
            if workload == "lists":
                line += f"{result['servers'][name]['ready_s']:9.2f}"
            if latency:
                line += "".join(f"{number(row[key], '.0f'):>{width}}" for key, width in [("p50_us", 9), ("p99_us", 8), ("p999_us", 8), ("mean_us", 8)])
            print(line)
    if any((row["busy"] or 0) < 0.9 for row in result["workloads"].get("mix", {}).values()):
        print("busy below 0.9: the server's core was shared, or the load was the limit; trust CPU per query, not q/s")
    for name, about in result["servers"].items():
        if about.get("note"):
            print(f"{name}: {about['note']}")
    print()


def chart(rows):
    """Two groups of bars: queries per second, and CPU per query."""
    height, left, width = 22, 130, 270
    ranked = sorted(rows.items(), key=lambda item: item[1]["cpu_us"])
    tall = 60 + height * len(ranked)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 {tall}" font-family="sans-serif" font-size="12">',
        f'<rect width="860" height="{tall}" fill="#ffffff"/>',
        f'<text x="{left}" y="24" font-weight="bold">queries per second, one core (more is better)</text>',
        f'<text x="{left + 390}" y="24" font-weight="bold">CPU µs per query (less is better)</text>',
    ]
    for at, (name, row) in enumerate(ranked):
        y = 40 + at * height
        colour = "#1a73e8" if name.startswith("dnsgate") else "#9aa0a6" if name.startswith("echo") else "#c5cae0"
        out.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{name}</text>')
        for key, x, form in [("qps", left, ",.0f"), ("cpu_us", left + 390, ".2f")]:
            most = max(other[key] for other in rows.values())
            long = row[key] / most * width
            out.append(f'<rect x="{x}" y="{y}" width="{long:.1f}" height="16" fill="{colour}"/>')
            out.append(f'<text x="{x + long + 5:.1f}" y="{y + 13}">{format(row[key], form)}</text>')
    out.append("</svg>\n")
    return "\n".join(out)
