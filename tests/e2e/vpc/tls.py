"""The test's own authority and its certificates, made anew for each run, and servers that show them."""

import http.server
import os
import ssl
import subprocess

# Whom the workload would trust on the internet, by name and by address, so that no leak fails for its certificate.
INTERNET = ["DNS:www.example.com", "DNS:dns.google", "DNS:cloudflare-dns.com", "DNS:dns.quad9.net"]
GOOGLE = ["DNS:*.googleapis.com", "DNS:*.gcr.io", "DNS:*.pkg.dev", "DNS:*.run.app"]
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]


def request(where, name, subject, *more):
    """Makes NAME.pem and NAME.key."""
    files = ["-keyout", os.path.join(where, f"{name}.key"), "-out", os.path.join(where, f"{name}.pem")]
    command = ["openssl", "req", "-x509", *KEY, "-subj", f"/CN={subject}", *files, *more]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)


def make(where, addresses):
    """Makes the authority (ca.pem), and certificates for Google's host and the internet's; returns the authority's."""
    request(where, "ca", "The test's own authority", "-addext", "keyUsage=critical,keyCertSign")
    authority = ["-CA", os.path.join(where, "ca.pem"), "-CAkey", os.path.join(where, "ca.key")]
    names = {"google": GOOGLE, "internet": INTERNET + [f"IP:{address}" for address in addresses]}
    for name, alternatives in names.items():
        extensions = [f"subjectAltName={','.join(alternatives)}", "basicConstraints=critical,CA:FALSE"]
        request(where, name, name, *authority, *(word for one in extensions for word in ("-addext", one)))
    return os.path.join(where, "ca.pem")


class Server(http.server.ThreadingHTTPServer):
    """HTTPS. The handshake is the connection's own thread's, lest a client that does not speak holds up the rest."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address, handler, certificate):
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(f"{certificate}.pem", f"{certificate}.key")
        super().__init__(address, handler)

    def get_request(self):
        """A connection, with its handshake still to come."""
        connection, address = super().get_request()
        connection.settimeout(30)
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request, client_address):
        """A client that hangs up is no news."""
