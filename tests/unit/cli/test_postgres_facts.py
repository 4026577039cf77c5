from __future__ import annotations

import pytest

from services.cli.postgres_binaries import PostgresError
from services.cli.postgres_facts import ServerFacts


def facts(version: int = 180004, fsync: str = "on", commit: str = "on") -> ServerFacts:
    return ServerFacts(version, fsync, commit, has_database=True)


@pytest.mark.parametrize("commit", ["on", "remote_write", "remote_apply", "local"])
def test_a_server_that_flushes_before_it_acknowledges_is_durable(commit: str) -> None:
    assert facts(commit=commit).warnings == []


def test_each_setting_that_endangers_work_has_its_own_sentence() -> None:
    first, second = facts(fsync="off", commit="off").warnings
    assert "fsync" in first
    assert "synchronous_commit" in second


def test_a_server_older_than_our_sql_is_refused() -> None:
    facts(version=140000).check_version()
    with pytest.raises(PostgresError, match="PostgreSQL 13; 14 or newer"):
        facts(version=130022).check_version()
