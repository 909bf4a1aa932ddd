"""The servers that are compared as forwarders: they ask one upstream for names below up.example, and refuse all others.

They refuse the other names without asking anybody. Queries that a server might send by itself (roots, trust anchors,
versions) are switched off or go to the same upstream: nothing leaves 127.0.0.1.
"""

import os
import subprocess

import peers as p
from measure import LOAD_CORE, free_port

SUFFIX = "up.example"


class Forwarder(p.Peer):
    """One server, and the port of its upstream."""

    answers = 1
    address = bytes([8, 8, 8, 8])  # of every name below SUFFIX

    def __init__(self, upstream):
        super().__init__()
        self.upstream = upstream


class Dnsgate(Forwarder, p.Dnsgate):
    def files(self, port):
        text = super().files(port)["dnsgate.yaml"].replace("vip: restricted, domains: [googleapis.com]", "vip: off")
        text += f"upstreams: {{ up: {{ servers: [udp://127.0.0.1:{self.upstream}] }} }}\n"
        text += f"rules: [{{ name: up, domains: [.{SUFFIX}], forward: up }}]\n"
        return {"dnsgate.yaml": text}


MISSES = 12_000  # a second, where answers have many of them beside them


class Both(Dnsgate):
    """dnsgate with its zone and an upstream."""

    answers = 5

    def files(self, port):
        text = super().files(port)["dnsgate.yaml"]
        return {"dnsgate.yaml": text.replace("vip: off", "vip: restricted, domains: [googleapis.com]")}


class Unbound(Forwarder, p.Unbound):
    def files(self, port):
        head, _, tail = super().files(port)["unbound.conf"].partition('  local-zone: "googleapis.com."')
        remote = tail[tail.index("remote-control:") :]
        conf = f'{head}  local-zone: "{SUFFIX}." transparent\n  do-not-query-localhost: no\n'
        conf += f'forward-zone:\n  name: "."\n  forward-addr: 127.0.0.1@{self.upstream}\n'
        return {"unbound.conf": conf + remote}


class Dnsdist(Forwarder, p.Dnsdist):
    tcp = False  # it forwards TCP queries over TCP
    note = "with its packet cache; it is a load balancer and not asked to resolve"

    def files(self, port):
        conf = f"""setLocal("127.0.0.1:{port}")
setSecurityPollSuffix("")
setVerboseHealthChecks(false)
newServer({{address="127.0.0.1:{self.upstream}", healthCheckMode="up"}})
getPool(""):setCache(newPacketCache(100000))
allowed = newSuffixMatchNode()
allowed:add(newDNSName("{SUFFIX}."))
addAction(NotRule(SuffixMatchNodeRule(allowed)), RCodeAction(DNSRCode.REFUSED))
"""
        return {"dnsdist.conf": conf}


class Dnsmasq(Forwarder, p.Dnsmasq):
    note = "asks each question that is under way once more for each who asks"

    def files(self, port):
        conf = f"port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nuser=root\n"
        conf += f"server=/{SUFFIX}/127.0.0.1#{self.upstream}\ncache-size=10000\ndns-forward-max=10000\n"
        return {"dnsmasq.conf": conf}


class Bind(Forwarder, p.Bind):
    def files(self, port):
        conf = super().files(port)["named.conf"]
        head, _, _ = conf.partition('zone "googleapis.com"')
        options = f"forward only;\n  forwarders {{ 127.0.0.1 port {self.upstream}; }};\n  dnssec-validation no;\n"
        return {"named.conf": head.replace("recursion no;", f"recursion yes;\n  {options}")}


class Recursor(Forwarder, p.Recursor):
    def files(self, port):
        files = super().files(port)
        conf = files["recursor.conf"].replace(
            "auth-zones=googleapis.com=googleapis.com.zone", f"forward-zones-recurse=.=127.0.0.1:{self.upstream}"
        )
        conf += "dont-query=\ndnssec=off\nmax-cache-entries=100000\n"
        return {"recursor.conf": conf, "refuse.lua": files["refuse.lua"].replace("googleapis.com", SUFFIX)}


class CoreDns(Forwarder, p.CoreDns):
    def files(self, port):
        conf = super().files(port)["Corefile"].replace("googleapis.com:", f"{SUFFIX}:")
        conf = conf.replace("file googleapis.com.zone", f"forward . 127.0.0.1:{self.upstream}\n  cache")
        return {"Corefile": conf}


class Upstream(p.Peer):
    """Not a peer but the upstream of all. The generator asks it directly to measure the path without a forwarder."""

    label = "upstream itself"
    tcp = False
    answers = 1
    address = Forwarder.address
    cores = (LOAD_CORE,)

    def __init__(self, delay):
        super().__init__()
        self.delay = delay
        self.note = f"answers after {delay} ms; shares its core with the generator"

    def path(self):
        return p.Echo([]).path()

    def command(self, port, where):
        return [self.path(), "upstream", f"127.0.0.1:{port}", "--seconds", "3600", "--delay-ms", str(self.delay)]


FORWARDERS = [Unbound, Dnsdist, Dnsmasq, Bind, Recursor, CoreDns]


class StreamUpstream(p.Peer):
    """The upstream over TCP, TLS and HTTPS: Unbound, which has an address for every name. The generator's core pays for
    it, and the certificate is of this run."""

    label, program, package = "unbound as the upstream", "unbound", "unbound"
    name = "up.test"  # in its certificate
    answers = 1
    address = Forwarder.address
    cores = (LOAD_CORE,)
    note = "answers over TCP, TLS and HTTPS; shares its core with the generator"

    def __init__(self, where):
        super().__init__()
        self.ports = {}
        self.certificate, self.key = (os.path.join(where, f"upstream.{kind}") for kind in ("pem", "key"))
        subject = ["-subj", f"/CN={self.name}", "-addext", f"subjectAltName=DNS:{self.name}", "-days", "2"]
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self.key]
        command = ["openssl", "req", "-x509", *key, "-out", self.certificate, *subject]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def files(self, port):
        self.ports = {"tcp": port, "tls": free_port(), "https": free_port()}
        listen = "".join(f"  interface: 127.0.0.1@{number}\n" for number in self.ports.values())
        conf = f"""server:
{listen}  tls-port: {self.ports["tls"]}
  https-port: {self.ports["https"]}
  tls-service-key: "{self.key}"
  tls-service-pem: "{self.certificate}"
  incoming-num-tcp: 1000
  num-threads: 1
  do-daemonize: no
  use-syslog: no
  logfile: ""
  directory: "{{where}}"
  chroot: ""
  username: ""
  pidfile: ""
  access-control: 127.0.0.0/8 allow
  module-config: "iterator"
  local-zone: "." refuse
  local-zone: "{SUFFIX}." redirect
  local-data: "{SUFFIX}. 300 A 8.8.8.8"
remote-control:
  control-enable: no
"""
        return {"unbound.conf": conf}

    def command(self, port, where):
        return [self.path(), "-d", "-c", "unbound.conf"]


class OverStream:
    """A forwarder that asks over `scheme`: tcp, tls or https."""

    schemes = ("tcp", "tls", "https")

    def __init__(self, upstream, scheme):
        super().__init__(upstream.ports[scheme])
        self.certificate, self.name, self.scheme = upstream.certificate, upstream.name, scheme


class DnsgateOverStream(OverStream, Dnsgate):
    def files(self, port):
        plain = f"servers: [udp://127.0.0.1:{self.upstream}]"
        path = {"tcp": "", "tls": f"#{self.name}", "https": "/dns-query#" + self.name}[self.scheme]
        server = f"{self.scheme}://127.0.0.1:{self.upstream}{path}"
        ca = "" if self.scheme == "tcp" else f", ca_file: {self.certificate}"
        text = super().files(port)["dnsgate.yaml"]
        assert plain in text
        return {"dnsgate.yaml": text.replace(plain, f'servers: ["{server}"]{ca}')}


class UnboundOverStream(OverStream, Unbound):
    schemes = ("tcp", "tls")
    note = "forward-tls-upstream; it checks the certificate and the name"

    def files(self, port):
        conf = super().files(port)["unbound.conf"]
        plain = f"forward-addr: 127.0.0.1@{self.upstream}"
        assert plain in conf
        if self.scheme == "tcp":
            return {"unbound.conf": conf.replace(plain, f"{plain}\n  forward-tcp-upstream: yes")}
        conf = conf.replace(plain, f"{plain}#{self.name}\n  forward-tls-upstream: yes")
        return {"unbound.conf": conf.replace("forward-zone:", f'  tls-cert-bundle: "{self.certificate}"\nforward-zone:')}


class DnsdistOverStream(OverStream, Dnsdist):
    note = "with its packet cache, its connections to the upstream kept; it checks the certificate and the name"

    def files(self, port):
        options = {"tcp": "tcpOnly=true"}.get(self.scheme)
        if options is None:
            options = f'tls="openssl", subjectName="{self.name}", caStore="{self.certificate}", validateCertificates=true'
        if self.scheme == "https":
            options += ', dohPath="/dns-query"'
        options += f', checkName="check.{SUFFIX}."'
        conf = super().files(port)["dnsdist.conf"]
        assert 'healthCheckMode="up"' in conf
        return {"dnsdist.conf": conf.replace('healthCheckMode="up"', f'healthCheckMode="up", {options}')}


class KnotResolver(OverStream, Forwarder):
    label, program, package = "knot-resolver", "kresd", "knot-resolver"
    schemes = ("tls",)
    note = "policy.TLS_FORWARD; it checks the certificate and the name"

    def files(self, port):
        conf = f"""net.listen("127.0.0.1", {port}, {{{{ kind = "dns" }}}})
log_level("crit")
cache.size = 100 * MB
trust_anchors.remove(".")
modules.unload("ta_update")
modules.unload("ta_signal_query")
modules.unload("priming")
modules.unload("detect_time_skew")
local upstream = {{{{ "127.0.0.1@{self.upstream}", hostname = "{self.name}", ca_file = "{self.certificate}" }}}}
policy.add(policy.suffix(policy.TLS_FORWARD({{{{ upstream }}}}), {{{{ todname("{SUFFIX}.") }}}}))
policy.add(policy.all(policy.REFUSE))
"""
        return {"kresd.conf": conf.replace("{{", "{").replace("}}", "}")}

    def command(self, port, where):
        return [self.path(), "--noninteractive", "--config=kresd.conf", where]


STREAM_FORWARDERS = [UnboundOverStream, DnsdistOverStream, KnotResolver]
