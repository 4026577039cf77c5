"""`etapa psql`: a SQL prompt, or one statement, on whatever database is in use."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from services.cli.errors import CliError
from services.cli.postgres import PostgresServer, PostgresSettings, data_major
from services.cli.postgres_binaries import PostgresError, find_binaries
from services.cli.postgres_reach import running_dsn
from services.cli.stack_settings import home_folder
from services.cli.surroundings import surroundings

_PASSED = ("TERM", "HOME", "PATH", "LANG", "LC_ALL", "PAGER", "EDITOR")


class SqlError(CliError):
    """The statement failed; the message is the server's."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(psql)


def psql(
    context: typer.Context,
    command: Annotated[
        list[str] | None, typer.Option("-c", "--command", help="run this SQL and end")
    ] = None,
) -> None:
    """Open psql on the database in use, or run SQL with -c."""
    env = surroundings(context).env
    with open_database(env) as dsn:
        code = run_sql(dsn, command or [], find_psql(env), env)
    raise typer.Exit(code)


@contextmanager
def open_database(env: Mapping[str, str]) -> Iterator[str]:
    """Give the DSN in use; an embedded server that is down is started for the time being."""
    settings = PostgresSettings.from_env(env, home_folder(env))
    dsn = env.get("ETAPA_DATABASE_URL", "").strip() or running_dsn(settings.folder)
    if dsn:
        yield dsn
    elif data_major(settings.folder) is None:
        raise PostgresError(
            f"There is no database yet in {settings.folder}. `make up` makes it, or set "
            "ETAPA_DATABASE_URL to one of yours."
        )
    else:
        with PostgresServer(settings) as server:
            yield server.dsn


def find_psql(env: Mapping[str, str]) -> str | None:
    """Return the psql to use: the one beside the server's programs, else one on the PATH."""
    settings = PostgresSettings.from_env(env, home_folder(env))
    try:
        beside = find_binaries(settings.bin_folder).path("psql")
    except PostgresError:
        beside = ""
    return beside if os.access(beside, os.X_OK) else shutil.which("psql")


def run_sql(dsn: str, commands: Sequence[str], program: str | None, env: Mapping[str, str]) -> int:
    """Run psql, or print tables ourselves where there is none; return the exit code."""
    if program is None:
        if not commands:
            raise SqlError("There is no psql here for a prompt; give the SQL with -c.")
        asyncio.run(_print_tables(dsn, commands))
        return 0
    parts = urlsplit(dsn)
    plain = urlunsplit(parts._replace(netloc=_without_password(parts.netloc)))
    arguments = [part for command in commands for part in ("--command", command)]
    if commands:
        arguments.append("--no-psqlrc")
    own = {name: env[name] for name in _PASSED if name in env}
    if parts.password:  # not on the command line, where every user of the machine reads it
        own["PGPASSWORD"] = unquote(parts.password)
    # Ctrl-C is psql's: a handler that does nothing is not inherited, an ignored signal would be.
    before = signal.signal(signal.SIGINT, lambda _signal, _frame: None)
    try:
        return subprocess.call(  # noqa: S603 - no shell; the SQL is the person's own
            [program, "--set", "ON_ERROR_STOP=1", plain, *arguments], env=own
        )
    finally:
        signal.signal(signal.SIGINT, before)


async def _print_tables(dsn: str, commands: Sequence[str]) -> None:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        for command in commands:
            statement = await connection.prepare(command)
            rows = await statement.fetch()
            names = [attribute.name for attribute in statement.get_attributes()]
            _print_table(names, rows, statement.get_statusmsg() or "")
    except asyncpg.PostgresError as error:
        raise SqlError(f"{type(error).__name__}: {error}") from error
    finally:
        await connection.close()


def _print_table(names: Sequence[str], rows: Sequence[asyncpg.Record], status: str) -> None:
    console = Console()
    if not names:
        console.print(Text(status))
        return
    table = Table(*(escape(name) for name in names), box=box.ASCII2)
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    console.print(table)


def _without_password(netloc: str) -> str:
    login, at, host = netloc.rpartition("@")
    return f"{login.partition(':')[0]}{at}{host}"
