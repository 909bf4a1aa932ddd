"""The proof: with dnsgate as the VPC's server policy a workload lists its bucket, and reaches nothing else."""

import json
import unittest

from plan import BALANCER, BUCKET, METADATA, OBJECTS, RESOLVERS, VIPS, WEBSITE_URL
from vpc import Vpc


class Proof(unittest.TestCase):
    """Everything is done once; each test asserts one thing of what was seen."""

    @classmethod
    def setUpClass(cls):
        vpc = Vpc()
        with vpc.scene("proof") as scene:
            cls.statuses = {name: scene.status(name) for name in NAMES}
            cls.storage = scene.dig("storage.googleapis.com", "+short").split()
            cls.metadata = scene.dig("metadata.google.internal", "+short").split()
            cls.stream = scene.status("storage.googleapis.com", "+tcp")
            cls.direct = {address: scene.status("example.com", f"@{address}") for address in RESOLVERS}
            cls.function = scene.call_function()
            cls.leaks = scene.packets(vpc.internet)
            cls.cloud_dns = scene.packets(vpc.cloud_dns)

    def test_function(self):
        print(json.dumps(self.function))


NAMES = ["storage.googleapis.com", "www.example.com"]
