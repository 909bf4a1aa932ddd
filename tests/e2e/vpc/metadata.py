"""The metadata server: the workload's project and its service account's token, to who asks as clients do."""

import http.server
import json

from plan import METADATA, PROJECT, TOKEN

ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default/"
EMAIL = f"workload@{PROJECT}.iam.gserviceaccount.com"
SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
PAGES = {
    "/": "computeMetadata/\n",
    "/computeMetadata/v1/project/project-id": PROJECT,
    ACCOUNT: json.dumps({"aliases": ["default"], "email": EMAIL, "scopes": SCOPES}),
    ACCOUNT + "email": EMAIL,
    ACCOUNT + "token": json.dumps({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"}),
}


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self):
        """The page; without the header nothing, so that no forged link in a browser can ask."""
        page = PAGES.get(self.path.partition("?")[0])
        asked_for = self.headers.get("Metadata-Flavor") == "Google"
        body = (page or "").encode()
        self.send_response(403 if not asked_for else 404 if page is None else 200)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", "application/json" if body.startswith(b"{") else "application/text")
        self.send_header("Content-Length", str(len(body) if asked_for else 0))
        self.end_headers()
        if asked_for:
            self.wfile.write(body)


def main():
    """Serves until it is ended."""
    with http.server.ThreadingHTTPServer((METADATA, 80), Handler) as server:
        print("ready")
        server.serve_forever()


main()
