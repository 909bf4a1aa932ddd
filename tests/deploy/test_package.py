"""The Debian package: installed, started, upgraded while it runs, removed and purged, on a copy of this machine with systemd."""

import os
import pathlib
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).parents[2]
MACHINE = ROOT / "tests" / "deploy" / "machine"
DNSGATE = os.environ.get("DNSGATE", "dnsgate")
PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


def package(version, folder):
    """Makes the package with this version; gives its path."""
    path = pathlib.Path(folder, f"dnsgate_{version}.deb")
    arguments = [ROOT / "scripts" / "package", DNSGATE, "--deb-version", version, "--output", path, "--fast"]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    return path


class Machine:
    """A copy of this machine, in which systemd runs."""

    def __init__(self, folder, packages):
        self.process = subprocess.Popen([MACHINE, folder, *packages], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.first = self.wait_for(self.child, "a first process")
        self.wait_for(lambda: "running" in self.run("systemctl is-system-running", check=False).stdout, "systemd")

    def wait_for(self, condition, what):
        """Asks until something holds, and gives it."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the machine ended while waiting for {what}: {self.process.stderr.read()}")
            found = condition()
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(f"waited in vain for {what}")

    def child(self):
        """The machine's first process, once it is systemd: the child of unshare."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        if len(children) == 1 and pathlib.Path(f"/proc/{children[0]}/comm").read_text().strip() == "systemd":
            return children[0]
        return None

    def run(self, command, check=True):
        """Runs a line of shell there."""
        enter = ["nsenter", "--target", self.first, "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--root", "env", "-i"]
        enter += [f"{name}={value}" for name, value in PATH.items()]
        done = subprocess.run([*enter, "sh", "-ec", f"cd /; {command}"], capture_output=True, text=True, check=False, timeout=120)
        if check and done.returncode != 0:
            log = "" if "journalctl" in command else self.run("journalctl --unit dnsgate --no-pager --lines 20", check=False).stdout
            raise AssertionError(f"{command}\n{done.stdout}{done.stderr}{log}")
        return done

    def end(self):
        """Ends it, and with it everything that it has."""
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


class Package(unittest.TestCase):
    """One life of the package; each step builds on the one before."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(dir=ROOT / "target" / "deploy")
        cls.packages = [package(version, cls.folder.name) for version in ("0.1.0", "0.1.1")]
        place = pathlib.Path(cls.folder.name, "machine")
        place.mkdir()
        cls.machine = Machine(place, cls.packages)

    @classmethod
    def tearDownClass(cls):
        cls.machine.end()
        cls.folder.cleanup()

    def says(self, command):
        return self.machine.run(command).stdout.strip()

    def answers(self, name="storage.googleapis.com"):
        return self.says(f"dig @127.0.0.1 +tries=1 +time=5 {name} A")

    def test_the_life_of_the_package(self):
        for step in (self.what_it_holds, self.installed, self.reloaded, self.upgraded, self.removed, self.purged):
            print(f"{step.__name__.replace('_', ' ')} …", flush=True)
            step()

    def what_it_holds(self):
        listing = subprocess.run(["dpkg-deb", "--contents", self.packages[0]], capture_output=True, text=True, check=True).stdout
        modes = {line.split()[5].removeprefix("."): (line.split()[0], line.split()[1]) for line in listing.splitlines()}
        for path, mode in {
            "/usr/bin/dnsgate": "-rwxr-xr-x",
            "/etc/dnsgate/dnsgate.yaml": "-rw-r--r--",
            "/usr/lib/sysusers.d/dnsgate.conf": "-rw-r--r--",
            "/usr/share/man/man1/dnsgate.1.gz": "-rw-r--r--",
            "/usr/share/man/man1/dnsgate-serve.1.gz": "-rw-r--r--",
            "/usr/share/bash-completion/completions/dnsgate": "-rw-r--r--",
            "/usr/share/doc/dnsgate/copyright": "-rw-r--r--",
        }.items():
            self.assertEqual(modes.get(path), (mode, "0/0"), path)
        self.assertTrue(any(path.endswith("systemd/system/dnsgate.service") for path in modes), listing)

    def installed(self):
        self.says("dpkg --install /packages/dnsgate_0.1.0.deb")
        self.assertEqual(self.says("systemctl is-active dnsgate; systemctl is-enabled dnsgate"), "active\nenabled")
        self.assertEqual(self.says("systemctl show --property User --value dnsgate"), "dnsgate")
        user = self.says("getent passwd dnsgate").split(":")
        self.assertLess(int(user[2]), 1000)
        self.assertIn("nologin", user[6])
        pid = self.says("systemctl show --property MainPID --value dnsgate")
        self.assertEqual(self.says(f"stat --format %U /proc/{pid}"), "dnsgate")
        self.assertEqual(self.says(f"readlink /proc/{pid}/exe"), "/usr/bin/dnsgate")
        self.assertIn("199.36.153.4", self.answers())
        self.assertIn("status: REFUSED", self.answers("example.com"))
        self.says("dnsgate healthcheck")
        self.assertEqual(self.says("systemd-analyze verify /lib/systemd/system/dnsgate.service 2>&1 | grep -i dnsgate || true"), "")
        self.assertIn("dnsgate-serve", self.says("zcat /usr/share/man/man1/dnsgate-serve.1.gz"))
        self.says("bash -n /usr/share/bash-completion/completions/dnsgate")

    def reloaded(self):
        self.says("printf 'deny_with: nxdomain\\n' >/etc/dnsgate/dnsgate.yaml; systemctl reload dnsgate")
        self.machine.wait_for(lambda: "NXDOMAIN" in self.answers("example.com"), "the new configuration")

    def upgraded(self):
        before = self.says("systemctl show --property MainPID --value dnsgate")
        self.says("dpkg --force-confold --install /packages/dnsgate_0.1.1.deb")
        self.assertEqual(self.says("systemctl is-active dnsgate"), "active")
        self.assertNotEqual(self.says("systemctl show --property MainPID --value dnsgate"), before)
        self.assertEqual(self.says("dpkg-query --show --showformat '${Version} ${Status}' dnsgate"), "0.1.1 install ok installed")
        # The operator's configuration is as it was, and in force.
        self.assertEqual(self.says("cat /etc/dnsgate/dnsgate.yaml"), "deny_with: nxdomain")
        self.assertIn("NXDOMAIN", self.answers("example.com"))
        # The old one drained and ended by itself.
        self.assertEqual(self.says("systemctl show --property NRestarts --value dnsgate"), "0")

    def removed(self):
        self.says("dpkg --remove dnsgate")
        self.assertEqual(self.machine.run("systemctl is-active dnsgate", check=False).stdout.strip(), "inactive")
        self.assertEqual(self.says("cat /etc/dnsgate/dnsgate.yaml"), "deny_with: nxdomain")
        self.assertEqual(self.machine.run("dig @127.0.0.1 +tries=1 +time=1 a.example", check=False).returncode, 9)

    def purged(self):
        self.says("dpkg --purge dnsgate")
        left = self.says("find /etc /usr/bin /usr/lib /usr/share /lib/systemd /var/lib -xdev -iname '*dnsgate*' 2>/dev/null || true")
        self.assertEqual(left, "")


if __name__ == "__main__":
    unittest.main()
