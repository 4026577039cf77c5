from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

from services.cli.addresses import PortBlock
from services.cli.doctor import Finding, Health, examine
from services.cli.postgres import PostgresServer, PostgresSettings, data_major


def look(tmp_path: Path, **env: str) -> dict[str, Finding]:
    return {one.what: one for one in findings(tmp_path, **env)}


def findings(tmp_path: Path, **env: str) -> list[Finding]:
    return list(examine({"ETAPA_HOME": str(tmp_path), **env}))


def test_doctor_finds_the_programs_and_the_emulator(tmp_path: Path) -> None:
    found = look(tmp_path)
    assert found["Python"].health is Health.OK
    assert found["Postgres"].health is Health.OK
    assert "emulator" in found["RunningHub"].text
    assert "make up" in found["Database"].text


def test_doctor_sees_the_running_embedded_server(tmp_path: Path) -> None:
    with PostgresServer(PostgresSettings(tmp_path / "postgres")) as server:
        found = look(tmp_path)
    assert found["Database"].health is Health.OK
    assert f"PostgreSQL {data_major(server.folder)}" in found["Database"].text


def test_doctor_never_shows_a_key(tmp_path: Path) -> None:
    key = "abcdef0123456789abcdef0123456789"
    found = look(tmp_path, RUNNINGHUB_API_KEY=key)
    assert "32 characters" in found["Key"].text
    assert not any(key[:6] in one.text for one in found.values())
    assert "polled" in found["RunningHub"].text


def test_doctor_names_a_port_in_use(tmp_path: Path) -> None:
    with closing(PortBlock()) as ports:
        address = ports.take()
        with closing(socket.create_server(("127.0.0.1", int(address.split(":")[1])))):
            found = findings(tmp_path, ETAPA_QUEUE_LISTEN=address)
    # A usual port of another service may be in use as well, by who knows whom.
    assert any(one.what == "Port" and f"{address} (queue)" in one.text for one in found)


def test_doctor_says_what_to_install_where_there_is_no_postgres(tmp_path: Path) -> None:
    found = look(tmp_path, ETAPA_POSTGRES_BIN_FOLDER=str(tmp_path))
    assert found["Postgres"].health is Health.BAD
    assert "ETAPA_POSTGRES_BIN_FOLDER" in found["Postgres"].text


def test_doctor_says_that_a_database_of_ones_own_is_away(tmp_path: Path) -> None:
    ports = PortBlock()
    found = look(tmp_path, ETAPA_DATABASE_URL=f"postgresql://u:hidden@{ports.take()}/d")
    assert found["Database"].health is Health.BAD
    assert "hidden" not in found["Database"].text
    ports.close()
