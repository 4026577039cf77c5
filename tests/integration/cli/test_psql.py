from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.cli.postgres import PostgresServer, PostgresSettings
from services.cli.postgres_remnants import server_processes
from services.cli.psql import SqlError, run_sql


def etapa(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_psql_runs_sql_on_the_database_of_the_url(database: str) -> None:
    done = etapa("psql", "-c", "SELECT 6 * 7 AS answer", ETAPA_DATABASE_URL=database)
    assert done.returncode == 0, done.stderr
    assert "answer" in done.stdout
    assert "42" in done.stdout


def test_psql_passes_the_failure_of_a_statement_on(database: str) -> None:
    done = etapa("psql", "-c", "SELECT nothing", ETAPA_DATABASE_URL=database)
    assert done.returncode != 0
    assert 'column "nothing" does not exist' in done.stderr


def test_psql_uses_the_running_embedded_server(tmp_path: Path) -> None:
    with PostgresServer(PostgresSettings(tmp_path / "postgres")) as server:
        assert server.process is not None
        done = etapa("psql", "-c", "SHOW data_directory", ETAPA_HOME=str(tmp_path))
        assert str(tmp_path / "postgres" / "data") in done.stdout
        assert server.process.poll() is None


def test_psql_starts_a_stopped_embedded_server_for_the_time_being(tmp_path: Path) -> None:
    with PostgresServer(PostgresSettings(tmp_path / "postgres")):
        pass
    done = etapa("psql", "-c", "SELECT 42", ETAPA_HOME=str(tmp_path))
    assert "42" in done.stdout, done.stderr
    assert not server_processes(tmp_path / "postgres" / "data")


def test_psql_without_any_database_says_what_to_do(tmp_path: Path) -> None:
    done = etapa("psql", "-c", "SELECT 1", ETAPA_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "make up" in done.stderr
    assert not (tmp_path / "postgres").exists()


def test_without_a_psql_tables_are_printed_all_the_same(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = ["CREATE TABLE t (a int)", "SELECT 1 AS \"[bold]a\", NULL AS b, '[red]x' AS c"]
    assert run_sql(database, sql, None, {}) == 0
    printed = capsys.readouterr().out
    assert "CREATE TABLE" in printed
    assert "[bold]a" in printed
    assert "[red]x" in printed


def test_without_a_psql_a_failed_statement_is_told_in_the_servers_words(database: str) -> None:
    with pytest.raises(SqlError, match='relation "nothing" does not exist'):
        run_sql(database, ["SELECT * FROM nothing"], None, {})


def test_without_a_psql_there_is_no_prompt(database: str) -> None:
    with pytest.raises(SqlError, match="-c"):
        run_sql(database, [], None, {})


def test_a_password_never_stands_on_psqls_command_line(tmp_path: Path) -> None:
    spy = tmp_path / "psql"
    spy.write_text('#!/bin/sh\necho "$@" > "$HOME/seen"; echo "$PGPASSWORD" > "$HOME/password"\n')
    spy.chmod(0o755)
    dsn = "postgresql://etapa:p%40ss@127.0.0.1:5/etapa"
    run_sql(dsn, ["SELECT 1"], str(spy), {"HOME": str(tmp_path), "PATH": os.defpath})
    assert "p%40ss" not in (tmp_path / "seen").read_text()
    assert "etapa@127.0.0.1:5/etapa" in (tmp_path / "seen").read_text()
    assert (tmp_path / "password").read_text().strip() == "p@ss"
