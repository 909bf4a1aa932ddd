"""The Terraform module, judged by Terraform's own engine and by the schema of Google Cloud's provider, without a cloud."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import hcl2
import jsonschema
import provider
import yaml
from terraform import CONTAINER, DNSGATE, MODULE, NETWORK, SUBNETWORK, Project, call

EXAMPLES = {
    "minimal": {"project_id": "p", "network": NETWORK, "subnetwork": SUBNETWORK, "source_image": "image"},
    "allowlist": {"project_id": "p", "network": NETWORK, "subnetwork": SUBNETWORK, "container_image": CONTAINER},
    "seed": {
        "project_id": "p",
        "bucket": "my-bucket",
        "source_image": "image",
        "container_image": CONTAINER,
        "function_image": CONTAINER,
    },
}
TEMPLATE = "module.dnsgate.google_compute_region_instance_template.dnsgate"
GROUP = "module.dnsgate.google_compute_region_instance_group_manager.dnsgate"
POLICY = "module.dnsgate.google_dns_policy.dnsgate[0]"
# Where Terraform's own arguments of every resource stand.
META = {"count", "for_each", "depends_on", "provider", "lifecycle", "provisioner", "connection"}


def checked(test, folder):
    """What `dnsgate check` says about the configuration in a folder."""
    path = pathlib.Path(folder, "dnsgate.yaml")
    done = subprocess.run([DNSGATE, "check", path], capture_output=True, text=True, check=False)
    test.assertEqual(done.returncode, 0, done.stdout + done.stderr + path.read_text())
    return done.stdout


def user_data(resources):
    """A machine's cloud-config, read."""
    text = resources[TEMPLATE]["metadata"]["user-data"]
    assert text.startswith("#cloud-config\n"), text
    return yaml.safe_load(text)


def written(config, folder):
    """Lays down a machine's files in a folder, as cloud-init does at /."""
    for file in config["write_files"]:
        path = pathlib.Path(folder, file["path"].lstrip("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file["content"])


class Files(unittest.TestCase):
    """The files as text."""

    def test_the_format_is_terraforms(self):
        with tempfile.TemporaryDirectory() as folder:
            project = Project(folder)
            project.place = project.root
            done = project.run("fmt", "-check", "-recursive", "-diff", "-no-color")
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def test_every_resource_and_argument_is_in_the_providers_schema(self):
        counts = {"resources": 0, "arguments": 0}
        for path in sorted(MODULE.rglob("*.tf")):
            parsed = hcl2.loads(path.read_text())
            for kind in ("resource", "data"):
                for entry in parsed.get(kind, []):
                    for name, body in entry.items():
                        name = name.strip('"')
                        if name == "terraform_data":
                            continue
                        with self.subTest(file=path.name, resource=name):
                            self.assertIn(name, provider.SCHEMA[kind])
                            counts["resources"] += 1
                            for block in body.values():
                                self.held(block, provider.SCHEMA[kind][name], counts)
        print(f"{counts['resources']} resources, {counts['arguments']} arguments held against {provider.SCHEMA['version']}")
        self.assertGreater(counts["resources"], 20)

    def held(self, body, described, counts, top=True):
        """Holds one block against the schema."""
        for name, value in body.items():
            if name.startswith("__") or (top and name in META):
                continue
            if name == "dynamic":
                for inner in value:
                    for label, block in inner.items():
                        self.assertIn(label.strip('"'), described["blocks"])
                        for content in block["content"]:
                            self.held(content, described["blocks"][label.strip('"')], counts, False)
                continue
            counts["arguments"] += 1
            if name in described.get("blocks", {}):
                for block in value:
                    self.held(block, described["blocks"][name], counts, False)
            else:
                self.assertIn(name, described.get("arguments", {}))

    def test_an_argument_that_the_provider_does_not_have_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            project = Project(folder)
            path = project.root / "load_balancer.tf"
            path.write_text(path.read_text().replace('session_affinity                = "NONE"', 'session_afinity = "NONE"'))
            done = project.run("validate", "-no-color")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn('An argument named "session_afinity" is not expected here', done.stdout + done.stderr)

    def test_every_variable_and_output_says_what_it_is_and_the_readme_lists_those_of_the_module(self):
        listed = set(re.findall(r"^\| `(\w+)` \|", (MODULE / "README.md").read_text(), re.M))
        found = set()
        for path in sorted(MODULE.rglob("*.tf")):
            parsed = hcl2.loads(path.read_text())
            entries = [entry for kind in ("variable", "output") for entry in parsed.get(kind, [])]
            for name, body in (item for entry in entries for item in entry.items()):
                self.assertIn("description", body, f"{path}: {name}")
                if path.parent == MODULE:
                    found.add(name.strip('"'))
        self.assertEqual(found, listed)


class Examples(unittest.TestCase):
    """Each example planned by Terraform."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.project = Project(cls.folder.name)
        cls.plans = {name: cls.project.at(name).plan(**values) for name, values in EXAMPLES.items()}

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_each_example_is_valid_and_has_a_plan(self):
        for name, resources in self.plans.items():
            print(f"example {name}: {len(resources)} resources planned")
            with self.subTest(name):
                done = self.project.at(name).run("validate", "-no-color")
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertIn(TEMPLATE, resources)

    def test_the_machines_have_no_external_address_and_are_hardened(self):
        for name, resources in self.plans.items():
            with self.subTest(name):
                template = resources[TEMPLATE]
                for interface in template["network_interface"]:
                    self.assertFalse(interface.get("access_config"))
                    self.assertFalse(interface.get("ipv6_access_config"))
                shielded = template["shielded_instance_config"][0]
                self.assertEqual({shielded[key] for key in shielded}, {True})
                self.assertEqual(template["metadata"]["enable-oslogin"], "TRUE")
                self.assertIs(template["can_ip_forward"], False)

    def test_never_fewer_machines_than_asked_for(self):
        for name, resources in self.plans.items():
            with self.subTest(name):
                group = resources[GROUP]
                self.assertGreaterEqual(group["target_size"], 2)
                update = group["update_policy"][0]
                self.assertEqual((update["max_unavailable_fixed"], update["type"]), (0, "PROACTIVE"))
                # A machine that is judged dead before it has booted is replaced for ever.
                self.assertGreaterEqual(group["auto_healing_policies"][0]["initial_delay_sec"], 60)

    def test_a_machine_drains_longer_than_the_load_balancer_needs(self):
        for name, resources in self.plans.items():
            with self.subTest(name):
                ready = resources["module.dnsgate.google_compute_region_health_check.ready"]
                self.assertEqual(ready["http_health_check"][0]["request_path"], "/readyz")
                needs = ready["check_interval_sec"] * ready["unhealthy_threshold"]
                config = self.configuration(resources)
                drain = int(config.get("limits", {}).get("drain", "5s").removesuffix("s"))
                self.assertGreater(drain, needs + ready["timeout_sec"])
                alive = resources["module.dnsgate.google_compute_region_health_check.alive"]
                # The update goes on only when the load balancer has long sent queries to the new machine.
                self.assertGreater(
                    alive["check_interval_sec"] * alive["healthy_threshold"],
                    ready["check_interval_sec"] * ready["healthy_threshold"] + ready["timeout_sec"],
                )

    def configuration(self, resources):
        """dnsgate.yaml of a machine."""
        files = {file["path"]: file["content"] for file in user_data(resources)["write_files"]}
        return yaml.safe_load(files["/etc/dnsgate/dnsgate.yaml"])

    def test_only_cloud_dns_and_health_checks_come_in_unless_told(self):
        rules = {"google_compute_firewall.queries", "google_compute_firewall.health"}
        minimal = self.plans["minimal"]
        found = {
            address.removeprefix("module.dnsgate."): set(values["source_ranges"])
            for address, values in minimal.items()
            if ".google_compute_firewall." in address and values["direction"] == "INGRESS"
        }
        self.assertEqual(set(found), rules)
        self.assertEqual(found["google_compute_firewall.queries"], {"35.199.192.0/19"})
        self.assertEqual(found["google_compute_firewall.health"], {"35.191.0.0/16", "130.211.0.0/22"})
        admin = self.plans["allowlist"]["module.dnsgate.google_compute_firewall.admin[0]"]
        self.assertEqual(admin["source_ranges"], ["10.10.0.0/24"])
        self.assertEqual(admin["allow"][0]["ports"], ["9153"])

    def test_no_example_is_in_force_before_it_is_told(self):
        for name, values in EXAMPLES.items():
            with self.subTest(name):
                self.assertNotIn(POLICY, self.plans[name])
                active = self.project.at(name).plan(**values, activate=True)
                self.assertIn(POLICY, active)
                servers = active[POLICY]["alternative_name_server_config"][0]["target_name_servers"]
                self.assertEqual([server["forwarding_path"] for server in servers], ["private"])

    def test_cloud_config_is_as_its_schema_says(self):
        schema = json.loads(pathlib.Path(os.environ["CLOUD_INIT_SCHEMA"]).read_text())
        for name, resources in self.plans.items():
            with self.subTest(name):
                jsonschema.Draft4Validator(schema).validate(user_data(resources))

    def test_dnsgate_takes_every_configuration_that_a_machine_gets(self):
        for name, resources in self.plans.items():
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                written(user_data(resources), folder)
                self.assertIn("tests passed", checked(self, pathlib.Path(folder, "etc/dnsgate")))

    def test_the_scripts_of_a_machine_are_clean(self):
        for name, resources in self.plans.items():
            with self.subTest(name):
                (_, _, script), = user_data(resources)["runcmd"]
                done = subprocess.run(
                    ["shellcheck", "--shell=sh", "-"], input=script, capture_output=True, text=True, check=False
                )
                self.assertEqual(done.returncode, 0, done.stdout)

    def test_the_container_has_no_capability_and_writes_nothing(self):
        files = {file["path"]: file["content"] for file in user_data(self.plans["allowlist"])["write_files"]}
        unit = files["/etc/systemd/system/dnsgate.service"]
        for argument in ("--read-only", "--cap-drop ALL", "--security-opt no-new-privileges", CONTAINER):
            self.assertIn(argument, unit)
        self.assertEqual(files["/etc/sysctl.d/90-dnsgate.conf"], "net.ipv4.ip_unprivileged_port_start=53\n")

    def test_the_function_leaves_by_the_vpc_alone(self):
        seed = self.plans["seed"]
        for address in ("google_cloud_run_v2_service.lister", "google_cloud_run_v2_job.verify"):
            template = seed[address]["template"][0]
            template = template["template"][0] if "template" in template else template
            self.assertEqual(template["vpc_access"][0]["egress"], "ALL_TRAFFIC")
        self.assertIs(seed["google_compute_network.vpc"]["delete_default_routes_on_create"], True)
        self.assertIs(seed["google_compute_subnetwork.subnet"]["private_ip_google_access"], True)


class Applied(unittest.TestCase):
    """The module applied against the stand-in: what is made, in what order, and what stops it."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def project(self, text, objects=None):
        return Project(self.folder.name, objects=objects).write(text)

    def applied(self, project):
        done = project.apply()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return project.state()

    def test_a_change_of_the_configuration_rolls_the_machines_and_a_bad_one_changes_nothing(self):
        project = self.project(call(config='"deny_with: nxdomain"', activate="true"))
        before = self.applied(project)
        self.assertIn(POLICY, before)
        changed = self.applied(project.write(call(config='"deny_with: nodata"', activate="true")))
        self.assertNotEqual(before[TEMPLATE]["metadata"], changed[TEMPLATE]["metadata"])
        done = project.write(call(config='"deny_with: perhaps"', activate="true")).apply()
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("dnsgate.yaml:1:12: ", done.stdout + done.stderr)
        after = project.state()
        self.assertEqual(after[TEMPLATE], changed[TEMPLATE])
        self.assertEqual(after[GROUP], changed[GROUP])

    def test_a_policy_test_that_fails_stops_the_apply(self):
        text = "tests:\\n  - { ask: example.com, from: 10.0.0.1, expect: { verdict: forwarded } }"
        done = self.project(call(config=f'"{text}"')).apply()
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("example.com", done.stdout + done.stderr)

    def test_the_roll_back_takes_the_policy_and_leaves_the_rest(self):
        project = self.project(call(activate="true", create_fallback_zone="true"))
        before = self.applied(project)
        after = self.applied(project.write(call(activate="false", create_fallback_zone="true")))
        self.assertEqual(set(before) - set(after), {POLICY})
        self.assertIn('module.dnsgate.google_dns_record_set.fallback_alias[0]', after)

    def test_a_configuration_in_a_bucket_is_checked_and_fetched_at_its_generation(self):
        objects = {
            "prod/dnsgate.yaml": "rules: [{ name: list, domains_file: lists/a.txt, forward: up }]\n"
            "upstreams: { up: { servers: [tls://192.0.2.1#dns.example] } }\n",
            "prod/a.txt": "example.com\n",
        }
        bucket = '{ bucket = "b", objects = { "dnsgate.yaml" = "prod/dnsgate.yaml", "lists/a.txt" = "prod/a.txt" } }'
        project = self.project(call(config_bucket=bucket), objects)
        after = self.applied(project)
        config = user_data(after)
        self.assertNotIn("/etc/dnsgate/dnsgate.yaml", [file["path"] for file in config["write_files"]])
        (_, _, script), = config["runcmd"]
        self.assertIn(f"o/prod%2Fdnsgate.yaml?alt=media&generation={provider.INVENTED['generation']}", script)
        self.assertIn("199.36.153.4 storage.googleapis.com", script)
        self.assertIn('module.dnsgate.google_storage_bucket_iam_member.config[0]', after)
        self.fetches(script, objects)
        project.objects = {**objects, "prod/a.txt": "a list with a bad line\n"}
        done = project.apply()
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("lists/a.txt:1", done.stdout + done.stderr)

    def fetches(self, script, objects):
        """Runs a machine's script with programs that only note how they were called."""
        root = pathlib.Path(self.folder.name, "machine")
        programs = root / "bin"
        programs.mkdir(parents=True)
        (root / "etc").mkdir()
        (root / "hosts").write_text("127.0.0.1 localhost\n")
        (root / "resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
        for name, text in {
            "curl": 'case "$*" in *computeMetadata*) echo \'{"access_token": "t0ken"}\'; exit;; esac\n'
            'grep -q "Bearer t0ken" || exit 22\n'
            'while [ "$1" != --output ]; do shift; done\necho fetched >"$2"\necho "$3" >>"$CALLS"\n',
            "systemctl": 'echo "systemctl $*" >>"$CALLS"\n',
        }.items():
            (programs / name).write_text("#!/bin/sh\n" + text)
            (programs / name).chmod(0o755)
        # A machine's own files, never this one's.
        for path, other in {"/etc/dnsgate": "etc", "/etc/hosts": "hosts", "/etc/resolv.conf": "resolv.conf"}.items():
            script = script.replace(path, str(root / other))
        self.assertNotIn(" /etc/", script)
        calls = root / "calls"
        environment = {"PATH": f"{programs}:/usr/bin:/bin", "CALLS": str(calls)}
        done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = calls.read_text().splitlines()
        self.assertEqual(sum("alt=media" in line for line in lines), len(objects))
        self.assertEqual(lines[-1], "systemctl restart dnsgate")
        self.assertEqual((root / "etc/lists/a.txt").read_text(), "fetched\n")
        self.assertEqual(os.readlink(root / "resolv.conf"), "/run/systemd/resolve/resolv.conf")
        # Without a token nothing is fetched, and dnsgate is not restarted.
        (programs / "curl").write_text("#!/bin/sh\nexit 22\n")
        calls.write_text("")
        done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("systemctl restart dnsgate", calls.read_text())

    def test_mistakes_are_refused_with_what_to_do(self):
        table = [
            ("one machine", {"instance_count": "1"}, "must be 2 or more"),
            ("two images", {"container_image": f'"{CONTAINER}"'}, "Set either source_image or container_image"),
            ("no image", {"source_image": None}, "Set either source_image or container_image"),
            ("no image, not checked", {"source_image": None, "check_config": "false"}, "Set either source_image or"),
            ("a tag", {"source_image": None, "container_image": '"r.example/dnsgate:1"'}, "must name its registry and its"),
            ("a path that leaves", {"config_files": '{ "../x" = "" }'}, "must have a relative path"),
            ("everybody's metrics", {"admin_source_ranges": '["0.0.0.0/0"]'}, "the admin pages are not for everybody"),
            ("a long name", {"name": '"a-name-that-is-much-too-long-for-it"'}, "2 to 26 lower-case letters"),
            ("two sources", {"config": '""', "config_bucket": '{ bucket = "b", objects = { "dnsgate.yaml" = "o" } }'},
             "Set either config"),
            ("no dnsgate.yaml", {"config_bucket": '{ bucket = "b", objects = { "x.yaml" = "o" } }'},
             "must be the configuration itself"),
        ]
        project = self.project("")
        for what, arguments, message in table:
            with self.subTest(what):
                done = project.write(call(**arguments)).run("plan", "-no-color", "-input=false")
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(message, " ".join((done.stdout + done.stderr).replace("│", " ").split()))

    def test_a_configuration_beyond_the_metadatas_limit_is_sent_to_a_bucket(self):
        project = self.project(call(config_files='{ "a.txt" = join("\\n", [for i in range(1000) : format("n%s.%0300d.example", i, 0)]) }'))
        done = project.run("plan", "-no-color", "-input=false")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("config_bucket", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
