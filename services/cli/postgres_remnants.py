"""Clears away what an earlier, killed run left of a server: processes and a stale pid file.

Called with the folder's lock held, so nobody else starts a server there meanwhile.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from services.cli.postgres_binaries import PostgresError

_POLL_S = 0.02
_GRACE_S = 5.0


def clear_remnants(data: Path, stop_timeout_s: float) -> list[str]:
    """Stop every server process that still works on `data`; return what was done, for the log.

    The postmaster gets a clean shutdown first. Backends whose postmaster was killed hold the
    shared memory and keep a new server from starting, so they go too.
    """
    done: list[str] = []
    main = read_pid(data)
    if main is not None and main in server_processes(data):
        done.append(f"stopped the server that an earlier run left behind (pid {main})")
        _signal([main], signal.SIGINT)
        _wait_until(lambda: main not in server_processes(data), stop_timeout_s)
    for signal_ in (signal.SIGQUIT, signal.SIGKILL):
        left = server_processes(data)
        if left:
            done.append(f"sent {signal_.name} to left-over server processes {sorted(left)}")
            _signal(left, signal_)
            _wait_until(lambda: not server_processes(data), _GRACE_S)
    if left := server_processes(data):
        raise PostgresError(f"Processes {sorted(left)} hold {data} and cannot be stopped.")
    return done + _drop_stale_pid_file(data)


def read_pid(data: Path) -> int | None:
    """Return the process id that the server's pid file names."""
    lines = read_pid_file(data)
    return int(lines[0]) if lines and lines[0].isdigit() else None


def read_pid_file(data: Path) -> list[str]:
    """Return postmaster.pid: pid, data, start, port, socket folder, address, memory, state."""
    try:
        return [line.strip() for line in (data / "postmaster.pid").read_text().splitlines()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def server_processes(data: Path) -> set[int]:
    """Return the ids of live PostgreSQL processes whose working folder is `data`.

    The server and its backends all change into the data folder; a reused process id does not
    pass for one.
    """
    if sys.platform != "linux":
        pid = read_pid(data)
        return {pid} if pid is not None and _is_postgres(pid) else set()
    with suppress(FileNotFoundError):
        wanted = data.resolve(strict=True)
        return {int(entry) for entry in os.listdir("/proc") if _works_on(entry, str(wanted))}
    return set()


def _works_on(entry: str, data: str) -> bool:
    if not entry.isdigit():
        return False
    try:
        if os.readlink(f"/proc/{entry}/cwd") != data:
            return False
        return Path(f"/proc/{entry}/comm").read_text().strip() == "postgres"
    except OSError:  # gone meanwhile, or another user's
        return False


def _is_postgres(pid: int) -> bool:
    shown = subprocess.run(  # noqa: S603 - fixed words and a number
        ["/bin/ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return Path(shown.stdout.strip()).name == "postgres"


def _drop_stale_pid_file(data: Path) -> list[str]:
    pid = read_pid(data)
    if pid is None or not _is_alive(pid):
        return []  # the server itself replaces the file of a dead process
    (data / "postmaster.pid").unlink()
    return [f"dropped a stale postmaster.pid: process {pid} is another program now"]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _signal(pids: Iterable[int], signal_: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal_)


def _wait_until(condition: Callable[[], bool], timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < until:
        time.sleep(_POLL_S)
