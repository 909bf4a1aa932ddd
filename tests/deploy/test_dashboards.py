"""The dashboards of deploy/grafana: held to Grafana's own types, and every query asked of a real Prometheus that has scraped
two real dnsgates under load. A query that returns nothing would be a panel that stays empty.
"""

import contextlib
import itertools
import json
import math
import os
import pathlib
import re
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "deploy/grafana").glob("*.json"))}
RUNBOOKS = "https://github.com/ORGANISATION/dnsgate/blob/main/docs/runbooks/"
DNSGATE = os.environ["DNSGATE"]
PATIENCE = 60  # seconds for anything to start, or to be scraped
SCRAPE = 0.5  # seconds
# What Grafana puts in place of its variables.
VARIABLES = {"$job": "dnsgate", "$instance": ".*", "$__rate_interval": "5s", "$__range": "60s", "$__interval": "5s"}
# Numbers of Grafana's type for each kind of panel, of which the rest of a dashboard's type knows nothing.
PANELS = {"timeseries": "TimeSeriesPanelCfg", "stat": "StatPanelCfg", "table": "TablePanelCfg"}

CONFIG = """
clients:
  vpc: {{ cidrs: [127.0.0.1/32] }}
upstreams:
  public: {{ servers: [udp://127.0.0.1:{up}] }}
  gone: {{ servers: [udp://127.0.0.1:{gone}] }}
zones:
  - {{ origin: corp.test, records: [www 300 A 10.0.0.5] }}
rules:
  - {{ name: web, domains: [.web.test], forward: public, addresses: [198.18.0.0/16] }}
  - {{ name: strict, domains: [.strict.test], forward: public, addresses: [10.0.0.0/8] }}
  - {{ name: gone, domains: [.gone.test], forward: gone }}
  - {{ name: exception, domains: [soon.test], deny: nxdomain, until: 2097-01-31 }}
limits: {{ upstream_timeout: 300ms }}
log: {{ queries: none }}
"""


def packet(name):
    """A query for the address of a name."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0" + labels + b"\0\0\x01\0\x01"


def free_port():
    """A port that is free for both transports at this moment."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            with contextlib.suppress(OSError):
                udp.bind(tcp.getsockname())
                return tcp.getsockname()[1]


def upstream(server):
    """Answers every name with one address."""
    while True:
        with contextlib.suppress(ConnectionError):
            query, client = server.recvfrom(4096)
            end = query.index(b"\0", 12) + 5
            answer = b"\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x04\xc6\x12\0\x01"
            server.sendto(query[:2] + b"\x81\x80\0\x01\0\x01\0\0\0\0" + query[12:end] + answer, client)


def wait_for(what, ready, log=None):
    """Waits until `ready` is true."""
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}\n{log.read_text()[-4000:] if log else ''}")
        time.sleep(0.1)


def page(address, path):
    """A page by HTTP, or nothing."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.read().decode()
    except OSError:
        return ""


class World(contextlib.ExitStack):
    """Two dnsgates, their upstream, what asks them, and the Prometheus that scrapes them."""

    def __init__(self):
        super().__init__()
        self.where = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        server = self.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        server.bind(("127.0.0.1", 0))
        threading.Thread(target=upstream, args=(server,), daemon=True).start()
        self.ports, self.admins = [free_port(), free_port()], [f"127.0.0.1:{free_port()}" for _ in range(2)]
        self.configs = [self.where / f"{number}.yaml" for number in range(2)]
        for config, port, admin in zip(self.configs, self.ports, self.admins):
            config.write_text(CONFIG.format(up=server.getsockname()[1], gone=free_port()))
            self.start("dnsgate", DNSGATE, "serve", "--config", config, "--listen", f"127.0.0.1:{port}", "--admin", admin)
        for admin in self.admins:
            wait_for("readiness", lambda admin=admin: page(admin, "/readyz").startswith("ready"), self.where / "dnsgate.log")
        self.address = f"127.0.0.1:{free_port()}"
        self.start_prometheus()
        self.over = threading.Event()
        asking = [threading.Thread(target=self.ask, args=(port,)) for port in self.ports]
        for thread in asking:
            thread.start()
        self.callback(lambda: [thread.join() for thread in asking])
        self.callback(self.over.set)

    def start(self, name, *command):
        """A program that ends with the world."""
        with open(self.where / f"{name}.log", "ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.where)
        self.callback(process.wait, PATIENCE)
        self.callback(process.kill)

    def start_prometheus(self):
        """With the files of deploy, at these targets and more often."""
        config = (ROOT / "deploy/prometheus.yml").read_text()
        config = config.replace("127.0.0.1:9153", ", ".join(self.admins)).replace("15s", f"{SCRAPE * 1000:.0f}ms")
        (self.where / "prometheus.yml").write_text(config)
        (self.where / "prometheus-rules.yml").write_text((ROOT / "deploy/prometheus-rules.yml").read_text())
        listen = f"--web.listen-address={self.address}"
        self.start("prometheus", "prometheus", listen, "--config.file=prometheus.yml", "--storage.tsdb.path=data")
        wait_for("Prometheus", lambda: page(self.address, "/-/ready"), self.where / "prometheus.log")

    def ask(self, port):
        """Asks, some hundred queries a second, until it is over."""
        with socket.socket(type=socket.SOCK_DGRAM) as known, socket.socket(type=socket.SOCK_DGRAM) as unknown:
            known.bind(("127.0.0.1", 0))
            unknown.bind(("127.0.0.2", 0))
            for number in itertools.count():
                for name in ("www.corp.test", "storage.googleapis.com", f"n{number}.web.test", "same.web.test", "evil.example"):
                    known.sendto(packet(name), ("127.0.0.1", port))
                if number % 10 == 0:
                    known.sendto(packet(f"n{number}.gone.test"), ("127.0.0.1", port))
                    known.sendto(packet("strict.strict.test"), ("127.0.0.1", port))
                    known.sendto(packet("soon.test"), ("127.0.0.1", port))
                    unknown.sendto(packet("www.corp.test"), ("127.0.0.1", port))
                    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as stream:
                        query = packet("www.corp.test")
                        stream.sendall(struct.pack("!H", len(query)) + query)
                        stream.recv(4096)
                if self.over.wait(0.02):
                    return

    def reload(self, number, text):
        """Gives an instance another file, and has it read."""
        self.configs[number].write_text(text)
        command = [DNSGATE, "reload", "--admin", f"http://{self.admins[number]}"]
        subprocess.run(command, check=False, capture_output=True, timeout=PATIENCE)

    def query(self, expression, **more):
        """What Prometheus says: the result of an expression now, or of a range."""
        path = "query_range" if more else "query"
        arguments = urllib.parse.urlencode({"query": expression, **more})
        answer = json.loads(page(self.address, f"/api/v1/{path}?{arguments}") or "{}")
        return answer.get("data", {}).get("result", [])


def expressions(board):
    """Each query of a dashboard with its panel's title."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def filled_in(expression):
    """With values in place of Grafana's variables."""
    for name in sorted(VARIABLES, key=len, reverse=True):
        expression = expression.replace(name, VARIABLES[name])
    return expression


def numbers(result):
    """The numbers of an instant query; a division of nothing by nothing is none."""
    return [float(series["value"][1]) for series in result if not math.isnan(float(series["value"][1]))]


class Dashboards(unittest.TestCase):
    def test_there_are_four_and_they_link_to_each_other(self):
        self.assertEqual(list(BOARDS), ["dnsgate-fleet", "dnsgate-overview", "dnsgate-policy", "dnsgate-upstreams"])
        for name, board in BOARDS.items():
            self.assertEqual(board["uid"], name)
            self.assertIn("dnsgate", board["tags"])
            self.assertIn({"type": "dashboards", "tags": ["dnsgate"]}, [{k: l[k] for k in ("type", "tags")} for l in board["links"]])
            variables = [variable["name"] for variable in board["templating"]["list"]]
            self.assertEqual(variables, ["datasource", "job", "instance"])

    def test_panels_have_a_place_a_unit_and_a_data_source(self):
        for name, board in BOARDS.items():
            taken, ids = set(), set()
            for panel in board["panels"]:
                with self.subTest(name, panel=panel["title"]):
                    self.assertNotIn(panel["id"], ids)
                    ids.add(panel["id"])
                    at = panel["gridPos"]
                    cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
                    self.assertTrue(at["x"] + at["w"] <= 24 and not cells & taken, at)
                    taken |= cells
                    if panel["type"] == "row":
                        continue
                    self.assertEqual(panel["datasource"]["uid"], "${datasource}")
                    self.assertIn(panel["type"], PANELS)
                    if panel["type"] != "table":
                        self.assertTrue(panel["fieldConfig"]["defaults"]["unit"])
                    for target in panel["targets"]:
                        self.assertEqual(target["datasource"]["uid"], "${datasource}")
                        self.assertIn("$job", target["expr"])

    def test_runbooks_that_panels_link_to_are_there(self):
        links = re.findall(f'"{re.escape(RUNBOOKS)}([^"]*)"', json.dumps(list(BOARDS.values())))
        self.assertGreater(len(links), 20)
        for page_name in set(links):
            self.assertTrue((ROOT / "docs/runbooks" / page_name).is_file(), page_name)

    def test_they_are_of_grafanas_types(self):
        """TypeScript's compiler compares each dashboard with the types of @grafana/schema; an unknown key is an error."""
        lines = ['import type { Dashboard } from "@grafana/schema";']
        for kind, module in PANELS.items():
            path = f"@grafana/schema/dist/esm/raw/composable/{kind}/panelcfg/x/{module}_types.gen"
            lines.append(f'import type * as {kind} from "{path}";')
        # JSON has the values of enumerations, not their names.
        lines.append("type Json<T> = T extends string ? `${T}` : T extends number ? number : T extends (infer E)[] ? Json<E>[]")
        lines.append("  : T extends object ? { [K in keyof T]: Json<T[K]> } : T;")
        for at, board in enumerate(BOARDS.values()):
            lines.append(f"export const board{at}: Json<Dashboard> = {json.dumps(board)};")
            for panel in board["panels"]:
                if (kind := panel["type"]) in PANELS:
                    name, custom = f"{at}_{panel['id']}", panel["fieldConfig"]["defaults"].get("custom", {})
                    lines.append(f"export const options{name}: Json<{kind}.Options> = {json.dumps(panel['options'])};")
                    if custom:
                        lines.append(f"export const custom{name}: Json<Partial<{kind}.FieldConfig>> = {json.dumps(custom)};")
        place = pathlib.Path(os.environ["GRAFANA_SCHEMA"])
        source = place / "dashboards.ts"
        for change, good in (("", True), ('"displayMode": "tabel"', False), ('"schemaVersoin": 39', False)):
            text = "\n".join(lines)
            if change:
                key = change.split(":")[0].replace("schemaVersoin", "schemaVersion")
                text = re.sub(f"{key}: [^,}}]*", change, text)
            source.write_text(text)
            options = "--noEmit --strict --skipLibCheck --moduleResolution bundler --module esnext --target es2022".split()
            run = subprocess.run([place / "node_modules/.bin/tsc", *options, source.name], cwd=place, capture_output=True, text=True, check=False)
            self.assertEqual(run.returncode == 0, good, run.stdout[:4000])


class Queries(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.addClassCleanup(cls.world.close)
        good = cls.world.configs[0].read_text()
        cls.world.reload(0, good + "deny_with: nxdomain\n")
        cls.world.reload(1, "rules: [")
        # The last of all to be there: a rate over an answer that was withheld.
        for metric in ("dnsgate_filter_rejected_total", 'dnsgate_query_duration_seconds_count{verdict="failed"}'):
            wait_for(metric, lambda metric=metric: numbers(cls.world.query(f"sum(rate({metric}[5s])) > 0")))
        wait_for("the refused file", lambda: numbers(cls.world.query("sum(dnsgate_config_rejected) == 1")))

    def test_every_query_returns_data(self):
        every = [(name, *query) for name, board in BOARDS.items() for query in expressions(board)]
        print(f"{len(every)} queries of {len(BOARDS)} dashboards")
        deadline = time.monotonic() + PATIENCE / 2
        while True:
            empty = [query for query in every if not numbers(self.world.query(filled_in(query[2])))]
            if not empty or time.monotonic() > deadline:
                break
            time.sleep(SCRAPE)  # a rate needs two scrapes
        self.assertEqual(empty, [])

    def test_variables_have_values(self):
        for board in BOARDS.values():
            for variable in board["templating"]["list"][1:]:
                metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
                values = {series["metric"].get(label) for series in self.world.query(filled_in(metric))}
                self.assertEqual(values, {"dnsgate"} if label == "job" else set(self.world.admins))

    def test_an_instance_that_differs_shows(self):
        self.assertEqual(numbers(self.world.query("count(count by (digest) (dnsgate_policy_info))")), [2])


if __name__ == "__main__":
    unittest.main()
