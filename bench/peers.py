"""The servers that are compared, and how each is configured, started and asked for its version.

Each configuration is the shortest one that the peer's documentation allows for the behaviour of dnsgate without a file:
answer *.googleapis.com with an alias and four addresses, refuse every other name. A note says what a peer cannot do.
"""

import os
import shutil

from measure import LOAD_CORE, SERVER_CORE

ZONE = """$ORIGIN googleapis.com.
$TTL 300
@ SOA ns.invalid. nobody.invalid. 1 3600 600 86400 300
@ NS ns.invalid.
restricted A 199.36.153.4
restricted A 199.36.153.5
restricted A 199.36.153.6
restricted A 199.36.153.7
* CNAME restricted
"""
ADDRESSES = ["199.36.153.4", "199.36.153.5", "199.36.153.6", "199.36.153.7"]
LISTED = "10.0.0.5"  # the address of every name in a long list


class Peer:
    """One server in one configuration. `files` and `command` get a port, `command` also the server's own directory."""

    label = ""
    program = ""  # looked up in PATH
    package = ""  # its Debian package
    answers = 5  # records in an answer
    tcp = True
    address = bytes([10, 0, 0, 5])  # in an answer with one record: LISTED
    cores = (SERVER_CORE,)
    keeps = True  # whether it keeps a TCP connection as long as there are queries
    note = ""

    def __init__(self, names=None):
        self.names = names  # None, or the allowlist that replaces the zone

    def files(self, port):
        """Name and text of each file."""
        return {}

    def command(self, port, where):
        """The command line."""
        raise NotImplementedError

    def path(self):
        """The program, or None."""
        return shutil.which(self.program)


class Dnsgate(Peer):
    label = program = "dnsgate"
    log = "none"
    admin = None  # a port
    workers = 1

    def path(self):
        return os.path.abspath("target/release/dnsgate")

    def files(self, port):
        text = f"listen: [udp://127.0.0.1:{port}, tcp://127.0.0.1:{port}]\nworkers: {self.workers}\nlimits: {{ drain: 0s }}\n"
        text += f"log: {{ queries: {self.log}, format: json }}\n"
        text += f"admin: 127.0.0.1:{self.admin}\n" if self.admin else "admin: off\n"
        text += "clients: { local: { cidrs: [127.0.0.0/8] } }\n"
        files = {}
        if self.names is None:
            text += "google_apis: { vip: restricted, domains: [googleapis.com] }\n"
        else:
            text += "google_apis: { vip: off }\n"
            text += f"rules: [{{ name: list, records: [A {LISTED}], domains_file: names.txt }}]\n"
            files["names.txt"] = "\n".join(self.names)
        return files | {"dnsgate.yaml": text}

    def command(self, port, where):
        return [self.path(), "serve", "--config", "dnsgate.yaml", "--no-watch"]


class Observed(Dnsgate):
    label = "dnsgate, logging"
    log = "denied"
    note = "denied queries logged to a file, metrics scraped each second"


class Logged(Observed):
    label = "dnsgate, logging all"
    log = "all"
    note = "every query logged to a file, metrics scraped each second"


class OnBothCores(Dnsgate):
    """One worker, or two, on two cores, one of which the generator needs in part."""

    cores = (SERVER_CORE, LOAD_CORE)

    def __init__(self, workers):
        super().__init__()
        self.workers = workers
        self.label = f"dnsgate, {workers} worker{'s' if workers > 1 else ''}"


class Nsd(Peer):
    label = program = package = "nsd"

    def files(self, port):
        conf = f"""server:
  ip-address: 127.0.0.1@{port}
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "."
  database: ""
  pidfile: "nsd.pid"
  xfrdfile: "xfrd.state"
  zonelistfile: "zone.list"
  minimal-responses: yes
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: "googleapis.com"
  zonefile: "googleapis.com.zone"
"""
        return {"nsd.conf": conf, "googleapis.com.zone": ZONE}

    def command(self, port, where):
        return [self.path(), "-d", "-c", "nsd.conf"]


class Knot(Peer):
    label, program, package = "knot", "knotd", "knot"

    def files(self, port):
        conf = f"""server:
  rundir: "{{where}}"
  listen: 127.0.0.1@{port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
  - target: stderr
    any: error
database:
  storage: "{{where}}"
zone:
  - domain: googleapis.com
    storage: "{{where}}"
    file: googleapis.com.zone
"""
        return {"knot.conf": conf, "googleapis.com.zone": ZONE}

    def command(self, port, where):
        return [self.path(), "-c", "knot.conf"]


class Unbound(Peer):
    label = program = package = "unbound"

    def files(self, port):
        conf = f"""server:
  interface: 127.0.0.1@{port}
  num-threads: 1
  do-daemonize: no
  use-syslog: no
  logfile: ""
  verbosity: 0
  directory: "{{where}}"
  chroot: ""
  username: ""
  pidfile: ""
  access-control: 127.0.0.0/8 allow
  module-config: "iterator"
  minimal-responses: yes
  local-zone: "." refuse
"""
        if self.names is None:
            conf += """  local-zone: "googleapis.com." always_transparent
auth-zone:
  name: "googleapis.com"
  zonefile: "googleapis.com.zone"
  for-downstream: yes
  for-upstream: no
"""
        else:
            for name in self.names:
                conf += f'  local-zone: "{name}." static\n  local-data: "{name}. 300 A {LISTED}"\n'
        conf += "remote-control:\n  control-enable: no\n"
        return {"unbound.conf": conf, "googleapis.com.zone": ZONE}

    def command(self, port, where):
        return [self.path(), "-d", "-c", "unbound.conf"]


class Dnsdist(Peer):
    label = program = package = "dnsdist"
    answers = 4
    note = "answers with the four addresses and no alias"

    def files(self, port):
        addresses = ", ".join(f'"{address}"' for address in ADDRESSES)
        conf = f"""setLocal("127.0.0.1:{port}")
setSecurityPollSuffix("")
setVerboseHealthChecks(false)
addAction("googleapis.com.", SpoofAction({{{addresses}}}))
addAction(AllRule(), RCodeAction(DNSRCode.REFUSED))
"""
        return {"dnsdist.conf": conf}

    def command(self, port, where):
        return [self.path(), "--supervised", "--disable-syslog", "-C", "dnsdist.conf"]


class Dnsmasq(Peer):
    label, program, package = "dnsmasq", "dnsmasq", "dnsmasq-base"
    answers = 4
    keeps = False  # it closes after a hundred queries
    note = "answers with the four addresses and no alias; forks for each TCP connection"

    def files(self, port):
        conf = f"port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nuser=root\n"
        conf += "".join(f"address=/googleapis.com/{address}\n" for address in ADDRESSES)
        return {"dnsmasq.conf": conf}

    def command(self, port, where):
        return [self.path(), "--keep-in-foreground", "--conf-file=dnsmasq.conf", "--pid-file=", "--log-facility=-"]


class Bind(Peer):
    label, program, package = "bind9", "named", "bind9"

    def files(self, port):
        conf = f"""options {{
  directory "{{where}}";
  listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  recursion no;
  minimal-responses yes;
  pid-file none;
  session-keyfile none;
}};
controls {{ }};
logging {{ category default {{ null; }}; }};
zone "googleapis.com" {{ type primary; file "googleapis.com.zone"; }};
"""
        return {"named.conf": conf, "googleapis.com.zone": ZONE}

    def command(self, port, where):
        return [self.path(), "-f", "-n", "1", "-c", os.path.join(where, "named.conf")]


class Recursor(Peer):
    label, program, package = "pdns-recursor", "pdns_recursor", "pdns-recursor"
    note = "refuses from a Lua function; its packet cache is on, as by default"

    def files(self, port):
        conf = f"""local-address=127.0.0.1
local-port={port}
threads=1
pdns-distributes-queries=no
daemon=no
disable-syslog=yes
quiet=yes
loglevel=0
socket-dir={{where}}
security-poll-suffix=
hint-file=no
auth-zones=googleapis.com=googleapis.com.zone
lua-dns-script=refuse.lua
"""
        lua = """local allowed = newDN("googleapis.com")
function preresolve(dq)
  if dq.qname:isPartOf(allowed) then return false end
  dq.rcode = pdns.REFUSED
  return true
end
"""
        return {"recursor.conf": conf, "refuse.lua": lua, "googleapis.com.zone": ZONE}

    def command(self, port, where):
        return [self.path(), f"--config-dir={where}", "--config-name="]


class CoreDns(Peer):
    label = program = "coredns"

    def files(self, port):
        conf = f"""googleapis.com:{port} {{
  bind 127.0.0.1
  file googleapis.com.zone
}}
.:{port} {{
  bind 127.0.0.1
  template ANY ANY . {{
    rcode REFUSED
  }}
}}
"""
        return {"Corefile": conf, "googleapis.com.zone": ZONE}

    def command(self, port, where):
        return [self.path(), "-conf", "Corefile"]


class Echo(Peer):
    """Not a peer but the kernel's limit. Its file of sizes comes from dnsgate's replies."""

    label = "echo"
    tcp = False
    note = "sends back what came, padded to the size of dnsgate's reply"

    def __init__(self, sizes):
        super().__init__()
        self.sizes = sizes

    def path(self):
        return os.path.abspath("target/load/release/load")

    def files(self, port):
        return {"sizes": "".join(f"{size}\n" for size in self.sizes)}

    def command(self, port, where):
        return [self.path(), "echo", f"127.0.0.1:{port}", "sizes", "--seconds", "3600"]


PEERS = [Nsd, Knot, Unbound, Dnsdist, Dnsmasq, Bind, Recursor, CoreDns]
