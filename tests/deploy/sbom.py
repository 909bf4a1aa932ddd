"""Holds an SBOM against what it must name: the program, and every crate of Cargo.lock that is in it, with its licence."""

import json
import re
import pathlib
import sys

bom = json.loads(pathlib.Path(sys.argv[1]).read_text())
lock = pathlib.Path("Cargo.lock").read_text()
locked = set(re.findall(r'name = "([^"]+)"\nversion = "([^"]+)"', lock))
components = {(component["name"], component["version"]) for component in bom["components"]}

assert bom["bomFormat"] == "CycloneDX", bom["bomFormat"]
assert bom["metadata"]["component"]["name"] == "dnsgate", bom["metadata"]
assert components <= locked, components - locked
for crate in ("rustls", "tokio", "hickory-proto", "dnsgate-core"):
    assert any(name == crate for name, _ in components), crate
for crate in ("proptest", "criterion"):
    assert not any(name == crate for name, _ in components), f"{crate} is for tests alone"
without = [c["name"] for c in bom["components"] if not c.get("licenses")]
assert not without, without
print(f"SBOM: {len(components)} of the {len(locked)} crates of Cargo.lock, each with its licence")
