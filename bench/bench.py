"""One run: starts the servers, checks them, asks them in rounds, and stops them."""

import json
import os
import random
import subprocess

import peers as p
import workloads
from measure import LOAD_CORE, Server, ask, cpu, pin, resident

LOAD = os.path.abspath("target/load/release/load")


def say(text):
    print(f"-- {text}", flush=True)


class Bench:
    """One run of all selected workloads."""

    def __init__(self, options):
        self.options = options
        self.where = os.path.abspath("target/bench")
        self.servers = []
        self.samples = {}  # workload → server → list of samples
        self.about = {}  # server → its note and start figures
        self.problems = []
        self.fresh = random.randrange(2**24) << 8  # no cache has names of earlier runs

    def start(self, peer, questions, name=None, patience=20):
        """Starts a server and checks its answers; None if it does not answer correctly."""
        name = name or peer.label
        server = Server(peer, os.path.join(self.where, name.replace(" ", "-").replace(",", "")))
        self.servers.append(server)
        server.name = name
        first = next(question for question, rcode, _ in questions if rcode == 0 or len(questions) == 64)
        if not server.wait_until(first, patience):
            return self.drop(server, f"{name} did not answer within {patience} s; {server.where}/log may say why")
        if not isinstance(peer, p.Echo):
            for question in questions[:128]:
                if fault := wrong(server, question):
                    return self.drop(server, f"{name} is left out: {fault}")
        # These figures are those of the first start: the resident size is that of an idle server.
        # If another suite starts a server with the same name, they do not change.
        self.about.setdefault(name, {"note": peer.note, "resident_mib": resident(server.process.pid), "ready_s": server.ready})
        return server

    def drop(self, server, problem):
        self.problems.append(problem)
        say(problem)
        self.stop(server)

    def stop(self, server):
        server.stop()
        self.servers.remove(server)

    def stop_all(self):
        for server in list(self.servers):
            self.stop(server)

    def file(self, name, questions, answers=None):
        path = os.path.join(self.where, name)
        workloads.write(questions, path, answers)
        return path

    def sample(self, workload, server, file, extra=(), tcp=False, name=None):
        """One run of the generator against one server, recorded under the server's name or `name`; `extra` may be a
        function that returns the arguments for each run."""
        name = name or server.name
        extra = extra() if callable(extra) else extra
        command = self.command(server, file, extra, tcp)
        before = cpu(server.process.pid)
        run = subprocess.run(
            command, stdout=subprocess.PIPE, check=False, preexec_fn=pin(LOAD_CORE), timeout=self.options.seconds + 60
        )
        after = cpu(server.process.pid)
        if run.returncode:
            self.problems.append(f"{workload} of {name}: the generator failed")
            return
        result = json.loads(run.stdout)
        used = [end - begin for begin, end in zip(before, after)]
        answered = max(result["answered"], 1)
        result["qps"] = result["answered"] / result["seconds"]
        result["cpu_us"] = used[0] / answered * 1e6
        result["system_part"] = used[2] / (used[1] + used[2]) if used[1] + used[2] else None
        result["busy"] = used[0] / result["seconds"]
        result["resident_mib"] = resident(server.process.pid)
        self.samples.setdefault(workload, {}).setdefault(name, []).append(result)

    def command(self, server, file, extra=(), tcp=False):
        """The generator's command line."""
        command = [LOAD, "tcp" if tcp else "udp", f"127.0.0.1:{server.port}", file]
        return [*command, "--seconds", str(self.options.seconds), *map(str, extra)]

    def load(self, server, file, extra):
        """A run of the generator whose figures do not count."""
        command = self.command(server, file, extra)
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=pin(LOAD_CORE))

    def unheard_of(self):
        """The generator's option for names that were never asked for, with a new value each time."""
        self.fresh += 1
        return ["--fresh", self.fresh]

    def rounds(self, workload, runs):
        """Interleaved rounds: A B C A B C …, so that a disturbance of the machine affects all servers. `runs` is a
        list of (server, file, extra arguments, tcp)."""
        if workload in self.options.only:
            say(f"{workload}: {self.options.rounds} rounds of {self.options.seconds} s, {len(runs)} servers")
            for _ in range(self.options.rounds):
                for server, file, extra, tcp in runs:
                    self.sample(workload, server, file, extra, tcp)


def wrong(server, question):
    """What is wrong with a server's answer to a question, over UDP and TCP."""
    name, rcode, answers = question
    if answers == 5:
        answers = server.peer.answers
    addresses = workloads.VIPS if answers > 1 else [server.peer.address] if answers else []
    for tcp in [False, True] if server.peer.tcp else [False]:
        reply = ask(server.port, name, tcp=tcp) or b""
        got = (reply[3] & 15, int.from_bytes(reply[6:8], "big")) if len(reply) >= 12 else None
        if got != (rcode, answers) or any(address not in reply for address in addresses):
            return f"{name} over {'TCP' if tcp else 'UDP'} was answered with {got}, not {(rcode, answers)}"
    return None
