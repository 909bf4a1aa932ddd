"""The proof: with dnsgate as the VPC's server policy a workload lists its bucket, and reaches nothing else.

Everything is done once, with the configuration as it is shipped. Each test asserts one thing of what was seen.
"""

import json
import unittest

from plan import BALANCER, BUCKET, CLOUD_DNS, METADATA, OBJECTS, RESOLVERS, VIPS
from vpc import Vpc

# What a workload gets from its resolver.
STATUSES = {
    "storage.googleapis.com": "NOERROR",
    "storage.googleapis.com +tcp": "NOERROR",
    "europe-docker.pkg.dev": "NOERROR",
    "metadata.google.internal": "NOERROR",
    "googleapis.com.example.com": "NXDOMAIN",
    "www.example.com": "NXDOMAIN",
    "www.example.com AAAA": "NXDOMAIN",
    "www.example.com TXT": "NXDOMAIN",
    "dns.google": "NXDOMAIN",
}
# Round the resolver, to those of the internet.
BYPASS = [f"www.example.com @{address} {transport}" for address in RESOLVERS for transport in ("+notcp", "+tcp")]


class Proof(unittest.TestCase):
    """One scene, seen from all sides."""

    @classmethod
    def setUpClass(cls):
        vpc = Vpc("proof")
        cls.addClassCleanup(vpc.close)
        with vpc.scene("proof") as scene:
            cls.statuses = scene.statuses(STATUSES)
            cls.storage = scene.dig("storage.googleapis.com", "+short").split()
            cls.metadata = scene.dig("metadata.google.internal", "+short").split()
            cls.bypass = scene.statuses(BYPASS, "+time=1")
            cls.function = scene.call_function()
            cls.pages = [line for line in vpc.vip.said().splitlines() if f"/b/{BUCKET}/o?" in line]
            cls.table = scene.verify()
            cls.report = scene.report()
            cls.internet = scene.packets(vpc.internet)
            cls.cloud_dns = scene.packets(vpc.cloud_dns)
        print("the function returned:", json.dumps(cls.function, indent=2), flush=True)
        print("dnsgate verify printed:", cls.table.stdout, flush=True)
        cls.exit_code = scene.dnsgate.process.returncode

    def test_the_function_lists_every_object(self):
        self.assertEqual(self.function["bucket"], BUCKET)
        self.assertEqual(self.function["file_names"], OBJECTS)

    def test_the_function_lists_page_by_page(self):
        self.assertEqual(len(self.pages), 3, self.pages)

    def test_the_function_reports_no_internet(self):
        self.assertFalse(self.function["check_connection"])
        self.assertIn("Failed to resolve", self.function["seen"])

    def test_verify_passes(self):
        self.assertEqual(self.table.returncode, 0, self.table.stdout)
        self.assertTrue(self.report["passed"])
        self.assertEqual(ended(self.report, "fail"), [])

    def test_verify_says_what_the_function_says(self):
        for field in ("file_names", "bucket", "check_connection"):
            self.assertEqual(self.report[field], self.function[field], field)

    def test_verify_skips_only_what_has_addresses_of_the_vpc(self):
        self.assertEqual(ended(self.report, "skipped"), ["name p.googleapis.com", "name rep.googleapis.com"])

    def test_names_are_answered_or_denied(self):
        self.assertEqual(self.statuses, STATUSES)

    def test_google_is_the_restricted_vip(self):
        self.assertEqual(self.storage[0], "restricted.googleapis.com.")
        self.assertEqual(sorted(self.storage[1:]), VIPS)

    def test_the_metadata_server_is_found_by_name(self):
        self.assertEqual(self.metadata, [METADATA])

    def test_no_resolver_of_the_internet_is_reached(self):
        self.assertEqual(self.bypass, dict.fromkeys(BYPASS))

    def test_the_internet_sees_no_packet(self):
        self.assertEqual(self.internet, [])

    def test_the_balancer_is_the_source_of_every_reply(self):
        asked, replies = conversations(self.cloud_dns)
        self.assertEqual(asked, {f"{CLOUD_DNS} > {BALANCER}"})
        self.assertEqual(replies, {f"{BALANCER} > {CLOUD_DNS}"})

    def test_dnsgate_ends_well(self):
        self.assertEqual(self.exit_code, 0)


def ended(report, result):
    """The checks of a report that ended so."""
    return [check["check"] for check in report["checks"] if check["result"] == result]


def conversations(packets):
    """Who asked whom from Cloud DNS' range, and who replied: sets of `source > destination`."""
    asked, replies = set(), set()
    for line in packets:
        words = line.split()
        if words[1] == "icmp":
            continue
        way, _, source, source_port, _, destination, destination_port = words
        if way == "out" and destination_port == "53":
            asked.add(f"{source} > {destination}")
        if way == "in" and source_port == "53":
            replies.add(f"{source} > {destination}")
    return asked, replies
