"""`etapa doctor`: what this machine has of what Etapa needs, and what to do about the rest."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from services.cli.addresses import taken_addresses
from services.cli.errors import CliError
from services.cli.postgres_binaries import PostgresError, find_binaries
from services.cli.postgres_facts import read_facts
from services.cli.postgres_identity import namespaces_work
from services.cli.postgres_reach import running_dsn, socket_fits
from services.cli.stack_settings import StackSettings
from services.cli.surroundings import surroundings

_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
_SECRETS = ("RUNNINGHUB_API_KEY", "ETAPA_QUEUE_ACCOUNTS")
_LEAST_FREE_BYTES = 2 * 1024**3


class Health(StrEnum):
    """How one finding stands."""

    OK = "ok"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    what: str
    health: Health
    text: str


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Look at this machine and say what is there and what is missing."""
    findings = list(examine(surroundings(context).env))
    for finding in findings:
        typer.echo(json.dumps(asdict(finding), ensure_ascii=False) if as_json else _line(finding))
    if any(finding.health is Health.BAD for finding in findings):
        raise typer.Exit(1)


def examine(env: Mapping[str, str]) -> Iterator[Finding]:
    """Yield everything worth a line, in the order of the start-up that it explains."""
    settings = StackSettings.from_env(env)
    yield _python()
    yield _folder(settings.home)
    if settings.database_url:
        yield from _database("your database", settings.database_url)
    else:
        yield from _embedded(settings)
    yield from _ports(settings)
    yield from _provider(env, settings)
    yield _chromium(env)


def _python() -> Finding:
    health = Health.OK if sys.version_info >= (3, 11) else Health.BAD
    return Finding("Python", health, f"{platform.python_version()} ({sys.executable})")


def _folder(home: Path) -> Finding:
    place = home
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    text = f"{home}, {free / 1024**3:.1f} GiB free"
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding("Folder", Health.BAD, f"{text}, but {place} cannot be written to")
    return Finding("Folder", Health.OK if free > _LEAST_FREE_BYTES else Health.NOTE, text)


def _embedded(settings: StackSettings) -> Iterator[Finding]:
    folder = settings.postgres.folder
    try:
        found = find_binaries(settings.postgres.bin_folder)
    except PostgresError as error:
        yield Finding("Postgres", Health.BAD, str(error))
        return
    yield Finding("Postgres", Health.OK, f"{found.version} ({found.source}, {found.folder})")
    if os.geteuid() == 0:
        works = namespaces_work()
        text = "user namespaces work" if works else "no user namespaces: an account runs Postgres"
        yield Finding("As root", Health.OK if works else Health.NOTE, text)
    if not socket_fits(folder):
        yield Finding("Socket", Health.NOTE, f"{folder} is too long for one: loopback is used")
    if dsn := running_dsn(folder):
        yield from _database("embedded database", dsn)
    else:
        yield Finding("Database", Health.NOTE, f"not running in {folder} (`make up` starts it)")


def _database(name: str, dsn: str) -> Iterator[Finding]:
    parts = urlsplit(dsn)
    place = f"{name} at {parts.hostname or 'its socket'}, {parts.path.lstrip('/')}"
    try:
        facts = asyncio.run(read_facts(dsn, parts.path.lstrip("/")))
    except CliError as error:
        yield Finding("Database", Health.BAD, str(error))
        return
    yield Finding("Database", Health.OK, f"{place}, PostgreSQL {facts.version // 10_000}")
    try:
        facts.check_version()
    except PostgresError as error:
        yield Finding("Database", Health.BAD, str(error))
    for warning in facts.warnings:
        yield Finding("Database", Health.BAD, warning)


def _ports(settings: StackSettings) -> Iterator[Finding]:
    taken = taken_addresses(settings.wanted_addresses())
    for name, address in taken.items():
        yield Finding("Port", Health.NOTE, f"{address} ({name}) is in use, perhaps by `etapa up`")
    if not taken:
        yield Finding("Ports", Health.OK, "all free")


def _provider(env: Mapping[str, str], settings: StackSettings) -> Iterator[Finding]:
    for name in _SECRETS:
        if value := env.get(name, "").strip():
            yield Finding("Key", Health.OK, f"{name} is set ({len(value)} characters)")
    if settings.has("emulator"):
        yield Finding("RunningHub", Health.NOTE, "the emulator (no RUNNINGHUB_API_KEY)")
    elif not settings.public_url:
        text = "the real one, without callbacks: ETAPA_PUBLIC_URL is not set, results are polled"
        yield Finding("RunningHub", Health.NOTE, text)
    else:
        yield Finding("RunningHub", Health.OK, f"the real one, callbacks to {settings.public_url}")


def _chromium(env: Mapping[str, str]) -> Finding:
    for name in _CHROMIUMS:
        if path := shutil.which(name, path=env.get("PATH")):
            return Finding("Chromium", Health.OK, path)
    return Finding("Chromium", Health.NOTE, "absent: only the browser tests need it")


def _line(finding: Finding) -> str:
    colours = {Health.OK: typer.colors.GREEN, Health.BAD: typer.colors.RED}
    mark = typer.style(f"{finding.health:<6}", fg=colours.get(finding.health))
    return f"{mark}{finding.what:<12}{finding.text}"
