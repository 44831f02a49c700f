"""What stands in for the Spark operator's webhook in the clusters of the tests: it admits everything.

python -m tests.doctor.operator PORT CERTIFICATE KEY
"""

from __future__ import annotations

import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Admit(BaseHTTPRequestHandler):
    """Answers reviews with "allowed", and everything else with 404."""

    def do_GET(self) -> None:
        """Know no other path."""
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Admit."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        review = json.loads(body)
        review["response"] = {"uid": review.pop("request")["uid"], "allowed": True}
        answer = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def main(port: str, certificate: str, key: str) -> None:
    """Serve until killed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("0.0.0.0", int(port)), Admit)  # noqa: S104 - a Pod's own network
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
