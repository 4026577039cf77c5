"""What every test may ask for: one real Postgres for the run, a fresh database for each test.

Under xdist the controller owns the server and hands its address to the workers; so one server
serves the run, and it ends with the run however the run ends.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from services.cli.postgres import PostgresServer
from tests.support.postgres import (
    MakeDatabase,
    chosen_binaries,
    create_database,
    drop_database,
    start_server,
    stop_server,
)

_SERVER = pytest.StashKey[PostgresServer]()


def pytest_configure() -> None:
    """Hear Ctrl-C, and let the processes that tests start hear it.

    A shell starts a background command with SIGINT ignored, and every child inherits that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """Say which PostgreSQL the tests run on: of the wheel, or of ETAPA_TEST_POSTGRES_BIN."""
    try:
        binaries = chosen_binaries()
    except RuntimeError as error:
        return f"postgres: {error}"
    return f"postgres: {binaries.version} ({binaries.source})"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the run's server to an xdist worker."""
    node.workerinput["postgres_dsn"] = _server(node.config).dsn


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End the run's server, if a test asked for it."""
    server = config.stash.get(_SERVER, None)
    if server is not None:
        stop_server(server)


@pytest.fixture(scope="session")
def postgres_dsn(request: pytest.FixtureRequest) -> str:
    """Return the address of the run's embedded server."""
    handed = getattr(request.config, "workerinput", {}).get("postgres_dsn")
    return handed or _server(request.config).dsn


@pytest.fixture
async def make_database(postgres_dsn: str) -> AsyncIterator[MakeDatabase]:
    """Return a function that makes a fresh database: `await make_database(["queue"])` → DSN."""
    made: list[str] = []

    async def make(schemas: Sequence[str]) -> str:
        made.append(await create_database(postgres_dsn, schemas))
        return made[-1]

    yield make
    for dsn in made:
        await drop_database(dsn)


@pytest.fixture
async def database(make_database: MakeDatabase) -> str:
    """Return the DSN of a fresh, empty database."""
    return await make_database([])


def _server(config: pytest.Config) -> PostgresServer:
    if _SERVER not in config.stash:
        config.stash[_SERVER] = start_server()
    return config.stash[_SERVER]
