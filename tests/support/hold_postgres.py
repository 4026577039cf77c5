"""Runs an embedded server until stdin ends: `python -m tests.support.hold_postgres FOLDER`.

Prints one JSON line once the server is ready. Tests kill this process to see what stays behind.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from services.cli.postgres import PostgresServer, PostgresSettings


def main() -> None:
    folder, account = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    with PostgresServer(PostgresSettings(folder, account=account)) as server:
        assert server.process is not None
        print(json.dumps({"dsn": server.dsn, "pid": server.process.pid}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
