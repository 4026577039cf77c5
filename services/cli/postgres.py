"""Runs one embedded PostgreSQL server in a folder of the project, as a child of this process.

It is durable always (fsync and synchronous_commit are on and checked), reachable only through
a socket inside its own folder, or over loopback with a password where that path is too long for
a socket, and it shuts down cleanly when this process ends, even by `kill -9`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TextIO, TypeVar

from services.cli.child import Identity, launch_command, spawn
from services.cli.folder_lock import open_folder, take_lock
from services.cli.postgres_binaries import Binaries, PostgresError, find_binaries
from services.cli.postgres_facts import ensure_database, read_facts
from services.cli.postgres_identity import choose_identity, give_folder
from services.cli.postgres_reach import (
    DATABASE,
    USER,
    free_port,
    reach_options,
    server_dsn,
    socket_fits,
)
from services.cli.postgres_remnants import clear_remnants, read_pid_file
from services.cli.secret_file import write_secret
from services.cli.service_log import last_lines
from services.runtime.settings import Env

T = TypeVar("T")
_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class PostgresSettings:
    """Where the embedded server lives and how long it may take to come and go.

    `account` is used as root only, in place of a user namespace.
    """

    folder: Path
    log: Path | None = None
    bin_folder: Path | None = None
    account: str = ""
    start_timeout_s: float = 120.0
    stop_timeout_s: float = 60.0

    @classmethod
    def from_env(cls, values: Mapping[str, str], home: Path) -> PostgresSettings:
        """Read ETAPA_POSTGRES_*; `home` is the project's folder for all that Etapa keeps."""
        env = Env(values)
        bin_folder = env.text("ETAPA_POSTGRES_BIN_FOLDER")
        settings = cls(
            folder=Path(env.text("ETAPA_POSTGRES_FOLDER", str(home / "postgres"))).absolute(),
            bin_folder=Path(bin_folder).absolute() if bin_folder else None,
            account=env.text("ETAPA_POSTGRES_ACCOUNT"),
            start_timeout_s=env.number("ETAPA_POSTGRES_START_TIMEOUT_S", 120, low=1),
            stop_timeout_s=env.number("ETAPA_POSTGRES_STOP_TIMEOUT_S", 60, low=1),
        )
        env.finish()
        return settings


class PostgresServer:
    """The server of one folder. At most one object, in any process, holds a folder at a time.

    >>> with PostgresServer(PostgresSettings(Path(".etapa/postgres"))) as server:
    ...     server.dsn
    'postgresql://etapa@/etapa?host=...'
    """

    def __init__(self, settings: PostgresSettings) -> None:
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None
        self.notes: list[str] = []
        self._lock: TextIO | None = None
        self._ready_to_spawn: tuple[Binaries, Identity] | None = None
        self._port: int | None = None
        # prepare() may still run in a thread when stop() is called: the folder is given free
        # only after it.
        self._busy = threading.Lock()

    @property
    def folder(self) -> Path:
        """Return the one folder that this server ever touches."""
        return self.settings.folder

    @property
    def data(self) -> Path:
        """Return PGDATA."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """Return the file that the server's own log goes to."""
        return self.settings.log or self.folder / "postgres.log"

    @property
    def dsn(self) -> str:
        """Return the address for asyncpg and psql; it stays the same over restarts."""
        return server_dsn(self.folder, self._port)

    def start(self) -> str:
        """Bring the server up and return its DSN. Blocks; never call it from a thread pool."""
        try:
            self.prepare()
            self.spawn()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self.dsn

    def prepare(self) -> None:
        """Take the folder, clear what a killed run left there, make the data on first use."""
        with self._busy:
            self._prepare()

    def _prepare(self) -> None:
        self._take_folder()
        self.notes = clear_remnants(self.data, self.settings.stop_timeout_s)
        binaries = find_binaries(self.settings.bin_folder, data_major(self.folder))
        identity = choose_identity(self.folder, binaries, self.settings.account)
        if not (self.data / "PG_VERSION").is_file():
            self._make_data(binaries, identity)
        (self.folder / "socket").mkdir(mode=0o700, exist_ok=True)
        give_folder(self.folder, identity)
        self._choose_port()
        self._ready_to_spawn = (binaries, identity)

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the server process. Does not block, so the event loop's thread may call it."""
        if self._ready_to_spawn is None:
            raise RuntimeError("prepare() comes before spawn()")
        binaries, identity = self._ready_to_spawn
        self.process = spawn(
            [binaries.path("postgres"), "-D", str(self.data), *self._options()],
            env=server_env(),
            log=self.log,
            # SIGINT is PostgreSQL's clean, fast shutdown: so ends the server of a killed parent.
            death_signal=signal.SIGINT,
            identity=identity,
            folder=self.folder,
        )
        return self.process

    def wait_ready(self) -> None:
        """Block until the server takes work, durably, and its database exists."""
        until = time.monotonic() + self.settings.start_timeout_s
        while not self.is_ready():
            self._check_alive(until)
            time.sleep(_POLL_S)
        _run_apart(ensure_database(self.dsn, DATABASE))
        facts = _run_apart(read_facts(self.dsn, DATABASE))
        if facts.warnings:
            raise PostgresError("The embedded server is not durable: " + " ".join(facts.warnings))

    def is_ready(self) -> bool:
        """Tell whether the server says of itself that it takes connections."""
        lines = read_pid_file(self.data)
        mine = self.process is not None and lines[:1] == [str(self.process.pid)]
        return mine and len(lines) > 7 and lines[7] == "ready"

    def stop(self) -> None:
        """End the server, cleanly if it can be, and give the folder free. Harmless twice."""
        if self.process is not None:
            self._end(self.process)
            self.process = None
        with self._busy:
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _take_folder(self) -> None:
        if self._lock is not None:
            return
        open_folder(self.folder, "ETAPA_POSTGRES_FOLDER", 0o700)
        self._lock = take_lock(self.folder, "ETAPA_POSTGRES_FOLDER")

    def _make_data(self, binaries: Binaries, identity: Identity) -> None:
        password = self.folder / "password"
        write_secret(password, secrets.token_urlsafe(24))
        partial = self.folder / "data.partial"
        shutil.rmtree(partial, ignore_errors=True)
        give_folder(self.folder, identity)
        command = [
            *(binaries.path("initdb"), "--pgdata", str(partial), "--username", USER),
            *("--locale=C.UTF-8", "--encoding=UTF8", "--no-instructions", f"--pwfile={password}"),
            *("--auth-local=trust", "--auth-host=scram-sha-256"),
        ]
        done = subprocess.run(  # noqa: S603 - our own command line, no shell
            launch_command(command, signal.SIGKILL, identity, self.folder),
            env=server_env(),
            capture_output=True,
            text=True,
            timeout=self.settings.start_timeout_s,
            check=False,
        )
        if done.returncode != 0:
            raise PostgresError(f"initdb failed in {self.folder}: {(done.stderr or '').strip()}")
        partial.rename(self.data)  # all or nothing: a killed initdb leaves no half data folder

    def _choose_port(self) -> None:
        if socket_fits(self.folder):
            self._port = None
        elif self._port is None:
            self._port = free_port()

    def _options(self) -> list[str]:
        options = {**reach_options(self.folder, self._port), **SERVER_OPTIONS}
        return [f"--{name}={value}" for name, value in options.items()]

    def _check_alive(self, until: float) -> None:
        assert self.process is not None  # noqa: S101 - spawn() came first
        if self.process.poll() is not None:
            raise PostgresError(f"PostgreSQL did not start: {last_lines(self.log)}")
        if time.monotonic() > until:
            raise PostgresError(
                f"PostgreSQL was not ready after {self.settings.start_timeout_s:g} s (raise "
                f"ETAPA_POSTGRES_START_TIMEOUT_S if it recovers): {last_lines(self.log)}"
            )

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        for signal_, patience_s in (
            (signal.SIGINT, self.settings.stop_timeout_s),
            (signal.SIGQUIT, 5.0),
            (signal.SIGKILL, 5.0),
        ):
            process.send_signal(signal_)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience_s)
                break
        clear_remnants(self.data, self.settings.stop_timeout_s)


# On the command line, where neither postgresql.conf nor ALTER SYSTEM can undo them.
SERVER_OPTIONS: Final[Mapping[str, str]] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "wal_buffers": "16MB",
    "wal_compression": "on",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    # Short statements only; and a container's small /dev/shm is not for parallel workers.
    "max_parallel_workers_per_gather": "0",
    # Hot tables are small and turn over fast (outbox, slots): look at them often.
    "autovacuum_naptime": "10s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
}


def data_major(folder: Path) -> int | None:
    """Return the major version of the data in `folder`, or nothing where there is no data."""
    try:
        return int((folder / "data" / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None


def server_env() -> dict[str, str]:
    """Return the whole environment of the server: nothing of ours leaks into it."""
    return {"PATH": os.defpath, "LANG": "C.UTF-8", "TZ": "UTC"}


def _run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from blocking code, whether or not a loop runs around it."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
