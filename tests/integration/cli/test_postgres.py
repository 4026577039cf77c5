# ruff: noqa: ASYNC220, ASYNC240, S108 - what is tested here blocks; nothing else is in the loop
from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from services.cli.child import Identity, launch_command
from services.cli.folder_lock import FolderBusyError
from services.cli.postgres import PostgresServer, PostgresSettings
from services.cli.postgres_binaries import Binaries, PostgresError, list_binaries
from services.cli.postgres_identity import namespaces_work
from services.cli.postgres_reach import running_dsn
from services.cli.postgres_remnants import read_pid, server_processes
from tests.support.waiting import wait_until

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "postgres"
    for pid in server_processes(tmp_path / "postgres" / "data"):
        os.kill(pid, signal.SIGKILL)  # only after a failed test


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Make a folder which any account may enter; pytest's own are root's alone."""
    root = Path(tempfile.mkdtemp(prefix="etapa-test-"))
    root.chmod(0o755)
    yield root
    shutil.rmtree(root)


def hold(folder: Path, *more: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """Start the server in another process of ours and wait until it is ready."""
    command = [sys.executable, "-m", "tests.support.hold_postgres", str(folder), *more]
    holder = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert holder.stdout is not None
    return holder, json.loads(holder.stdout.readline())


def release(holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.close()
    holder.wait(30)
    holder.stdout.close()


def kill_holder(holder: subprocess.Popen[str]) -> None:
    holder.kill()
    release(holder)


async def ask(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_start_gives_a_durable_server_with_utf8_and_our_database(folder: Path) -> None:
    with PostgresServer(PostgresSettings(folder)) as server:
        assert await ask(server.dsn, "SELECT current_database()") == "etapa"
        for setting, value in (
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("full_page_writes", "on"),
            ("server_encoding", "UTF8"),
            ("jit", "off"),
            ("listen_addresses", ""),
        ):
            assert await ask(server.dsn, f"SHOW {setting}") == value, setting
        locale = "SELECT datcollate FROM pg_database WHERE datname = current_database()"
        assert await ask(server.dsn, locale) == "C.UTF-8"


async def test_alter_system_cannot_undo_durability(folder: Path) -> None:
    with PostgresServer(PostgresSettings(folder)) as server:
        connection = await asyncpg.connect(server.dsn)
        await connection.execute("ALTER SYSTEM SET fsync = off")
        await connection.close()
    with PostgresServer(PostgresSettings(folder)) as server:
        assert await ask(server.dsn, "SHOW fsync") == "on"


async def test_server_refuses_a_role_whose_commits_are_not_durable(folder: Path) -> None:
    with PostgresServer(PostgresSettings(folder)) as server:
        connection = await asyncpg.connect(server.dsn)
        await connection.execute("ALTER ROLE etapa SET synchronous_commit = off")
        await connection.close()
    with pytest.raises(PostgresError, match="synchronous_commit is off"):
        PostgresServer(PostgresSettings(folder)).start()
    assert not server_processes(folder / "data")


async def test_data_survive_a_restart(folder: Path) -> None:
    with PostgresServer(PostgresSettings(folder)) as server:
        await ask(server.dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
        first = server.dsn
    with PostgresServer(PostgresSettings(folder)) as server:
        assert server.dsn == first
        assert await ask(server.dsn, "SELECT answer FROM kept") == 42


def test_stop_leaves_no_process_and_only_its_own_folder(folder: Path) -> None:
    before = set(os.listdir(tempfile.gettempdir()))
    server = PostgresServer(PostgresSettings(folder))
    server.start()
    server.stop()
    server.stop()
    assert not server_processes(folder / "data")
    assert read_pid(folder / "data") is None
    left = set(os.listdir(tempfile.gettempdir())) - before
    assert not [name for name in left if "PGSQL" in name or "pgserver" in name]


def test_start_changes_no_owner_or_mode_outside_its_folder_and_no_account(folder: Path) -> None:
    watched = [*folder.parents, Path("/etc/passwd"), Path("/etc/group"), Path("/dev/shm")]

    def look() -> list[tuple[int, int, int]]:
        found = [path.stat() for path in watched]
        return [(one.st_mode, one.st_uid, one.st_gid) for one in found]

    before, accounts = look(), Path("/etc/passwd").read_bytes()
    with PostgresServer(PostgresSettings(folder)):
        pass
    assert look() == before
    assert Path("/etc/passwd").read_bytes() == accounts


def test_folder_is_closed_to_other_users(folder: Path) -> None:
    with PostgresServer(PostgresSettings(folder)):
        for path in (folder, folder / "data", folder / "socket"):
            assert path.stat().st_mode & 0o077 == 0, path
        assert (folder / "password").stat().st_mode & 0o077 == 0


@as_root
def test_as_root_files_stay_roots_and_the_server_has_no_power(folder: Path) -> None:
    if not namespaces_work():
        pytest.skip("user namespaces are off on this machine")
    with PostgresServer(PostgresSettings(folder)) as server:
        assert server.process is not None
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        effective = next(line for line in status.splitlines() if line.startswith("CapEff"))
        assert int(effective.split()[1], 16) == 0
        assert {path.stat().st_uid for path in folder.rglob("*")} == {0}


@as_root
async def test_as_root_without_namespaces_an_existing_account_runs_it(open_folder: Path) -> None:
    settings = PostgresSettings(open_folder / "postgres", account="nobody")
    with PostgresServer(settings) as server:
        assert server.process is not None
        assert Path(f"/proc/{server.process.pid}").stat().st_uid == NOBODY
        assert await ask(server.dsn, "SELECT 1") == 1
    assert open_folder.stat().st_uid == 0
    assert open_folder.stat().st_mode & 0o777 == 0o755
    # Found again without being told: its files say whose it is.
    with PostgresServer(PostgresSettings(open_folder / "postgres")) as server:
        assert await ask(server.dsn, "SELECT 1") == 1


@as_root
def test_account_that_cannot_reach_the_folder_gets_a_clear_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    settings = PostgresSettings(tmp_path / "postgres", account="nobody")
    with pytest.raises(PostgresError, match=r"nobody may enter .* ETAPA_POSTGRES_FOLDER"):
        PostgresServer(settings).start()
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def python_for(identity: Identity) -> list[str] | None:
    """Return a Python of our version which that account may run, or nothing."""
    check = f"import sys; raise SystemExit(sys.version_info[:2] != {sys.version_info[:2]!r})"
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        command = launch_command([python, "-c", check], identity=identity)
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return [python]
    return None


@as_root
def test_a_normal_user_runs_it(open_folder: Path) -> None:
    identity = Identity(uid=NOBODY, gid=NOBODY)
    python = python_for(identity)
    if python is None:
        pytest.skip("no Python here that an unprivileged account may run")
    home = open_folder / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    command = [*python, "-m", "tests.support.hold_postgres", str(home / "postgres")]
    done = subprocess.run(
        launch_command(command, identity=identity),
        env={"PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path]), "PATH": os.defpath},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "dsn" in json.loads(done.stdout)
    assert {path.stat().st_uid for path in home.rglob("*")} == {NOBODY}


@as_root
def test_a_user_who_may_not_write_there_is_told_what_to_set(open_folder: Path) -> None:
    identity = Identity(uid=NOBODY, gid=NOBODY)
    python = python_for(identity)
    if python is None:
        pytest.skip("no Python here that an unprivileged account may run")
    done = subprocess.run(
        launch_command([*python, "-m", "services.cli", "up"], identity=identity),
        env={
            "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path]),
            "ETAPA_HOME": str(open_folder / "home"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "set ETAPA_HOME to a folder of yours" in done.stderr


def test_second_start_on_the_same_folder_names_the_holder(folder: Path) -> None:
    holder, _ = hold(folder)
    try:
        with pytest.raises(FolderBusyError, match=f"process {holder.pid}.*Stop it first"):
            PostgresServer(PostgresSettings(folder)).start()
    finally:
        release(holder)


def test_killed_holder_leaves_no_server(folder: Path) -> None:
    holder, _ = hold(folder)
    kill_holder(holder)
    wait_until(lambda: not server_processes(folder / "data"))
    assert "database system is shut down" in (folder / "postgres.log").read_text()


async def test_committed_work_survives_kill_9_of_the_server(folder: Path) -> None:
    with PostgresServer(PostgresSettings(folder)) as server:
        await ask(server.dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
        assert server.process is not None
        server.process.kill()
        server.process.wait(10)
        server.start()
        assert await ask(server.dsn, "SELECT answer FROM kept") == 42


async def test_backends_of_a_killed_server_do_not_block_the_next(folder: Path) -> None:
    with PostgresServer(PostgresSettings(folder)) as server:
        busy = await asyncpg.connect(server.dsn)
        # A backend in a loop does not look whether its postmaster lives.
        spin = "DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$"
        query = asyncio.ensure_future(busy.execute(spin))
        assert server.process is not None
        server.process.kill()
        server.process.wait(10)
        server.start()
        assert await ask(server.dsn, "SELECT 1") == 1
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await query


async def test_orphaned_server_is_stopped_and_replaced(folder: Path) -> None:
    settings = PostgresSettings(folder)
    lonely = PostgresServer(settings)
    lonely.prepare()
    process = lonely.spawn()
    lonely.wait_ready()
    assert lonely._lock is not None
    lonely._lock.close()  # as if its supervisor had died without the kernel's help
    reaper = threading.Thread(target=process.wait)
    reaper.start()
    with PostgresServer(settings) as server:
        assert any("left behind" in note for note in server.notes)
        assert server.process is not None
        assert server.process.pid != process.pid
        assert await ask(server.dsn, "SELECT 1") == 1
    reaper.join(10)


async def test_pid_file_whose_pid_is_another_program_now_is_dropped(folder: Path) -> None:
    with PostgresServer(PostgresSettings(folder)) as server:
        lines = (folder / "data" / "postmaster.pid").read_text().splitlines()
    stranger = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    try:
        stale = [str(stranger.pid), *lines[1:]]
        (folder / "data" / "postmaster.pid").write_text("\n".join(stale) + "\n")
        assert running_dsn(folder) is None
        with PostgresServer(PostgresSettings(folder)) as server:
            assert any("stale postmaster.pid" in note for note in server.notes)
            assert await ask(server.dsn, "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.communicate()


async def test_path_too_long_for_a_socket_falls_back_to_loopback(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / "postgres"
    with PostgresServer(PostgresSettings(folder)) as server:
        assert "@127.0.0.1:" in server.dsn
        assert await ask(server.dsn, "SELECT 1") == 1
        assert running_dsn(folder) == server.dsn
        wrong = server.dsn.replace(":" + server.dsn.split(":")[2].split("@")[0], ":wrong")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(wrong, "SELECT 1")


async def test_killed_initdb_leaves_nothing_that_blocks_a_start(folder: Path) -> None:
    (folder / "data.partial" / "base").mkdir(parents=True)
    with PostgresServer(PostgresSettings(folder)) as server:
        assert await ask(server.dsn, "SELECT 1") == 1
    assert not (folder / "data.partial").exists()


def test_running_dsn_finds_the_server_of_another_process(folder: Path) -> None:
    holder, told = hold(folder)
    try:
        assert running_dsn(folder) == told["dsn"]
    finally:
        release(holder)
    assert running_dsn(folder) is None


@pytest.mark.parametrize("binaries", list_binaries(), ids=lambda one: f"{one.source}{one.version}")
async def test_every_postgres_of_this_machine_works(folder: Path, binaries: Binaries) -> None:
    settings = PostgresSettings(folder, bin_folder=binaries.folder)
    with PostgresServer(settings) as server:
        assert await ask(server.dsn, "SELECT 1") == 1


def test_missing_binaries_say_what_to_install(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PostgresError, match="ETAPA_POSTGRES_BIN_FOLDER"):
        PostgresServer(PostgresSettings(folder, bin_folder=tmp_path)).start()


def test_data_of_another_major_version_is_refused_with_a_way_out(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(PostgresError, match=r"made by PostgreSQL 9.*move the folder away"):
        PostgresServer(PostgresSettings(folder)).start()
