"""The VPC: its hosts, and scenes in it, each with a dnsgate, a firewall and the workload's function.

    workload --- router (the firewall) --- cloud-dns   Unbound, as the server policy; metadata server
                                      |--- gate        dnsgate, and the balancer's address on the loopback
                                      |--- google      199.36.153.4-7: Cloud Storage
                                      `--- internet    every other address
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys

import firewall
import tls
from network import Host, Router
from plan import BALANCER, BUCKET, CLOUD_DNS, GATE, METADATA, RESOLVERS, VIPS, WEBSITE_URL, WORKLOAD

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
DNSGATE = os.path.join(ROOT, "target/debug/dnsgate")
WHERE = os.path.join(ROOT, "target/e2e/vpc")
FUNCTION = os.path.join(HERE, "../function/main.py")

# Cloud DNS under an outbound server policy: every name to the target, and to nobody else when that is silent. It keeps
# nothing, so that what is asked is asked of dnsgate each time, and it has no zones of its own.
SERVER_POLICY = f"""
server:
    interface: {METADATA}
    outgoing-interface: {CLOUD_DNS}
    access-control: 0.0.0.0/0 allow
    do-ip6: no
    do-daemonize: no
    username: ""
    chroot: ""
    pidfile: ""
    logfile: ""
    use-syslog: no
    module-config: "iterator"
    cache-max-ttl: 0
    cache-max-negative-ttl: 0
    unblock-lan-zones: yes
    insecure-lan-zones: yes
    verbosity: 1
remote-control:
    control-enable: no
forward-zone:
    name: "."
    forward-addr: {BALANCER}
    forward-first: no
"""

SHIPPED = os.path.join(ROOT, "config/server-policy-target.yaml")
# What an operator might add for one web site.
FORWARD = f"""
upstreams: {{ public: {{ servers: [udp://{RESOLVERS[0]}] }} }}
rules:
  - {{ name: website, domains: [www.example.com], forward: public }}
"""


class Vpc:
    """All hosts, and the servers on them that no scene changes. One for the whole test."""

    def __init__(self):
        shutil.rmtree(WHERE, ignore_errors=True)
        os.makedirs(WHERE)
        self.ca = tls.make(WHERE, RESOLVERS)
        self.router = Router(WHERE)
        self.workload = Host("workload", WHERE, resolver=METADATA)
        self.cloud_dns = Host("cloud-dns", WHERE)
        self.gate = Host("gate", WHERE)
        self.google = Host("google", WHERE)
        self.internet = Host("internet", WHERE)
        self.router.attach(self.workload, WORKLOAD)
        self.router.attach(self.cloud_dns, CLOUD_DNS, METADATA)
        self.router.attach(self.gate, GATE, BALANCER)
        self.router.attach(self.google, "198.18.1.2", *VIPS)
        self.router.attach_internet(self.internet, "198.18.2.2")
        servers = [
            self.cloud_dns.start_python("metadata"),
            self.google.start_python("vip", os.path.join(WHERE, "google")),
            self.internet.start_python("internet", os.path.join(WHERE, "internet")),
        ]
        for server in servers:
            server.wait_for_line()

    @contextlib.contextmanager
    def scene(self, name, rules=firewall.CLOSED, policy="", dnsgate=None):
        """Everything at work: `policy` is added to the shipped configuration, `dnsgate` is its environment."""
        scene = Scene(self, name)
        self.router.filter(rules)
        with contextlib.ExitStack() as stack:
            scene.open(stack, policy, dnsgate or {})
            yield scene

    def without_packet_info(self):
        """An environment in which dnsgate is never told which address was asked."""
        library = os.path.join(WHERE, "no_pktinfo.so")
        source = os.path.join(HERE, "no_pktinfo.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, timeout=60)
        return {"LD_PRELOAD": library}


class Scene:
    """A time in which dnsgate runs in the VPC, and what is seen then."""

    def __init__(self, vpc, name):
        self.vpc, self.name = vpc, name
        self.captures = {}
        self.gate = None

    def open(self, stack, policy, environment):
        """Starts the captures, dnsgate, Cloud DNS and the function; the stack ends them."""
        for host in (self.vpc.internet, self.vpc.cloud_dns):
            self.captures[host.name] = stack.enter_context(host.start_python("capture")).wait_for_line()
        config = self.file("dnsgate.yaml", open(SHIPPED, encoding="utf-8").read() + policy)
        self.gate = self.start(stack, self.vpc.gate, "dnsgate", DNSGATE, "serve", "--config", config, **environment)
        healthy = [DNSGATE, "healthcheck", "http://127.0.0.1:9153/readyz"]
        quiet = {"check": False, "stderr": subprocess.DEVNULL}
        self.gate.wait_until("readiness", lambda: self.vpc.gate.run(*healthy, **quiet).returncode == 0)
        config = self.file("unbound.conf", SERVER_POLICY)
        unbound = self.start(stack, self.vpc.cloud_dns, "unbound", "unbound", "-c", config)
        unbound.wait_until("its start", lambda: "start of service" in unbound.said())
        self.start_function(stack)

    def start_function(self, stack):
        """The function, as Google runs it: its address is the workload's, its client is on the same host."""
        framework = os.path.join(os.path.dirname(sys.executable), "functions-framework")
        command = [framework, "--source", FUNCTION, "--target", "list_bucket", "--host", "127.0.0.1", "--port", "8080"]
        environment = {"SRC_BUCKET": BUCKET, "URL": WEBSITE_URL, "REQUESTS_CA_BUNDLE": self.vpc.ca}
        function = self.start(stack, self.vpc.workload, "function", *command, **environment)
        probe = ["curl", "--silent", "--head", "http://127.0.0.1:8080/robots.txt"]
        function.wait_until("its port", lambda: self.vpc.workload.run(*probe, check=False).returncode == 0)

    def start(self, stack, host, what, *command, **environment):
        """A server that ends with the scene."""
        return stack.enter_context(host.start(f"{self.name}-{what}", *command, **environment))

    def file(self, name, text):
        """A file of this scene."""
        path = os.path.join(WHERE, f"{self.name}-{name}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def dig(self, *arguments):
        """What dig prints on the workload; its resolver is Cloud DNS."""
        return self.vpc.workload.run("dig", "+tries=1", "+time=10", *arguments, check=False).stdout

    def status(self, *arguments):
        """The response code, or None without a reply."""
        words = self.dig(*arguments, "+noall", "+comments").replace(",", "").split()
        return words[words.index("status:") + 1] if "status:" in words else None

    def call_function(self):
        """What the function returns."""
        command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "50", "http://127.0.0.1:8080/"]
        return json.loads(self.vpc.workload.run(*command).stdout)

    def packets(self, host):
        """Ends the capture at a host; every packet of its link, one a line."""
        capture = self.captures[host.name]
        capture.stop()
        return [line for line in capture.said().splitlines() if line != "ready"]
