"""Google, as far as the restricted VIP shows it: a Cloud Storage emulator behind TLS on the VIP's four addresses.

In front of the emulator it does what the emulator leaves out and a client must get right: it wants the service account's
token, serves only names of Google's, and lists a bucket in pages.
"""

import http.server
import json
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

import tls
from gcp_storage_emulator.server import create_server
from plan import BUCKET, OBJECTS, PAGE, TOKEN, VIPS

EMULATOR = "http://127.0.0.1:9023"


def ask_emulator(path, data=None):
    """The emulator's answer: status and body."""
    try:
        with urllib.request.urlopen(EMULATOR + path, data) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def page_of(listing, query):
    """One page of a listing; its token is the index of the next object."""
    items = listing.pop("items", [])
    start = int(query.get("pageToken", ["0"])[0])
    end = start + min(PAGE, int(query.get("maxResults", [PAGE])[0]))
    if end < len(items):
        listing["nextPageToken"] = str(end)
    return listing | {"items": items[start:end]}


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        """Status and body."""
        if not self.headers.get("Host", "").endswith(".googleapis.com"):
            return 403, b'{"error": {"code": 403, "message": "not served by the restricted VIP"}}'
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, b'{"error": {"code": 401, "message": "no token, or not one of this project"}}'
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        status, body = ask_emulator(self.path)
        if status == 200 and url.path.endswith("/o"):
            body = json.dumps(page_of(json.loads(body), query)).encode()
        return status, body

    def do_GET(self):
        """Nothing else is asked."""
        status, body = self.answer()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET


def main():
    """Fills the bucket, and serves until it is ended."""
    with create_server("127.0.0.1", 9023, in_memory=True, default_bucket=BUCKET):
        for name in OBJECTS:
            query = urllib.parse.urlencode({"uploadType": "media", "name": name})
            status, body = ask_emulator(f"/upload/storage/v1/b/{BUCKET}/o?{query}", b"a,b\n")
            assert status == 200, body
        servers = [tls.Server((address, 443), Handler, sys.argv[1]) for address in VIPS]
        threads = [threading.Thread(target=server.serve_forever, daemon=True) for server in servers]
        for thread in threads:
            thread.start()
        print("ready")
        threads[0].join()


main()
