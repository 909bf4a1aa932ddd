"""The wires of the VPC: hosts, each in namespaces of its own, around one router.

`scripts/test-vpc` runs the test in private namespaces for processes, mounts and the network. A host's namespaces have no
names, and last only as long as their processes. So when the test ends, in whatever way, the kernel ends every process of
it, and no namespace, link, firewall rule or mount is left. Nothing here has to clean up, and nothing reaches outside.
"""

import os
import subprocess
import sys
import time

PATIENCE = 60  # seconds for anything to start or to end; only a fault takes so long

# What the process does that holds a host. Without IPv6 no kernel speaks unasked, and a capture shows what programs did.
HOLD = """
sysctl -qew net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
mount --bind "$1" "$(realpath /etc/resolv.conf)"
ip link set lo up
echo ready
exec sleep infinity
"""


class Host:
    """A network namespace, and a mount namespace for its /etc/resolv.conf; one idle process holds both."""

    def __init__(self, name, where, resolver="127.0.0.1"):
        self.name, self.where = name, where
        path = os.path.join(where, f"{name}.resolv.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"nameserver {resolver}\n")
        command = ["unshare", "--net", "--mount", "sh", "-euc", HOLD, "sh", path]
        self.holder = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the host {name} has no namespaces: root is needed, with all its capabilities")
        self.enter = ["nsenter", f"--target={self.holder.pid}", "--net", "--mount", "--"]

    def close(self):
        """Ends the host; the kernel removes what it had."""
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()

    def run(self, *command, **options):
        """What a command on this host prints. It must succeed, unless `check=False`."""
        options = {"check": True, "timeout": PATIENCE, "text": True, "stdout": subprocess.PIPE} | options
        if "input" not in options:
            options["stdin"] = subprocess.DEVNULL
        return subprocess.run([*self.enter, *command], **options)

    def succeeds(self, *command):
        """Whether a command on this host succeeds; what it prints is nobody's concern."""
        return self.run(*command, check=False, stderr=subprocess.DEVNULL).returncode == 0

    def start(self, name, *command, **environment):
        """A server on this host; its output goes to NAME.log."""
        return Program(name, [*self.enter, *command], os.path.join(self.where, f"{name}.log"), environment)


def python(script):
    """The command that runs a file of this directory."""
    return sys.executable, "-u", os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{script}.py")


class Program:
    """A running server."""

    def __init__(self, name, command, log, environment):
        self.name, self.log = name, log
        with open(log, "wb") as file:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=dict(os.environ, **environment)
            )

    def said(self):
        """What it has printed until now."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_until(self, what, ready):
        """Waits for `ready` to be true, and gives up early when the program has ended."""
        deadline = time.monotonic() + PATIENCE
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: waited in vain for {what}; it said:\n{self.said()[-4000:]}")
            time.sleep(0.05)
        return self

    def wait_for_line(self, line):
        """Waits until it has printed this line."""
        return self.wait_until(f"'{line}'", lambda: line in self.said().splitlines())

    def stop(self):
        """Ends it as a service manager would, and returns its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def close(self):
        """Ends it, if it has not ended."""
        if self.process.poll() is None:
            self.stop()


class Router:
    """The VPC's fabric: every host hangs on it, and it carries packets on unchanged."""

    def __init__(self, host):
        self.host = host
        self.host.run("sysctl", "-qw", "net.ipv4.ip_forward=1")

    def attach(self, host, address, *more):
        """Links a host. `address` is of its link, and `more` are addresses that it has on its loopback, as a machine
        behind an internal passthrough balancer has the balancer's."""
        gateway = address.rpartition(".")[0] + ".1"
        self.host.run("ip", "link", "add", host.name, "type", "veth", "peer", "eth0", "netns", str(host.holder.pid))
        self.host.run("ip", "address", "add", f"{gateway}/24", "dev", host.name)
        self.host.run("ip", "link", "set", host.name, "up")
        host.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        host.run("ip", "link", "set", "eth0", "up")
        host.run("ip", "route", "add", "default", "via", gateway)
        for extra in more:
            host.run("ip", "address", "add", f"{extra}/32", "dev", "lo")
            self.host.run("ip", "route", "add", f"{extra}/32", "via", address)

    def attach_internet(self, host, address):
        """Links the host that has every address that nobody else has: whatever gets out arrives, and is answered."""
        self.attach(host, address)
        gateway = address.rpartition(".")[0] + ".1"
        self.host.run("ip", "route", "add", "default", "via", address)
        host.run("ip", "route", "delete", "default")
        for inside in ("10.0.0.0/8", "35.199.192.0/19"):
            host.run("ip", "route", "add", inside, "via", gateway)
        host.run("ip", "route", "add", "local", "default", "dev", "lo")

    def filter(self, ruleset):
        """Puts firewall rules in force in place of those before."""
        self.host.run("nft", "-f", "-", input=f"flush ruleset\n{ruleset}")
