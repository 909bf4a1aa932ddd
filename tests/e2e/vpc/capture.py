"""Prints every IP packet that this host's link carries, one a line: `in` or `out`, addresses and ports.

A program of one purpose rather than tcpdump: it says when it listens, and on SIGTERM it prints what the kernel still
holds for it before it ends. So its absence of lines is an absence of packets.
"""

import contextlib
import signal
import socket
import struct

ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}


class Ended(Exception):
    """SIGTERM."""


def end(_number, _frame):
    """The handler of SIGTERM."""
    raise Ended


def line(packet, way):
    """What a packet says of itself, from its IP header on."""
    source, destination = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
    protocol = PROTOCOLS.get(packet[9], str(packet[9]))
    ports = packet[(packet[0] & 15) * 4 :]
    if protocol in ("tcp", "udp") and len(ports) >= 4:
        source_port, destination_port = struct.unpack("!2H", ports[:4])
        return f"{way} {protocol} {source} {source_port} > {destination} {destination_port}"
    return f"{way} {protocol} {source} > {destination}"


def print_packets(sock):
    """Prints until there is nothing to receive, or for ever."""
    while True:
        packet, (_, protocol, kind, *_) = sock.recvfrom(65535)
        # ARP is not on its way anywhere, and IPv6 is switched off on every host.
        if protocol == ETH_P_IP and len(packet) >= 20:
            print(line(packet, "out" if kind == socket.PACKET_OUTGOING else "in"))


def main():
    """Listens until SIGTERM."""
    signal.signal(signal.SIGTERM, end)
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as sock:
        sock.bind(("eth0", ETH_P_ALL))
        with contextlib.suppress(Ended):
            print("ready")
            print_packets(sock)
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            print_packets(sock)


main()
