"""A small real service for tests of the supervisor: `python -m tests.support.standin`.

Listens at the first ETAPA_*_LISTEN it is given and serves over HTTP: `/healthz`; `/env`, its
environment; `/log/N`, which writes N bytes to its log. STANDIN_FAIL makes it exit at once with
that text, STANDIN_DEAF makes it ignore SIGTERM, STANDIN_CHILD starts a child that outlives it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/log/"):
            print("x" * int(self.path.split("/")[2]), flush=True)
        body = json.dumps(dict(os.environ)).encode() if self.path == "/env" else b"ok"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Keep the log for what tests write."""


def end(*_: object) -> None:
    print("drained", flush=True)
    os._exit(0)


def main() -> None:
    if text := os.environ.get("STANDIN_FAIL"):
        sys.exit(text)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if os.environ.get("STANDIN_DEAF") else end)
    if os.environ.get("STANDIN_CHILD"):
        child = subprocess.Popen(["sleep", "600"])
        print(f"child {child.pid}", flush=True)
    listen = next(value for name, value in os.environ.items() if name.endswith("_LISTEN"))
    host, port = listen.split(":")
    HTTPServer((host, int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
