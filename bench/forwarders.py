"""The servers that are compared as forwarders: they ask one upstream for names below up.example, and refuse all others.

They refuse the other names without asking anybody. Queries that a server might send by itself (roots, trust anchors,
versions) are switched off or go to the same upstream: nothing leaves 127.0.0.1.
"""

import peers as p
from measure import LOAD_CORE

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
    core = LOAD_CORE

    def __init__(self, delay):
        super().__init__()
        self.delay = delay
        self.note = f"answers after {delay} ms; shares its core with the generator"

    def path(self):
        return p.Echo([]).path()

    def command(self, port, where):
        return [self.path(), "upstream", f"127.0.0.1:{port}", "--seconds", "3600", "--delay-ms", str(self.delay)]


FORWARDERS = [Unbound, Dnsdist, Dnsmasq, Bind, Recursor, CoreDns]
