"""Plays an internal passthrough load balancer of Google Cloud: `balancer.py INTERVAL INSTANCE…`, on the host that routes.

As that one does, it keeps source and destination of every packet, chooses an instance by a hash of the 5-tuple, asks each
instance for /readyz, and gives new flows only to instances that answer 200 (to all, if none does). A TCP connection stays
with its instance as long as it lasts, also when the instance drains; each query over UDP has a port of its own, and with it
its own choice. When the set of instances changes, only the flows of the instance that left or came move.

It prints a line for each change: the instance's number, and `up` or `down`.
"""

import hashlib
import http.client
import subprocess
import sys
import threading
import time

BALANCER = "10.0.0.53"
SLOTS = 60  # of the hash; enough that three instances get nearly a third each
THRESHOLD = 2  # probes in a row that change an instance's state, the default of Google's health checks

# Flows of one packet each way would fill the kernel's table of connections, so queries over UDP are not in it. The chains stay
# when the rules change: between two chains a packet would find none.
RULES = """
table ip balancer {{
    chain untracked {{ type filter hook prerouting priority raw; }}
    chain choose {{ type filter hook prerouting priority mangle; }}
}}
flush chain ip balancer untracked
flush chain ip balancer choose
table ip balancer {{
    chain untracked {{
        ip daddr {address} meta l4proto udp notrack
        ip saddr {address} meta l4proto udp notrack
    }}
    chain choose {{
        ip daddr != {address} accept
        meta l4proto tcp ct mark != 0 meta mark set ct mark accept
        meta l4proto udp meta mark set jhash ip saddr . ip daddr . udp sport . udp dport mod {slots} seed 0x1 map {{ {map} }}
        meta l4proto tcp meta mark set jhash ip saddr . ip daddr . tcp sport . tcp dport mod {slots} seed 0x1 map {{ {map} }}
        meta l4proto tcp ct mark set meta mark
    }}
}}
"""


def weight(slot, number):
    """Of an instance for a slot; the one with the highest gets it. So a change of others does not move it."""
    return hashlib.sha256(f"{slot} {number}".encode()).digest()


def slots(numbers):
    """The instance of each slot."""
    return [max(numbers, key=lambda number: weight(slot, number)) for slot in range(SLOTS)]


class Balancer:
    """The state of all instances, and the rules that follow from it."""

    def __init__(self, interval, addresses):
        self.interval = interval
        self.addresses = addresses
        self.healthy = {number: False for number in range(1, len(addresses) + 1)}
        self.lock = threading.Lock()
        for number, address in enumerate(addresses, 1):
            table = str(100 + number)
            run("ip", "route", "add", "default", "via", address, "table", table)
            run("ip", "rule", "add", "fwmark", str(number), "lookup", table)
        self.apply()

    def apply(self):
        """Puts the rules in force, all at once."""
        numbers = [number for number, healthy in self.healthy.items() if healthy] or list(self.healthy)
        mapped = ", ".join(f"{slot} : {number}" for slot, number in enumerate(slots(numbers)))
        rules = RULES.format(address=BALANCER, slots=SLOTS, map=mapped)
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)

    def watch(self, number, address):
        """Probes an instance for ever."""
        against = 0  # probes in a row that contradict its state
        due = time.monotonic()
        while True:
            due += self.interval
            ready = self.is_ready(address)
            against = 0 if ready == self.healthy[number] else against + 1
            if against == THRESHOLD:
                against = 0
                with self.lock:
                    self.healthy[number] = ready
                    self.apply()
                    print(number, "up" if ready else "down", flush=True)
            time.sleep(max(0, due - time.monotonic()))

    def is_ready(self, address):
        """One probe; it may take as long as the interval."""
        connection = http.client.HTTPConnection(address, 9153, timeout=self.interval)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def run(*command):
    """Runs a command that must succeed."""
    subprocess.run(command, check=True)


def main():
    """Balances until it is ended."""
    interval, addresses = float(sys.argv[1]), sys.argv[2:]
    balancer = Balancer(interval, addresses)
    for number, address in enumerate(addresses, 1):
        threading.Thread(target=balancer.watch, args=(number, address), daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
