"""The VPC: its hosts, and scenes in it, each with a dnsgate, a firewall and the workload's function.

    workload --- router (the firewall) --- cloud-dns   Unbound, as the server policy; metadata server
                                      |--- gate        dnsgate, and the balancer's address on the loopback
                                      |--- google      199.36.153.4-7: Cloud Storage
                                      `--- internet    every other address
"""

import concurrent.futures
import contextlib
import json
import os
import shutil
import subprocess
import sys

import firewall
import tls
from network import Host, Router, python
from plan import BALANCER, BUCKET, CLOUD_DNS, GATE, METADATA, RESOLVERS, VIPS, WEBSITE, WEBSITE_URL, WORKLOAD

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
DNSGATE = os.path.join(ROOT, "target/debug/dnsgate")
WHERE = os.path.join(ROOT, "target/e2e/vpc")
FUNCTION = os.path.join(HERE, "../function/main.py")

# Cloud DNS under an outbound server policy: every name to the target, and to nobody else when that is silent. It keeps
# nothing, so that what is asked is asked of dnsgate each time, and has no zones of its own.
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


class Vpc(contextlib.ExitStack):
    """All hosts, and the servers on them that no scene changes; `name` is of the directory with its logs."""

    def __init__(self, name):
        super().__init__()
        self.where = os.path.join(WHERE, name)
        shutil.rmtree(self.where, ignore_errors=True)
        os.makedirs(self.where)
        self.ca = tls.make(self.where, RESOLVERS)
        self.router = Router(self.host("router"))
        self.workload = self.host("workload", resolver=METADATA)
        self.cloud_dns = self.host("cloud-dns")
        self.gate = self.host("gate")
        self.google = self.host("google")
        self.internet = self.host("internet")
        self.router.attach(self.workload, WORKLOAD)
        self.router.attach(self.cloud_dns, CLOUD_DNS, METADATA)
        self.router.attach(self.gate, GATE, BALANCER)
        self.router.attach(self.google, "198.18.1.2", *VIPS)
        self.router.attach_internet(self.internet, "198.18.2.2")
        self.start_servers()

    def host(self, name, **options):
        """A host that ends with the VPC."""
        host = Host(name, self.where, **options)
        self.callback(host.close)
        return host

    def start_servers(self):
        """The servers that play the rest of the world."""
        servers = [
            self.cloud_dns.start("metadata", *python("metadata")),
            self.google.start("vip", *python("vip"), os.path.join(self.where, "google")),
            self.internet.start("internet", *python("internet"), os.path.join(self.where, "internet")),
        ]
        self.vip = servers[1]
        for server in servers:
            self.callback(server.close)
            server.wait_for_line("ready")

    @contextlib.contextmanager
    def scene(self, name, rules=firewall.CLOSED, policy="", **environment):
        """Everything at work: `policy` is added to the shipped configuration, and the environment is dnsgate's."""
        scene = Scene(self, name)
        self.router.filter(rules)
        with scene:
            scene.start_captures()
            scene.start_dnsgate(policy, environment)
            scene.start_cloud_dns()
            scene.start_function()
            yield scene

    def without_packet_info(self):
        """What makes dnsgate run without ever being told which address was asked: the path of a library to preload."""
        library = os.path.join(self.where, "no_pktinfo.so")
        source = os.path.join(HERE, "no_pktinfo.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, timeout=60)
        return library


class Scene(contextlib.ExitStack):
    """A time in which dnsgate runs in the VPC, and what is seen then."""

    def __init__(self, vpc, name):
        super().__init__()
        self.vpc, self.name = vpc, name
        self.captures = {}
        self.config = self.dnsgate = None
        self.environment = []  # of `dnsgate verify`: NAME=VALUE

    def start_captures(self):
        """Before anything could send."""
        for host in (self.vpc.internet, self.vpc.cloud_dns):
            capture = self.captures[host] = self.start(host, f"capture-{host.name}", *python("capture"))
            capture.wait_for_line("ready")

    def start_dnsgate(self, policy, environment):
        """With the shipped configuration and what is added to it."""
        with open(SHIPPED, encoding="utf-8") as file:
            shipped = file.read()
        self.config = self.file("dnsgate.yaml", shipped + policy)
        self.dnsgate = self.start(self.vpc.gate, "dnsgate", DNSGATE, "serve", "--config", self.config, **environment)
        probe = [DNSGATE, "healthcheck", "http://127.0.0.1:9153/readyz"]
        self.dnsgate.wait_until("readiness", lambda: self.vpc.gate.succeeds(*probe))

    def start_cloud_dns(self):
        """The forwarder of the server policy."""
        config = self.file("unbound.conf", SERVER_POLICY)
        unbound = self.start(self.vpc.cloud_dns, "unbound", "unbound", "-c", config)
        unbound.wait_until("its start", lambda: "start of service" in unbound.said())

    def start_function(self):
        """The function, by the framework that Google runs it by. Its only client is on the same host."""
        framework = os.path.join(os.path.dirname(sys.executable), "functions-framework")
        command = [framework, "--source", FUNCTION, "--target", "list_bucket", "--host", "127.0.0.1", "--port", "8080"]
        environment = {"SRC_BUCKET": BUCKET, "URL": WEBSITE_URL, "REQUESTS_CA_BUNDLE": self.vpc.ca}
        function = self.start(self.vpc.workload, "function", *command, **environment)
        probe = ["curl", "--silent", "--head", "http://127.0.0.1:8080/robots.txt"]
        function.wait_until("its port", lambda: self.vpc.workload.succeeds(*probe))

    def start(self, host, what, *command, **environment):
        """A server that ends with the scene."""
        program = host.start(f"{self.name}-{what}", *command, **environment)
        self.callback(program.close)
        return program

    def file(self, name, text):
        """A file of this scene."""
        path = os.path.join(self.vpc.where, f"{self.name}-{name}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    @contextlib.contextmanager
    def workload_file(self, path, text):
        """Another file in place of one of the workload's, whose mounts are its own."""
        file = self.file(os.path.basename(path), text)
        target = self.vpc.workload.run("realpath", path).stdout.strip()
        self.vpc.workload.run("mount", "--bind", file, target)
        try:
            yield
        finally:
            self.vpc.workload.run("umount", target)

    def dig(self, *arguments):
        """What dig prints on the workload; its resolver is Cloud DNS."""
        return self.dig_from(self.vpc.workload, *arguments)

    def dig_from(self, host, *arguments):
        """What dig prints on a host."""
        return host.run("dig", "+tries=1", "+time=20", *arguments, check=False).stdout

    def status(self, *arguments):
        """The response code, or None without a reply."""
        words = self.dig(*arguments, "+noall", "+comments").replace(",", "").split()
        return words[words.index("status:") + 1] if "status:" in words else None

    def statuses(self, questions, *arguments):
        """The response code of each, asked all at once."""
        with concurrent.futures.ThreadPoolExecutor(len(questions)) as pool:
            codes = pool.map(lambda question: self.status(*question.split(), *arguments), questions)
            return dict(zip(questions, codes))

    def call_function(self):
        """What the function returns."""
        command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "50", "http://127.0.0.1:8080/"]
        return json.loads(self.vpc.workload.run(*command).stdout)

    def verify(self, *arguments):
        """`dnsgate verify` on the workload, with the configuration that dnsgate has and the test's own authority."""
        command = [DNSGATE, "verify", "--config", self.config, "--bucket", BUCKET, "--ca", self.vpc.ca]
        blocked = ["--expect-blocked", WEBSITE_URL, "--expect-blocked", f"https://{WEBSITE}/"]
        command = ["env", *self.environment, *command]
        return self.vpc.workload.run(*command, *blocked, "--bypass", ",".join(RESOLVERS), *arguments, check=False)

    def report(self):
        """The same as JSON."""
        return json.loads(self.verify("--json").stdout)

    def packets(self, host):
        """Ends the capture at a host; every packet of its link, one a line."""
        capture = self.captures[host]
        capture.close()
        return [line for line in capture.said().splitlines() if line != "ready"]
