"""A DNS tunnel through an allowed subtree: what it carries without a budget, with the shipped one, and with one that denies.

    client (iodine, dns2tcpc) --- gate (dnsgate) --- far (the meter: 53 -> 5300, iodined or dns2tcpd)

The rule allows all names below t.tunnel.example, with the types that tunnels like, so nothing but the budget is in the way.
The meter on the far side counts what arrives: distinct names, and the bytes of their labels below the domain. Each tunnel
uploads random bytes, which it cannot compress, for a fixed time.

dns2tcp encodes its data in upper and lower case. It works where it reaches its server directly, which is its control, and
carries nothing through dnsgate, which asks for every name in lower case.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import unittest
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, os.path.join(ROOT, "tests/e2e/vpc"))

from network import Host  # noqa: E402

DNSGATE = os.path.join(ROOT, "target/debug/dnsgate")
WHERE = os.path.join(ROOT, "target/e2e/tunnel")
GATE, FAR, CLIENT = "10.50.1.1", "10.50.2.2", "10.50.1.2"
TOP = "t.tunnel.example"  # what the tunnel's server is delegated
DOMAIN = "tunnel.example"  # the registered domain, which the budget counts by
SECONDS = 5  # of upload in each scene
WINDOW = 60  # of the denying budget: longer than a scene
BYTES = 16 << 10  # of the denying budget
PATIENCE = 30

# Relays port 53 to the tunnel's server, and prints what it has relayed when it is asked by SIGUSR1.
METER = os.path.join(HERE, "meter.py")

CONFIG = """
google_apis: {{ vip: "off" }}
clients: {{ all: {{ cidrs: [10.50.0.0/16] }} }}
upstreams: {{ far: {{ servers: [udp://{far}] }} }}
rules:
  - name: tunnel
    domains: [.{domain}]
    forward: far
    types: [A, AAAA, CNAME, MX, SRV, TXT, "NULL", KEY, NS]
    addresses: [0.0.0.0/0]
{budget}
limits: {{ drain: 0s }}
log: {{ format: json }}
"""

BUDGETS = {
    "direct": "budget: off",  # the client asks the far side, and dnsgate idles
    "none": "budget: off",
    "shipped": "",
    "deny": f"budget: {{ bytes: {BYTES >> 10}KiB, window: {WINDOW}s, over: deny }}",
}


class Scene:
    """Three hosts in a row, with dnsgate and the meter; `budget` is of BUDGETS."""

    def __init__(self, name, budget):
        self.where = os.path.join(WHERE, name)
        shutil.rmtree(self.where, ignore_errors=True)
        os.makedirs(self.where)
        self.hosts, self.programs = [], []
        self.client, self.gate, self.far = (self.host(name) for name in ("client", "gate", "far"))
        self.link(self.client, CLIENT, GATE)
        self.link(self.far, FAR, "10.50.2.1")
        self.server = GATE
        if budget == "direct":
            self.server = FAR
            self.gate.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
            self.client.run("ip", "route", "add", "default", "via", GATE)
            self.far.run("ip", "route", "add", "default", "via", "10.50.2.1")
        config = os.path.join(self.where, "dnsgate.yaml")
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIG.format(far=FAR, domain=DOMAIN, budget=BUDGETS[budget]))
        self.meter = self.start(self.far, "meter", sys.executable, "-u", METER, FAR, DOMAIN)
        self.meter.wait_for_line("ready")
        self.dnsgate = self.start(
            self.gate, "dnsgate", DNSGATE, "serve", "--config", config, "--listen", f"{GATE}:53", "--admin", "127.0.0.1:9153"
        )
        self.dnsgate.wait_until("ready", lambda: '"message":"ready"' in self.dnsgate.said())

    def host(self, name):
        host = Host(name, self.where)
        self.hosts.append(host)
        return host

    def link(self, host, address, gate):
        self.gate.run("ip", "link", "add", host.name, "type", "veth", "peer", "eth0", "netns", str(host.holder.pid))
        self.gate.run("ip", "address", "add", f"{gate}/24", "dev", host.name)
        self.gate.run("ip", "link", "set", host.name, "up")
        host.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        host.run("ip", "link", "set", "eth0", "up")

    def start(self, host, name, *command):
        program = host.start(name, *command)
        self.programs.append(program)
        return program

    def close(self):
        for program in reversed(self.programs):
            program.process.kill()
            program.process.wait()
        for host in self.hosts:
            host.close()

    def metered(self):
        """What has arrived on the far side: questions, distinct names, bytes of their labels."""
        before = self.meter.said().count("\n")
        self.meter.process.send_signal(subprocess.signal.SIGUSR1)
        self.meter.wait_until("its numbers", lambda: self.meter.said().count("\n") > before)
        return json.loads(self.meter.said().splitlines()[-1])

    def admin(self, path):
        return self.gate.run("curl", "--silent", "--fail", f"http://127.0.0.1:9153{path}").stdout

    def reports(self):
        """The log lines about a budget that is used up."""
        lines = (json.loads(line) for line in self.dnsgate.said().splitlines() if line.startswith("{"))
        return [line for line in lines if "maxNames" in line]


def missing():
    """What a machine lacks for these tests."""
    programs = [it for it in ("iodine", "iodined", "dns2tcpc", "dns2tcpd") if not shutil.which(it, path=path())]
    return programs or ([] if os.path.exists("/dev/net/tun") else ["/dev/net/tun"])


def path():
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def sink(scene, port):
    """A server behind the tunnel that keeps what it is sent."""
    received = os.path.join(scene.where, "received")
    script = (
        "import socket,sys\n"
        f"s = socket.create_server(('0.0.0.0', {port}))\n"
        "print('ready', flush=True)\n"
        f"f = open({received!r}, 'wb')\n"
        "while True:\n"
        "    c, _ = s.accept()\n"
        "    while data := c.recv(65536): f.write(data); f.flush()\n"
    )
    scene.start(scene.far, "sink", sys.executable, "-u", "-c", script).wait_for_line("ready")
    return received


def upload(scene, address, port):
    """Sends random bytes to the sink through the tunnel for SECONDS."""
    script = (
        "import os,socket,sys,time\n"
        f"end = time.monotonic() + {SECONDS}\n"
        "while time.monotonic() < end:\n"
        "    try:\n"
        f"        s = socket.create_connection(({address!r}, {port}), timeout=2)\n"
        "        s.settimeout(1)\n"
        "        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)\n"
        "        while time.monotonic() < end: s.sendall(os.urandom(1024))\n"
        "    except OSError: time.sleep(0.2)\n"
    )
    scene.client.run(sys.executable, "-c", script, timeout=SECONDS + PATIENCE)


def iodine(scene):
    """A network over DNS; whether it came up, and where the sink is."""
    server = scene.start(
        scene.far, "iodined", "iodined", "-f", "-c", "-P", "secret", "-p", "5300", "-l", "127.0.0.1", "10.99.0.1/24", TOP
    )
    server.wait_until("its socket", lambda: "Listening to dns" in server.said())
    client = scene.start(
        scene.client, "iodine", "iodine", "-f", "-r", "-P", "secret", "-T", "TXT", "-L", "0", "-I", "1", scene.server, TOP
    )
    deadline = time.monotonic() + PATIENCE
    while "Connection setup complete" not in client.said():
        if client.process.poll() is not None or time.monotonic() > deadline:
            return None
        time.sleep(0.1)
    return "10.99.0.1"


def dns2tcp(scene):
    """A TCP connection over DNS; whether it came up, and where the sink is."""
    server = os.path.join(scene.where, "dns2tcpd.conf")
    with open(server, "w", encoding="ascii") as file:
        file.write(
            f"listen = 127.0.0.1\nport = 5300\nuser = root\nchroot = {scene.where}\ndomain = {TOP}\nkey = secret\n"
            "resources = sink:127.0.0.1:9000\n"
        )
    scene.start(scene.far, "dns2tcpd", "dns2tcpd", "-F", "-d", "1", "-f", server)
    command = ["dns2tcpc", "-z", TOP, "-k", "secret", "-r", "sink", "-l", "9000", "-d", "1", scene.server]
    client = scene.start(scene.client, "dns2tcpc", *command)
    deadline = time.monotonic() + PATIENCE
    while "Listening on port" not in client.said():
        if client.process.poll() is not None or time.monotonic() > deadline:
            return None
        time.sleep(0.1)
    return "127.0.0.1"


@unittest.skipIf(missing(), f"SKIPPED: not installed: {missing()}")
class Tunnel(unittest.TestCase):
    """Each tunnel with each budget."""

    def scene(self, tool, budget):
        """What one scene gives: the numbers of the table."""
        scene = Scene(f"{tool.__name__}-{budget}", budget)
        self.addCleanup(scene.close)
        received = sink(scene, 9000)
        began = time.monotonic()
        address = tool(scene)
        if address:
            upload(scene, address, 9000)
        metered = scene.metered()
        payload = os.path.getsize(received) if os.path.exists(received) else 0
        reports, took = scene.reports(), time.monotonic() - began
        print(
            f"{tool.__name__:8} {budget:8} up: {'yes' if address else 'no':4} payload {payload / 1024:8.1f} KiB "
            f"({payload / 1024 / SECONDS:6.2f} KiB/s)   on the far side {metered['names']:6} names "
            f"{metered['bytes'] / 1024:8.1f} KiB   reports {len(reports)}",
            flush=True,
        )
        page = json.loads(scene.admin("/usage"))["budgets"]
        scene.close()
        return {"payload": payload, "reports": reports, "usage": page, "took": took} | metered

    def test_iodine(self):
        control = self.scene(iodine, "none")
        self.assertGreater(control["payload"], 20 << 10, "without a budget the tunnel works")
        self.assertEqual((control["reports"], control["usage"]), ([], []))

        shipped = self.scene(iodine, "shipped")
        self.assertGreater(shipped["payload"], 20 << 10, "the shipped default only reports")
        self.assertEqual(len(shipped["reports"]), 1, "one line, however many names")
        report = shipped["reports"][0]
        self.assertEqual((report["domain"], report["sourceIP"], report["over"]), (DOMAIN, CLIENT, "report"))
        used = shipped["usage"][0]
        # What dnsgate counted is what arrived, within the error of its estimate.
        for counted in ("names", "bytes"):
            self.assertLess(abs(used[counted] - shipped[counted]), 0.15 * shipped[counted] + 10, counted)

        deny = self.scene(iodine, "deny")
        self.assertLess(deny["took"], WINDOW + PATIENCE)
        windows = int(deny["took"] / WINDOW) + 1
        self.assertLessEqual(deny["bytes"], windows * BYTES, "on the far side")
        self.assertLess(deny["payload"], control["payload"] / 2)
        self.assertEqual(deny["reports"][0]["over"], "deny")

    def test_dns2tcp(self):
        control = self.scene(dns2tcp, "direct")
        self.assertGreater(control["payload"], 20 << 10, "without dnsgate the tunnel works")
        through = self.scene(dns2tcp, "none")
        self.assertEqual(through["payload"], 0, "names are asked for in lower case")
        self.assertGreater(through["names"], 0, "and are forwarded")


if __name__ == "__main__":
    unittest.main()
