"""The controls: one thing is taken away at a time, and the proof fails there. So it could have failed.

Each scene differs from the proof's in what its test names, and in that dnsgate ends at once.
"""

import unittest

import firewall
from plan import BALANCER, BUCKET, CLOUD_DNS, GATE, OBJECTS, RESOLVERS, WEBSITE, WORKLOAD
from test_proof import BYPASS, STATUSES, conversations, ended
from vpc import FORWARD, Vpc

QUICK = "limits: { drain: 0s }\n"
CLOUD_DNS_PATIENCE = 4  # seconds that the real one waits for a target
# What `dnsgate verify` calls its checks.
RESOLVED = "denied www.example.com"
OUT_BY_NAME, OUT_BY_ADDRESS = "unreachable www.example.com:443", f"unreachable {WEBSITE}:443"
WAYS = ["udp:53", "tcp:53", "tcp:853", "tcp:443"]
VERIFY_BYPASS = [f"bypass {way} {address}" for address in RESOLVERS for way in WAYS]


def tells(line):
    """Whether a line of `dnsgate verify` is of a failure, or the numbers."""
    return not line.startswith(("pass", "skipped"))


def resolved(scene, questions):
    """The questions that have an answer, be it a denial."""
    statuses = scene.statuses(questions, f"+time={CLOUD_DNS_PATIENCE}")
    return [question for question, status in statuses.items() if status not in (None, "SERVFAIL")]


class Controls(unittest.TestCase):
    """Scenes of one VPC, one after the other."""

    @classmethod
    def setUpClass(cls):
        cls.vpc = Vpc("controls")
        cls.addClassCleanup(cls.vpc.close)

    def failures(self, scene):
        """The checks of `dnsgate verify` that fail, as some must."""
        table = scene.verify()
        told = [f"    expected: {line}" for line in filter(tells, table.stdout.splitlines())]
        print(f"{scene.name}: a control, in which dnsgate verify must fail; it printed:", *told, sep="\n", flush=True)
        self.assertEqual(table.returncode, 1)
        report = scene.report()
        self.assertFalse(report["passed"])
        return ended(report, "fail")

    def test_without_the_firewall_resolvers_of_the_internet_answer(self):
        with self.vpc.scene("no-firewall", rules=firewall.OPEN, policy=QUICK) as scene:
            self.assertEqual(scene.statuses(BYPASS), dict.fromkeys(BYPASS, "NOERROR"))
            # Who asks its own resolver is still held.
            self.assertFalse(scene.call_function()["check_connection"])
            self.assertEqual(self.failures(scene), [OUT_BY_ADDRESS, *VERIFY_BYPASS])
            packets = scene.packets(self.vpc.internet)
        for address in RESOLVERS:
            self.assertTrue(any(f"in udp {WORKLOAD} " in line and f" > {address} 53" in line for line in packets))

    def test_with_the_firewall_alone_a_denied_name_is_out_of_reach(self):
        """The next control's firewall without its rule: the name is what makes the difference."""
        with self.vpc.scene("website-by-address", rules=firewall.WEBSITE_TOO, policy=QUICK) as scene:
            self.assertFalse(scene.call_function()["check_connection"])
            self.assertEqual(scene.packets(self.vpc.internet), [])
            self.assertEqual(self.failures(scene), [OUT_BY_ADDRESS])

    def test_with_a_rule_that_forwards_the_function_reports_a_connection(self):
        with self.vpc.scene("website", rules=firewall.WEBSITE_TOO, policy=QUICK + FORWARD) as scene:
            self.assertEqual(scene.dig("www.example.com", "+short").split(), [WEBSITE])
            function = scene.call_function()
            self.assertEqual(self.failures(scene), [RESOLVED, OUT_BY_NAME, OUT_BY_ADDRESS])
            packets = scene.packets(self.vpc.internet)
        self.assertEqual(function["bucket"], BUCKET)
        self.assertEqual(function["file_names"], OBJECTS)
        self.assertTrue(function["check_connection"], function)
        self.assertTrue(any(f"in tcp {WORKLOAD} " in line and f" > {WEBSITE} 443" in line for line in packets))

    def test_with_the_rule_but_the_firewall_the_name_resolves_and_is_out_of_reach(self):
        with self.vpc.scene("website-without-way", policy=QUICK + FORWARD) as scene:
            self.assertEqual(scene.dig("www.example.com", "+short").split(), [WEBSITE])
            self.assertFalse(scene.call_function()["check_connection"])
            self.assertEqual(self.failures(scene), [RESOLVED])

    def test_without_dnsgate_nothing_resolves(self):
        with self.vpc.scene("stopped", policy=QUICK) as scene:
            self.assertEqual(scene.dnsgate.stop(), 0)
            self.assertEqual(resolved(scene, STATUSES), [])
            failures = self.failures(scene)
            self.assertTrue({"name storage.googleapis.com", f"bucket {BUCKET}", RESOLVED} <= set(failures), failures)
            self.assertEqual(scene.packets(self.vpc.internet), [])

    def test_without_packet_info_the_balancers_path_breaks(self):
        preload = self.vpc.without_packet_info()
        with self.vpc.scene("no-pktinfo", policy=QUICK, LD_PRELOAD=preload) as scene:
            # It works: who asks the machine itself gets answers.
            direct = scene.dig_from(self.vpc.cloud_dns, "storage.googleapis.com", f"@{GATE}", "+short")
            self.assertIn("restricted.googleapis.com.", direct)
            self.assertEqual(resolved(scene, ["storage.googleapis.com"]), [])
            packets = scene.packets(self.vpc.cloud_dns)
        asked, replies = conversations(packets)
        self.assertIn(f"{CLOUD_DNS} > {BALANCER}", asked)
        self.assertEqual(replies, {f"{GATE} > {CLOUD_DNS}"})
