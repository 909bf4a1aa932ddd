"""Relays DNS over UDP from port 53 to 127.0.0.1:5300, and counts what arrives: `meter.py ADDRESS DOMAIN`.

On SIGUSR1 it prints, as JSON, the questions, the distinct names below the domain, and the bytes of their labels below it.
Names of tunnels are compared without regard to case, as DNS does.
"""

import json
import selectors
import signal
import socket
import sys

address, domain = sys.argv[1], sys.argv[2]
below = b"".join(bytes([len(label)]) + label.encode() for label in domain.split(".")) + b"\0"
names, questions, clients = set(), 0, {}


def show(*_):
    print(json.dumps({"questions": questions, "names": len(names), "bytes": sum(map(len, names))}), flush=True)


def name_below(packet):
    """The labels of the question's name below the domain, on the wire; None if it is of another."""
    at = 12
    while at < len(packet) and packet[at]:
        at += 1 + packet[at]
    name = packet[12 : at + 1].lower()
    return name[: -len(below)] if name.endswith(below) else None


signal.signal(signal.SIGUSR1, show)
front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
front.bind((address, 53))
poll = selectors.DefaultSelector()
poll.register(front, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in poll.select():
        if key.fileobj is front:
            packet, client = front.recvfrom(4096)
            name = name_below(packet)
            if name:
                questions += 1
                names.add(name)
            if client not in clients:
                if len(clients) > 200:
                    oldest = clients.pop(next(iter(clients)))
                    poll.unregister(oldest)
                    oldest.close()
                back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                back.connect(("127.0.0.1", 5300))
                poll.register(back, selectors.EVENT_READ, client)
                clients[client] = back
            try:
                clients[client].send(packet)
            except OSError:
                pass  # the tunnel's server has not started yet
        else:
            try:
                front.sendto(key.fileobj.recv(4096), key.data)
            except OSError:
                pass
