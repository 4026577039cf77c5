from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.service_table import SERVICES
from services.cli.stack_settings import StackSettings
from services.runtime import tracing
from tests.support.documents import README, README_PT, named_rows
from tests.support.settings_read import (
    REQUIRED,
    readers,
    reads_alike,
    variables_asked_for,
    variables_named,
)

OTEL = {*tracing.ENDPOINTS, *tracing.PROTOCOLS, "OTEL_SDK_DISABLED"}
ROWS = list(named_rows(README, r"(?:ETAPA|RUNNINGHUB|OTEL)_[A-Z0-9_]+"))
DEFAULTS = [(name, row[1].strip("`")) for name, row in ROWS if row[1].startswith("`")]
# Their default is what another variable says, or what tracing does without them.
NOT_READ_ALIKE = OTEL | {"ETAPA_WEBHOOK_PUBLIC_URL", "ETAPA_LOG_LEVEL", "ETAPA_INSECURE_BIND"}


def read_by_the_code() -> set[str]:
    return variables_asked_for() | variables_named() | OTEL


def test_every_service_with_settings_is_looked_at() -> None:
    modules = {name.rsplit(".", 1)[0] for name in readers()}
    for service in SERVICES:
        assert f"services.{service.name}.settings" in modules
    assert f"{StackSettings.__module__}.StackSettings" in readers()


@pytest.mark.parametrize("readme", [README, README_PT], ids=["en", "pt"])
def test_every_variable_that_the_code_reads_is_in_the_readme(readme: Path) -> None:
    told = {name for name, _ in named_rows(readme, r"(?:ETAPA|RUNNINGHUB|OTEL)_[A-Z0-9_]+")}
    assert read_by_the_code() - told == set()


def test_all_services_keep_their_blobs_in_the_same_place() -> None:
    base = {**REQUIRED, "ETAPA_HOME": "/srv/etapa"}
    places = {getattr(read(base), "blobs", "/srv/etapa/blobs") for read in readers().values()}
    assert places == {"/srv/etapa/blobs"}


@pytest.mark.parametrize("readme", [README, README_PT], ids=["en", "pt"])
def test_every_variable_in_the_readme_is_read_by_the_code(readme: Path) -> None:
    told = {name for name, _ in named_rows(readme, r"(?:ETAPA|RUNNINGHUB|OTEL)_[A-Z0-9_]+")}
    assert told - read_by_the_code() == set()


def test_no_variable_is_told_twice() -> None:
    names = [name for name, _ in ROWS]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(("name", "default"), DEFAULTS, ids=[name for name, _ in DEFAULTS])
def test_a_default_in_the_readme_is_what_the_code_does_without_it(name: str, default: str) -> None:
    if name in NOT_READ_ALIKE:
        return
    assert reads_alike(default, name) == []


def test_both_readmes_tell_the_same_defaults() -> None:
    portuguese = {name: row[1] for name, row in named_rows(README_PT, r"[A-Z][A-Z0-9_]+")}
    for name, row in ROWS:
        if row[1].startswith("`"):
            assert portuguese[name] == row[1]
