"""Rolls a fleet of three instances behind a balancer, and breaks them, while clients ask: `scripts/test-fleet` runs it.

    clients (35.199.192.2) --- router: the balancer --- one, two, three: a dnsgate each, with the balancer's address

Prints a table: what happened to the queries of each scene. Exits with 1 if a planned change lost a query or made a client
ask again, if anything else lost more than the health check's interval explains, or if an answer was of no policy.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, os.path.join(HERE, "../vpc"))

import clients  # noqa: E402
from balancer import BALANCER, SLOTS, THRESHOLD, slots  # noqa: E402
from network import Host, Router  # noqa: E402

DNSGATE = os.environ.get("DNSGATE", os.path.join(ROOT, "target/debug/dnsgate"))
WHERE = os.path.join(ROOT, "target/e2e/fleet")
INSTANCES = {1: "10.0.2.2", 2: "10.0.3.2", 3: "10.0.4.2"}
UDP_RATE, TCP_RATE = 1800, 200
SLACK = 1.0  # seconds by which a busy machine may be late with a probe
LOG_ROOM = 64  # KiB for an instance's log

POLICY = """
admin: 0.0.0.0:9153
admin_hosts: []
google_apis: {{ vip: "off" }}
zones:
  - origin: fleet.test
    records: ["* 300 CNAME {letter}", "{letter} 300 A 10.{number}.0.1", "{letter} 300 A 10.{number}.0.2"]
limits: {{ drain: {drain}s }}
log: {{ queries: all, output: "file:{log}" }}
"""


class Instance:
    """A machine with a dnsgate."""

    def __init__(self, fleet, number, address):
        self.fleet, self.number, self.address = fleet, number, address
        self.host = fleet.host(f"gate{number}")
        fleet.router.attach(self.host, address)
        self.host.run("ip", "address", "add", f"{BALANCER}/32", "dev", "lo")
        self.config = os.path.join(fleet.where, f"{number}.yaml")
        self.log = os.path.join(fleet.where, f"{number}.log")  # a small file system of its own
        os.makedirs(self.log)
        self.host.run("mount", "-t", "tmpfs", "-o", f"size={LOG_ROOM}k", "tmpfs", self.log)
        self.put("a")
        self.start()

    def put(self, letter):
        """Gives it this policy, as a deployment does: another file takes the name."""
        text = POLICY.format(
            letter=letter, number=ord(letter) - 96, drain=self.fleet.drain, log=os.path.join(self.log, "queries.log")
        )
        self.write(text)

    def write(self, text):
        """Replaces the configuration file."""
        with open(f"{self.config}.new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(f"{self.config}.new", self.config)

    def start(self):
        """Starts dnsgate and waits until it is ready."""
        self.dnsgate = self.host.start(f"dnsgate-{self.number}", DNSGATE, "serve", "--config", self.config)
        self.fleet.callback(self.dnsgate.close)
        self.dnsgate.wait_until("readiness", lambda: self.page("readyz").startswith("ready\n"))

    def page(self, name):
        """An admin page, or nothing."""
        command = ["curl", "--silent", "--max-time", "5", f"http://127.0.0.1:9153/{name}"]
        return self.host.run(*command, check=False).stdout

    def reload(self):
        """Has its configuration read again, and says whether that is in force."""
        return self.host.run(DNSGATE, "reload", check=False, stderr=subprocess.DEVNULL).returncode == 0

    def signal(self, number):
        """Sends dnsgate a signal; the process that entered its host has become it."""
        self.dnsgate.process.send_signal(number)

    def digest(self):
        """The digest of its policy."""
        lines = (line.split() for line in self.page("readyz").splitlines())
        return next((words[1] for words in lines if words and words[0] == "policy"), None)

    def metric(self, name):
        """The value of a metric without labels."""
        lines = (line.split() for line in self.page("metrics").splitlines())
        return next(float(words[1]) for words in lines if words and words[0] == name)


class Fleet(contextlib.ExitStack):
    """Router, balancer, instances and clients."""

    def __init__(self, interval):
        super().__init__()
        self.interval = interval
        # From the death of an instance: a probe that it answers just before, then those that it does not.
        self.window = interval * THRESHOLD + interval
        self.drain = max(2, int(self.window) + 2)
        self.where = WHERE
        shutil.rmtree(WHERE, ignore_errors=True)
        os.makedirs(WHERE)
        self.router = Router(self.host("router"))
        self.router.host.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
        self.client = self.host("clients")
        self.router.attach(self.client, clients.ADDRESSES[0])
        for address in clients.ADDRESSES[1:]:
            self.client.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        self.instances = {number: Instance(self, number, address) for number, address in INSTANCES.items()}
        command = [sys.executable, "-u", os.path.join(HERE, "balancer.py"), str(interval), *INSTANCES.values()]
        self.balancer = self.router.host.start("balancer", *command)
        self.callback(self.balancer.close)
        self.seen = 0  # lines of the balancer's log
        for _ in INSTANCES:
            self.wait_for("up")
        command = [*self.client.enter, sys.executable, "-u", os.path.join(HERE, "clients.py"), str(UDP_RATE), str(TCP_RATE)]
        self.clients = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.callback(self.clients.kill)

    def host(self, name):
        """A host that ends with the fleet."""
        host = Host(name, self.where)
        self.callback(host.close)
        return host

    def dropped(self):
        """The datagrams that a kernel dropped because a program on this busy machine did not read them in time."""
        hosts = [self.client, *(instance.host for instance in self.instances.values())]
        return sum(dropped_at(host) for host in hosts)

    def wait_for(self, what, number=None):
        """Waits until the balancer has changed an instance to this state; the next such line since the last wait."""

        def found():
            lines = self.balancer.said().splitlines()
            for at, line in enumerate(lines[self.seen :], self.seen + 1):
                words = line.split()
                if words[-1] == what and (number is None or words[0] == str(number)):
                    self.seen = at
                    return True
            return False

        self.balancer.wait_until(f"{number or 'an instance'} {what}", found)

    def say(self, line):
        """Tells the clients."""
        self.clients.stdin.write(f"{line}\n")
        self.clients.stdin.flush()

    def scene(self, name, policies="a"):
        """From now on queries count for this scene."""
        print(f"-- {name.replace('_', ' ')}", flush=True)
        self.say(f"scene {name} {policies}")

    def numbers(self):
        """Ends the clients; what happened in each scene."""
        self.say("end")
        said, _ = self.clients.communicate(timeout=120)
        return json.loads(said)


def dropped_at(host):
    """RcvbufErrors of a host's /proc/net/snmp."""
    names, values = (line.split() for line in host.run("cat", "/proc/net/snmp").stdout.splitlines() if line.startswith("Udp:"))
    return int(values[names.index("RcvbufErrors")])


def steady(fleet):
    """Nothing happens."""
    time.sleep(fleet.interval + 2)


def rolling_restart(fleet):
    """Each instance is told to end, drains, ends, and starts again; the next one follows when the balancer uses it."""
    for number, instance in fleet.instances.items():
        instance.signal(signal.SIGTERM)
        fleet.wait_for("down", number)
        code = instance.dnsgate.process.wait(60)
        assert code == 0, f"instance {number} ended with {code}"
        instance.start()
        fleet.wait_for("up", number)


def rolling_change(fleet):
    """Each instance gets another policy, and the next one when it is in force."""
    before = {instance.digest() for instance in fleet.instances.values()}
    for instance in fleet.instances.values():
        instance.put("b")
        want = fleet.client.run(DNSGATE, "check", "--digest", instance.config).stdout.strip()
        assert instance.reload() and instance.digest() == want
    after = {instance.digest() for instance in fleet.instances.values()}
    assert len(before) == len(after) == 1 and before != after, f"{before} {after}"


def killed(fleet):
    """SIGKILL; the instance is started again after the balancer has seen it."""
    instance = fleet.instances[1]
    instance.signal(signal.SIGKILL)
    fleet.wait_for("down", 1)
    instance.dnsgate.process.wait(60)
    instance.start()
    fleet.wait_for("up", 1)


def frozen(fleet):
    """SIGSTOP: the kernel still takes packets for the instance, and the instance answers them when it goes on."""
    instance = fleet.instances[2]
    instance.signal(signal.SIGSTOP)
    fleet.wait_for("down", 2)
    time.sleep(clients.TRY)  # what waits in its sockets would still be answered in time
    instance.signal(signal.SIGCONT)
    fleet.wait_for("up", 2)


def cut_off(fleet):
    """No packet reaches the instance or leaves it."""
    instance = fleet.instances[3]
    chains = "".join(f"chain {hook} {{ type filter hook {hook} priority 0; policy drop; }}\n" for hook in ("input", "output"))
    instance.host.run("nft", "-f", "-", input=f"table ip cut {{\n{chains}}}\n")
    fleet.wait_for("down", 3)
    instance.host.run("nft", "flush", "ruleset")
    fleet.wait_for("up", 3)


def disk_full(fleet):
    """The log of an instance has no room left."""
    instance = fleet.instances[1]
    instance.host.run("dd", "if=/dev/zero", f"of={instance.log}/full", "bs=1k", check=False, stderr=subprocess.DEVNULL)
    instance.dnsgate.wait_until("lost log lines", lambda: instance.metric("dnsgate_log_dropped_total") > 0)
    assert instance.page("readyz").startswith("ready\n"), "a full disk is no reason to take no queries"
    instance.host.run("rm", f"{instance.log}/full")


def bad_configuration(fleet):
    """An instance gets a file with an error: the policy before stays in force, and it is told."""
    instance = fleet.instances[2]
    digest = instance.digest()
    instance.write("rules: [")
    assert not instance.reload() and instance.metric("dnsgate_config_rejected") == 1
    assert instance.digest() == digest and "the last reload was refused" in instance.page("readyz")
    instance.put("b")
    assert instance.reload() and instance.metric("dnsgate_config_rejected") == 0


# What happens; the policies that may answer; whether it is planned: then no query may even be asked again.
SCENES = [
    (steady, "a", True),
    (rolling_restart, "a", True),
    (rolling_change, "ab", True),
    (killed, "b", False),
    (frozen, "b", False),
    (cut_off, "b", False),
    (disk_full, "b", True),
    (bad_configuration, "b", True),
]


def bounds(fleet):
    """The most queries of an unplanned scene that may be asked again, and be lost.

    Until the balancer has seen it, the dead instance gets its share of the queries, and each of them is asked again after a
    try's time. Only if that is still before the end of the window, the second try may get to it as well.
    """
    share = max(slots(list(INSTANCES)).count(number) for number in INSTANCES) / SLOTS
    rate, window = UDP_RATE + TCP_RATE, fleet.window + SLACK
    return rate * window * share, rate * max(0, window - clients.TRY) * share * share


def report(fleet, took, dropped):
    """Prints the table; the faults found."""
    most_again, most_lost = bounds(fleet)
    faults = []
    print(f"\nprobes every {fleet.interval:g} s, {THRESHOLD} of them; a drain of {fleet.drain} s; {UDP_RATE} + {TCP_RATE} queries a second\n")
    print("| what happens | seconds | queries | lost | asked again | dropped by the kernel | of neither policy | slowest, ms |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for (function, _, planned), numbers in zip(SCENES, fleet.numbers()):
        name = function.__name__.replace("_", " ")
        lost, again, wrong = numbers["lost"], numbers["again"], numbers["wrong"]
        cells = (name, f"{took[function]:.1f}", numbers["queries"], lost, again, dropped[function], wrong)
        print("|", " | ".join(map(str, cells)), f"| {numbers['slowest'] * 1000:.0f} |")
        if planned and (lost or again > dropped[function]):
            faults.append(f"{name}: {lost} lost and {again} asked again, where the kernel dropped {dropped[function]}")
        if again > most_again or lost > most_lost:
            faults.append(f"{name}: {lost} of at most {most_lost:.0f} lost, {again} of at most {most_again:.0f} asked again")
        if not planned and not again:
            faults.append(f"{name}: nobody felt it, so it was not tried")
        if wrong:
            faults.append(f"{name}: {wrong} answers of neither policy: {numbers['by_policy']}")
        if function is rolling_change and set(numbers["by_policy"]) != {"a", "b"}:
            faults.append(f"{name}: answers of {numbers['by_policy']}, and both policies were in force")
        if numbers["queries"] < (UDP_RATE + TCP_RATE) * took[function] * 0.5:
            faults.append(f"{name}: only {numbers['queries']} queries, the clients are too slow")
    print(f"\nunplanned: at most {most_lost:.0f} lost and {most_again:.0f} asked again")
    return faults


def main():
    """Plays all scenes."""
    parser = argparse.ArgumentParser(description="Rolls a fleet behind a balancer, and breaks it.")
    parser.add_argument("--interval", type=float, default=0.5, help="seconds between two health checks (0.5; Google's default: 5)")
    interval = parser.parse_args().interval
    took, dropped = {}, {}
    with Fleet(interval) as fleet:
        for function, policies, planned in SCENES:
            began, before = time.monotonic(), fleet.dropped()
            fleet.scene(function.__name__, policies)
            time.sleep(1)  # so that what happens next does not meet a query of the scene before
            function(fleet)
            if not planned:
                time.sleep(clients.TRY)  # a second try should not meet the next instance that is broken
            took[function], dropped[function] = time.monotonic() - began, fleet.dropped() - before
        faults = report(fleet, took, dropped)
    for fault in faults:
        print(f"FAILED: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
