"""How an embedded server is reached: a socket in its own folder, or loopback with a password."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final
from urllib.parse import quote

from services.cli.postgres_remnants import read_pid_file, server_processes

USER: Final = "etapa"
DATABASE: Final = "etapa"
SOCKET_PATH_BYTES: Final = 107  # sun_path of unix(7) is 108 with its closing NUL
SOCKET_PORT: Final = 5432  # only part of the socket's file name


def socket_fits(folder: Path) -> bool:
    """Tell whether the server's socket path in `folder` is short enough to be bound."""
    path = folder / "socket" / f".s.PGSQL.{SOCKET_PORT}"
    return len(os.fsencode(path)) <= SOCKET_PATH_BYTES


def server_dsn(folder: Path, port: int | None) -> str:
    """Return the DSN of the server in `folder`; a `port` means loopback."""
    if port is None:
        return _socket_dsn(folder / "socket", SOCKET_PORT)
    return _tcp_dsn(port, folder)


def running_dsn(folder: Path) -> str | None:
    """Return the DSN of the server that runs in `folder` now, whoever started it."""
    lines = read_pid_file(folder / "data")
    if len(lines) < 8 or lines[7] != "ready" or not server_processes(folder / "data"):
        return None
    port, sockets = int(lines[3]), lines[4]
    return _socket_dsn(Path(sockets), port) if sockets else _tcp_dsn(port, folder)


def reach_options(folder: Path, port: int | None) -> dict[str, str]:
    """Return the server options that open that one way in and no other."""
    if port is None:
        return {
            "listen_addresses": "",
            "unix_socket_directories": str(folder / "socket"),
            "unix_socket_permissions": "0700",
            "port": str(SOCKET_PORT),
        }
    return {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "port": str(port)}


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _socket_dsn(folder: Path, port: int) -> str:
    return f"postgresql://{USER}@/{DATABASE}?host={quote(str(folder), safe='')}&port={port}"


def _tcp_dsn(port: int, folder: Path) -> str:
    password = quote((folder / "password").read_text().strip(), safe="")
    return f"postgresql://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"
