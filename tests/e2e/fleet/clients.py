"""The clients of the fleet: `clients.py UDP-RATE TCP-RATE`, queries a second, whatever the answers do.

Each query is asked as a stub does behind Cloud DNS: a try waits four seconds, the time that Cloud DNS gives a target; then
the query is asked once more, from another port. Two tries without an answer: the query is lost. Every query over TCP has a
connection of its own; a refused or reset connection is a try without an answer and is waited for like silence.

Reads lines from standard input: `scene NAME POLICIES` (queries count for the scene in which they begin, and may be answered
by these policies) and `end`, after which it waits for what is still asked and prints one JSON object: each scene's numbers.
"""

import collections
import json
import os
import random
import resource
import select
import socket
import struct
import sys
import time

BALANCER = ("10.0.0.53", 53)
# Cloud DNS asks from many addresses; dnsgate limits the connections of each.
ADDRESSES = [f"35.199.192.{last}" for last in range(2, 34)]
TRY = 4.0  # seconds
TRIES = 2
SOCKETS = 256  # from which queries over UDP are sent
USES = 8  # of a socket, so that there are always new ports
BURST = 200  # queries that are sent at once when the machine was busy
# What each policy answers: an alias and two addresses, all three its own.
POLICIES = {letter: (letter.encode(), {bytes([10, at, 0, 1]), bytes([10, at, 0, 2])}) for at, letter in enumerate("ab", 1)}


def name_at(message, at):
    """The labels of a name, and where it ends."""
    labels, end = [], None
    while True:
        length = message[at]
        if length >= 0xC0:
            end = end or at + 2
            at = struct.unpack("!H", message[at : at + 2])[0] & 0x3FFF
        elif length == 0:
            return labels, end or at + 1
        else:
            labels.append(message[at + 1 : at + 1 + length])
            at += length + 1


def policy_of(reply):
    """The policy that a whole answer comes from, or None."""
    flags, _, answers = struct.unpack("!HHH", reply[2:8])
    if flags & 0x820F != 0x8000:  # a response, whole, NOERROR
        return None
    question, at = name_at(reply, 12)
    at += 4
    alias, addresses = None, set()
    for _ in range(answers):
        owner, at = name_at(reply, at)
        rtype, length = struct.unpack("!H6xH", reply[at : at + 10])
        at += 10
        if rtype == 5 and owner == question:
            alias = name_at(reply, at)[0]
        elif rtype == 1 and owner == alias:
            addresses.add(reply[at : at + length])
        else:
            return None
        at += length
    for letter, (label, own) in POLICIES.items():
        if alias and alias[0] == label and addresses == own:
            return letter
    return None


class Query:
    """A query, over all its tries."""

    __slots__ = ("scene", "packet", "began", "tries", "answered", "tcp")

    def __init__(self, scene, number, tcp):
        self.scene, self.tcp = scene, tcp
        # All names are equally long, so that equal answers have equal bytes.
        name = b"\x08n%07d\x05fleet\x04test\0" % (number % 10_000_000)
        self.packet = b"\x01\0\0\x01\0\0\0\0\0\0" + name + b"\0\x01\0\x01"
        self.began, self.tries, self.answered = time.monotonic(), 0, False


class Scene:
    """What happened to the queries that began in it."""

    def __init__(self, name, policies):
        self.name, self.policies = name, policies
        self.queries = self.again = self.lost = self.wrong = 0
        self.slowest = 0.0
        self.by_policy = collections.Counter()

    def numbers(self):
        """For the report."""
        keys = ("name", "queries", "again", "lost", "wrong", "slowest")
        return {key: getattr(self, key) for key in keys} | {"by_policy": dict(self.by_policy)}


class Clients:
    """All clients, in one loop."""

    def __init__(self, rates):
        self.rates = rates  # over UDP, over TCP
        self.poll = select.epoll()
        self.sockets = collections.deque()
        self.files = {}  # the same and the retired ones, by file number
        self.retired = collections.deque()  # (when, socket)
        self.waiting = {}  # (file, id): query over UDP
        self.streams = {}  # file: [socket, query, id, received]
        self.tries = collections.deque()  # (when it ends, query, key)
        self.scenes = []
        self.known = {}  # what was judged before: bytes of an answer after the id
        self.sent = [0, 0]
        self.number = self.uses = 0
        self.begun = None
        self.ending = False
        os.set_blocking(0, False)
        self.poll.register(0, select.EPOLLIN)
        for _ in range(SOCKETS):
            self.open()

    def open(self):
        """Adds a socket, and with it a port."""
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        made.bind((random.choice(ADDRESSES), 0))
        self.poll.register(made, select.EPOLLIN)
        self.sockets.append(made)
        self.files[made.fileno()] = made

    def renew(self, now):
        """Replaces the oldest socket; what was asked from it may still be answered."""
        self.open()
        self.retired.append((now + TRY + 1, self.sockets.popleft()))
        while self.retired and self.retired[0][0] < now:
            old = self.retired.popleft()[1]
            del self.files[old.fileno()]
            self.poll.unregister(old)
            old.close()

    def ask(self, query, now):
        """Sends a try."""
        query.tries += 1
        number = random.getrandbits(16)
        packet = struct.pack("!H", number) + query.packet
        if query.tcp:
            stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            stream.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            stream.bind((random.choice(ADDRESSES), 0))
            stream.connect_ex(BALANCER)
            key = stream.fileno()
            self.streams[key] = [stream, query, packet, b""]
            self.poll.register(stream, select.EPOLLOUT)
            key = (key, stream)
        else:
            self.uses += 1
            if self.uses % USES == 0:
                self.renew(now)
            sender = self.sockets[0]
            self.sockets.rotate(-1)
            key = (sender.fileno(), number)
            self.waiting[key] = query
            try:
                sender.sendto(packet, BALANCER)
            except OSError:
                pass  # a try without an answer
        self.tries.append((now + TRY, query, key))

    def begin(self, now):
        """Begins the queries that are due."""
        for tcp, rate in enumerate(self.rates):
            due = min(int((now - self.begun) * rate) - self.sent[tcp], BURST)
            for _ in range(due):
                self.number += 1
                query = Query(self.scenes[-1], self.number, bool(tcp))
                query.scene.queries += 1
                self.ask(query, now)
            self.sent[tcp] += max(due, 0)

    def answer(self, query, reply, now):
        """Takes a reply to a query."""
        if query.answered:
            return
        query.answered = True
        if reply[2 + 10 : 2 + 10 + len(query.packet) - 10] != query.packet[10:]:
            query.scene.wrong += 1
            return
        rest = reply[2:4] + reply[6 : 12] + reply[len(query.packet) + 2 :]
        if rest not in self.known:
            self.known[rest] = policy_of(reply)
        policy = self.known[rest]
        query.scene.by_policy[policy or "neither"] += 1
        # A scene may have ended while a query of it waited.
        if policy is None or policy not in query.scene.policies + self.scenes[-1].policies:
            query.scene.wrong += 1
        query.scene.slowest = max(query.scene.slowest, now - query.began)

    def expire(self, now):
        """Ends the tries whose time is over."""
        while self.tries and self.tries[0][0] <= now:
            _, query, key = self.tries.popleft()
            if query.tcp:
                held = self.streams.get(key[0])
                if held and held[0] is key[1]:
                    self.close(key[0])
            elif self.waiting.get(key) is query:
                del self.waiting[key]
            if query.answered:
                continue
            if query.tries < TRIES:
                query.scene.again += 1
                self.ask(query, now)
            else:
                query.scene.lost += 1

    def close(self, key):
        """Ends a connection."""
        stream = self.streams.pop(key)[0]
        self.poll.unregister(stream)
        stream.close()

    def stream(self, key, events, now):
        """Goes on with a connection."""
        held = self.streams[key]
        stream, query, packet, received = held
        try:
            if events & select.EPOLLOUT and received == b"" and packet:
                stream.send(struct.pack("!H", len(packet)) + packet)
                held[2] = b""
                self.poll.modify(stream, select.EPOLLIN)
                return
            part = stream.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            self.close(key)
            return
        held[3] = received + part
        if len(held[3]) >= 2 and len(held[3]) >= 2 + struct.unpack("!H", held[3][:2])[0]:
            self.close(key)
            self.answer(query, held[3][2:], now)

    def datagrams(self, sender, now):
        """Reads what has come to a socket."""
        receiver = self.files[sender]
        while True:
            try:
                reply = receiver.recv(2048)
            except (BlockingIOError, ConnectionError):
                return
            query = self.waiting.pop((sender, struct.unpack("!H", reply[:2])[0]), None) if len(reply) > 12 else None
            if query:
                self.answer(query, reply, now)

    def commands(self):
        """Reads what standard input says; its end is the end of everything."""
        said = os.read(0, 4096)
        for line in said.decode().splitlines() if said else ["end"]:
            word, *rest = line.split()
            if word == "scene":
                self.scenes.append(Scene(*rest))
                self.begun = self.begun or time.monotonic()
            else:
                self.ending = True
                self.poll.unregister(0)

    def run(self):
        """Asks until it is told to end."""
        while not (self.ending and not self.tries):
            events = self.poll.poll(0.002)
            now = time.monotonic()
            for file, what in events:
                if file == 0:
                    self.commands()
                elif file in self.streams:
                    self.stream(file, what, now)
                else:
                    self.datagrams(file, now)
            if self.scenes and not self.ending:
                self.begin(now)
            self.expire(now)


def main():
    """Runs the clients and prints their numbers."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients = Clients([float(rate) for rate in sys.argv[1:]])
    clients.run()
    print(json.dumps([scene.numbers() for scene in clients.scenes]), flush=True)


if __name__ == "__main__":
    main()
