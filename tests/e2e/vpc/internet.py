"""The internet: it answers at every address, so that whatever gets out of the VPC has found what it looked for.

DNS over UDP and TCP, TLS and HTTPS; web pages over both kinds of HTTP. Every name that somebody asks for has the web
site's address.
"""

import base64
import contextlib
import http.server
import socket
import socketserver
import struct
import sys
import threading
import urllib.parse

import tls
from plan import WEBSITE

TYPE_A, TYPE_TXT = 1, 16


def reply_to(query):
    """The reply to a DNS query: the web site for A, some text for TXT, nothing for other types."""
    end = query.index(0, 12) + 5
    kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
    data = {TYPE_A: socket.inet_aton(WEBSITE), TYPE_TXT: b"\x06leaked"}.get(kind, b"")
    answer = struct.pack("!3HIH", 0xC00C, kind, 1, 60, len(data)) + data if data else b""
    return query[:2] + struct.pack("!5H", 0x8180, 1, bool(answer), 0, 0) + query[12:end] + answer


def serve_datagrams():
    """DNS over UDP, at each address that is asked: the reply leaves from there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
        sock.bind(("0.0.0.0", 53))
        while True:
            query, ancillary, _, client = sock.recvmsg(4096, 64)
            with contextlib.suppress(ValueError, struct.error):  # no query
                sock.sendmsg([reply_to(query)], ancillary, 0, client)


def serve_quic(port):
    """QUIC: to a long header of whatever version the versions that are spoken (RFC 9000 section 17.2.1)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
        sock.bind(("0.0.0.0", port))
        while True:
            packet, ancillary, _, client = sock.recvmsg(4096, 64)
            if len(packet) >= 1200 and packet[0] & 0x80:
                ids = packet[5:]
                mine, rest = ids[1 : 1 + ids[0]], ids[1 + ids[0] :]
                theirs = rest[1 : 1 + rest[0]]
                head = b"\x80\0\0\0\0" + bytes([len(theirs)]) + theirs + bytes([len(mine)]) + mine
                sock.sendmsg([head + b"\0\0\0\1"], ancillary, 0, client)


class Stream(socketserver.StreamRequestHandler):
    """DNS over TCP or TLS: one connection."""

    def handle(self):
        """Every query of it."""
        while len(size := self.rfile.read(2)) == 2:
            reply = reply_to(self.rfile.read(*struct.unpack("!H", size)))
            self.wfile.write(struct.pack("!H", len(reply)) + reply)


class Page(http.server.BaseHTTPRequestHandler):
    """A web page, or DNS over HTTPS."""

    def answer(self, query):
        """With `query`, the DNS message that was asked, its answer; without, a page."""
        body = reply_to(query) if query else b"This is the internet.\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/dns-message" if query else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        """RFC 8484 puts the message into the address."""
        value = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("dns", [""])[0]
        self.answer(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))

    def do_POST(self):
        """And into the body."""
        self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))


class Plain(socketserver.ThreadingTCPServer):
    """A server without TLS."""

    daemon_threads = True
    request_queue_size = 64


def main():
    """Serves until it is ended."""
    everywhere, certificate = "0.0.0.0", sys.argv[1]
    servers = [
        Plain((everywhere, 53), Stream),
        Plain((everywhere, 80), Page),
        tls.Server((everywhere, 443), Page, certificate),
        tls.Server((everywhere, 853), Stream, certificate),
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Thread(target=serve_datagrams, daemon=True).start()
    for port in (443, 853):
        threading.Thread(target=serve_quic, args=[port], daemon=True).start()
    print("ready")
    threading.Event().wait()


main()
