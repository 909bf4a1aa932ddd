"""The Helm chart, rendered by Helm's own engine and held against Kubernetes' schemas, over a matrix of values."""

import pathlib
import re
import subprocess
import tempfile
import unittest

import helm_python as helm
import kubernetes_validate
import yaml
from chart import CHART, only, pod, quiet, render
from terraform import DNSGATE

VERSIONS = ("1.30", "1.37")
FORWARDING = """
upstreams:
  public: { servers: [tls://8.8.8.8#dns.google, "https://[2001:4860:4860::8888]/dns-query#dns.google"] }
  corp: { servers: [udp://10.9.0.53, udp://10.9.1.53:5353] }
rules:
  - { name: build, domains_file: build.txt, forward: public }
  - { name: corp, domains: ["*.corp.example", .export.corp.example], forward: corp, addresses: [10.0.0.0/8] }
limits: { drain: 2m }
"""
# What somebody may want, each beside the defaults.
MATRIX = {
    "defaults": {},
    "forwarding": {"config": FORWARDING, "configFiles": {"build.txt": "  # begins with spaces\ngithub.com\n.docker.io\n"}},
    "empty configuration": {"config": ""},
    "a configuration of one's own": {"existingConfigMap": "mine", "drainSeconds": 20},
    "port 53": {"listen": {"port": 53}},
    "both families": {"listen": {"addresses": ["0.0.0.0", "[::]"]}},
    "a load balancer": {"service": {"type": "LoadBalancer", "loadBalancerIP": "10.0.0.53"}},
    "two load balancers": {
        "service": {"type": "LoadBalancer", "split": True, "loadBalancerIP": "10.0.0.53", "loadBalancerSourceRanges": ["10.0.0.0/8"]}
    },
    "a fixed address": {"service": {"clusterIP": "10.96.0.53", "annotations": {"a": "b"}}},
    "three replicas that roll": {"replicaCount": 3, "rollOnConfigChange": True, "podAnnotations": {"a": "b"}},
    "autoscaling": {"autoscaling": {"enabled": True}},
    "no policy, no budget": {"networkPolicy": {"enabled": False}, "podDisruptionBudget": {"enabled": False}},
    "clients by label": {
        "networkPolicy": {
            "clients": [{"podSelector": {"matchLabels": {"dns": "yes"}}}],
            "admin": [],
            "extraEgress": [{"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}]}],
        }
    },
    "a pod monitor": {"monitor": {"enabled": True}, "prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}},
    "a service monitor": {"monitor": {"enabled": True, "kind": "ServiceMonitor", "labels": {"release": "prometheus"}}},
    "google's monitor": {"monitor": {"enabled": True, "kind": "PodMonitoring"}},
    "an account of one's own": {"serviceAccount": {"create": False, "name": "mine"}},
    "a digest": {"image": {"repository": "r.example/d", "digest": "sha256:" + "0" * 64}, "imagePullSecrets": [{"name": "s"}]},
    "no sleep": {"preStopSeconds": 0, "priorityClassName": "system-cluster-critical"},
    "where it runs": {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "fullnameOverride": "resolver",
    },
}
# Kinds that Kubernetes does not define itself; what the chart uses of them.
CUSTOM = {
    "PodMonitor": ("monitoring.coreos.com/v1", {"selector", "podMetricsEndpoints"}),
    "ServiceMonitor": ("monitoring.coreos.com/v1", {"selector", "endpoints"}),
    "PodMonitoring": ("monitoring.googleapis.com/v1", {"selector", "endpoints"}),
    "PrometheusRule": ("monitoring.coreos.com/v1", {"groups"}),
}
MISTAKES = [
    ("a misspelt key", {"replicas": 3}, "replicas"),
    ("one replica", {"replicaCount": 1}, "replicaCount"),
    ("a port that there is not", {"listen": {"port": 70000}}, "port"),
    ("a kind that there is not", {"monitor": {"kind": "Monitor"}}, "kind"),
    ("a digest that is none", {"image": {"repository": "r", "digest": "latest"}}, "digest"),
    ("no image", {"image": {"repository": ""}}, "Set image.repository"),
    ("no YAML", {"config": "a: [b"}, "The value config is not YAML"),
    ("a drain that is no time", {"config": "limits: { drain: soon }"}, "limits.drain of the value config must be"),
    ("a file in a folder", {"configFiles": {"lists/a.txt": ""}}, "lists/a.txt"),
    ("a second configuration", {"configFiles": {"dnsgate.yaml": ""}}, "dnsgate.yaml"),
    ("a server by its name", {"config": "upstreams: { u: { servers: [dns.example] } }"}, "is not of the form udp://ADDRESS"),
]


def combinations():
    """Each entry of the matrix, and the entries together that have no key in common with the one before."""
    yield from MATRIX.items()
    names = list(MATRIX)
    for first, second in zip(names, names[1:]):
        if not set(MATRIX[first]) & set(MATRIX[second]):
            yield f"{first}, {second}", {**MATRIX[first], **MATRIX[second]}


class Chart(unittest.TestCase):
    """What holds whatever the values are."""

    @classmethod
    def setUpClass(cls):
        cls.rendered = {name: render(values)[0] for name, values in combinations()}

    case = "any values"

    def each(self):
        """Every set of values; a failure names it."""
        for self.case, documents in self.rendered.items():
            yield self.case, documents

    def _formatMessage(self, msg, standardMsg):
        return f"with {self.case}: {super()._formatMessage(msg, standardMsg)}"

    def test_helm_has_no_complaint(self):
        with quiet():
            result = helm.lint(str(CHART), values={"image": {"repository": "r.example/dnsgate"}})
        worse = [message for message in result["messages"] if message["severity"] > 1]
        self.assertEqual((worse, result["errors"]), ([], []))

    def test_every_manifest_is_as_kubernetes_schemas_say(self):
        counts = {"manifests": 0, "of other kinds": 0}
        for _, documents in self.each():
            for document in documents:
                kind = document["kind"]
                if kind in CUSTOM:
                    version, keys = CUSTOM[kind]
                    self.assertEqual((document["apiVersion"], set(document["spec"])), (version, keys))
                    counts["of other kinds"] += 1
                    continue
                for version in VERSIONS:
                    kubernetes_validate.validate(document, version, strict=True)
                counts["manifests"] += 1
        print(f"{len(self.rendered)} sets of values; {counts['manifests']} manifests valid for Kubernetes {' and '.join(VERSIONS)}, {counts['of other kinds']} of other kinds")

    def test_dnsgate_takes_every_configuration(self):
        checked = 0
        for _, documents in self.each():
            for document in documents:
                if document["kind"] != "ConfigMap" or "dnsgate.yaml" not in document["data"]:
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    for name, text in document["data"].items():
                        pathlib.Path(folder, name).write_text(text)
                    path = pathlib.Path(folder, "dnsgate.yaml")
                    done = subprocess.run([DNSGATE, "check", path], capture_output=True, text=True, check=False)
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr + path.read_text())
                    checked += 1
        print(f"{checked} configurations through dnsgate check")

    def test_the_text_of_the_configuration_arrives_as_it_is(self):
        for name in ("forwarding", "defaults"):
            values = {**yaml.safe_load((CHART / "values.yaml").read_text()), **MATRIX[name]}
            data = only(self.rendered[name], "ConfigMap")["data"]
            for key, text in {"dnsgate.yaml": values["config"], **values["configFiles"]}.items():
                self.assertEqual(data[key].strip("\n"), text.strip("\n"))

    def test_pods_keep_to_the_restricted_standard(self):
        for _, documents in self.each():
            spec = pod(documents)
            (container,) = spec["containers"]
            self.assertIs(spec["automountServiceAccountToken"], False)
            self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
            self.assertIs(spec["securityContext"]["runAsNonRoot"], True)
            self.assertEqual(
                container["securityContext"],
                {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
            )
            for key in ("hostNetwork", "hostPID", "hostIPC"):
                self.assertNotIn(key, spec)
            self.assertEqual([set(volume) for volume in spec["volumes"]], [{"name", "configMap"}])

    def test_a_low_port_needs_a_sysctl_and_a_high_one_nothing(self):
        for _, documents in self.each():
            spec = pod(documents)
            port = spec["containers"][0]["ports"][0]["containerPort"]
            sysctls = spec["securityContext"].get("sysctls", [])
            wanted = [{"name": "net.ipv4.ip_unprivileged_port_start", "value": str(port)}] if port < 1024 else []
            self.assertEqual(sysctls, wanted)

    def test_a_pod_is_given_the_time_to_drain(self):
        drains = {"defaults": 10, "forwarding": 120, "empty configuration": 5, "a configuration of one's own": 20}
        for name, documents in self.each():
            spec = pod(documents)
            sleep = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            self.assertGreaterEqual(spec["terminationGracePeriodSeconds"], sleep + drains.get(name, 0) + 5)
            if name in drains:
                self.assertEqual(spec["terminationGracePeriodSeconds"], sleep + drains[name] + 10)

    def test_never_fewer_pods_than_asked_for(self):
        for name, documents in self.each():
            deployment = only(documents, "Deployment")["spec"]
            self.assertEqual(deployment["strategy"]["rollingUpdate"]["maxUnavailable"], 0)
            self.assertEqual("replicas" in deployment, "autoscaling" not in name)
            self.assertGreaterEqual(deployment.get("replicas", 2), 2)

    def test_every_selector_finds_the_pods_and_every_port_exists(self):
        for _, documents in self.each():
            labels = only(documents, "Deployment")["spec"]["template"]["metadata"]["labels"]
            ports = {port["name"] for port in pod(documents)["containers"][0]["ports"]}
            for document in documents:
                spec = document.get("spec", {})
                if document["kind"] == "Service":
                    self.assertLessEqual(spec["selector"].items(), labels.items())
                    self.assertLessEqual({port["targetPort"] for port in spec["ports"]}, ports)
                if document["kind"] in ("PodDisruptionBudget", "PodMonitor", "PodMonitoring"):
                    self.assertLessEqual(spec["selector"]["matchLabels"].items(), labels.items())
                if document["kind"] == "NetworkPolicy":
                    self.assertLessEqual(spec["podSelector"]["matchLabels"].items(), labels.items())
                    used = {port["port"] for rule in spec["ingress"] for port in rule["ports"]}
                    self.assertLessEqual(used, ports)

    def test_clients_ask_on_port_53_over_udp_and_tcp(self):
        for _, documents in self.each():
            services = [item for item in documents if item["kind"] == "Service" and not item["metadata"]["name"].endswith("metrics")]
            found = {(port["protocol"], port["port"]) for service in services for port in service["spec"]["ports"]}
            self.assertEqual(found, {("UDP", 53), ("TCP", 53)})

    def test_only_upstreams_can_be_reached(self):
        self.assertEqual(only(self.rendered["defaults"], "NetworkPolicy")["spec"]["egress"], [])
        egress = only(self.rendered["forwarding"], "NetworkPolicy")["spec"]["egress"]
        found = {(rule["to"][0]["ipBlock"]["cidr"], rule["ports"][0]["protocol"], rule["ports"][0]["port"]) for rule in egress}
        self.assertEqual(
            found,
            {
                ("8.8.8.8/32", "TCP", 853),
                ("2001:4860:4860::8888/128", "TCP", 443),
                ("10.9.0.53/32", "UDP", 53),
                ("10.9.0.53/32", "TCP", 53),
                ("10.9.1.53/32", "UDP", 5353),
                ("10.9.1.53/32", "TCP", 5353),
            },
        )

    def test_a_load_balancer_is_internal_and_reachable_from_other_regions(self):
        (service,) = [item for item in self.rendered["a load balancer"] if item["kind"] == "Service"]
        annotations = service["metadata"]["annotations"]
        self.assertEqual(annotations["networking.gke.io/load-balancer-type"], "Internal")
        self.assertEqual(annotations["networking.gke.io/internal-load-balancer-allow-global-access"], "true")
        self.assertEqual(service["spec"]["externalTrafficPolicy"], "Local")

    def test_a_changed_configuration_rolls_the_pods_only_if_told(self):
        def template(values):
            return only(render(values)[0], "Deployment")["spec"]["template"]

        one, other = {"config": "deny_with: nodata"}, {"config": "deny_with: nxdomain"}
        self.assertEqual(template(one), template(other))
        self.assertNotEqual(template({**one, "rollOnConfigChange": True}), template({**other, "rollOnConfigChange": True}))

    def test_alerts_are_those_of_the_repository(self):
        rules = only(self.rendered["a pod monitor"], "PrometheusRule")["spec"]
        self.assertEqual(rules, yaml.safe_load((CHART.parents[1] / "prometheus-rules.yml").read_text()))

    def test_each_dashboard_is_in_a_config_map(self):
        boards = {path.name for path in (CHART.parents[1] / "grafana").glob("*.json")}
        found = {
            name: document["data"][name]
            for document in self.rendered["a pod monitor"]
            if document["kind"] == "ConfigMap"
            for name in document["data"]
            if name.endswith(".json")
        }
        self.assertEqual(set(found), boards)
        for name, text in found.items():
            self.assertEqual(yaml.safe_load(text), yaml.safe_load((CHART.parents[1] / "grafana" / name).read_text()))

    def test_notes_say_how_to_point_each_resolver_at_it(self):
        _, notes = render()
        for text in ("stubDomains", "upstreamNameservers", "forward . ADDRESS", "NodeLocal DNSCache", "service demo-dnsgate"):
            self.assertIn(text, notes)
        _, notes = render(MATRIX["two load balancers"])
        self.assertIn("service demo-dnsgate-udp", notes)

    def test_mistakes_are_refused_with_the_key_or_what_to_do(self):
        for what, values, message in MISTAKES:
            with self.subTest(what):
                with self.assertRaises(helm.HelmError) as refused:
                    render(values)
                self.assertIn(message, str(refused.exception))

    def test_the_readme_lists_every_value(self):
        listed = set(re.findall(r"^\| `([\w.]+)` \|", (CHART / "README.md").read_text(), re.M))
        self.assertEqual(listed, set(yaml.safe_load((CHART / "values.yaml").read_text())))


if __name__ == "__main__":
    unittest.main()
