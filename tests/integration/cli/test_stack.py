# ruff: noqa: ASYNC240 - small files of /proc
from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from contextlib import closing
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from services.cli.addresses import Addresses, PortBlock, PortsInUseError
from services.cli.folder_lock import FolderBusyError
from services.cli.postgres import PostgresSettings
from services.cli.postgres_binaries import PostgresError
from services.cli.postgres_remnants import server_processes
from services.cli.service_table import pick
from services.cli.stack import Stack
from services.cli.stack_settings import StackSettings
from services.cli.supervisor import Change, StartError, State
from tests.support.stacks import running_stack, stand_in
from tests.support.waiting import eventually


async def get(stack: Stack, listener: str, path: str) -> bytes:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{stack.address(listener)}{path}") as reply,
    ):
        return await reply.read()


async def environment(stack: Stack, listener: str) -> dict[str, str]:
    return dict(json.loads(await get(stack, listener, "/env")))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_services_get_the_database_their_address_and_their_peers(tmp_path: Path) -> None:
    services = [stand_in("queue", has_tables=True), stand_in("tools"), stand_in("console")]
    async with running_stack(tmp_path, *services) as stack:
        await stack.wait_ready()
        queue, console = await environment(stack, "queue"), await environment(stack, "console")
        assert queue["ETAPA_DATABASE_URL"] == stack.database_url
        assert queue["ETAPA_QUEUE_LISTEN"] == stack.address("queue")
        assert console["ETAPA_QUEUE_ADDRESS"] == stack.address("queue")
        assert console["ETAPA_TOOLS_ADDRESS"] == stack.address("tools")
        assert "ETAPA_DATABASE_URL" not in console
        assert set(stack.pids()) == {"postgres", "queue", "tools", "console"}


async def test_only_the_queue_is_told_provider_keys(tmp_path: Path) -> None:
    env = {"RUNNINGHUB_API_KEY": "k" * 32, "PGOPTIONS": "-c fsync=off", "PATH": os.defpath}
    services = [stand_in("queue"), stand_in("console")]
    accounts = '[{"name":"a","base_url":"http://x","api_key":"kkk","slots":1}]'
    async with running_stack(tmp_path, *services, env=env, accounts=accounts) as stack:
        await stack.wait_ready()
        assert (await environment(stack, "queue"))["ETAPA_QUEUE_ACCOUNTS"] == accounts
        console = await environment(stack, "console")
        assert not {"ETAPA_QUEUE_ACCOUNTS", "RUNNINGHUB_API_KEY", "PGOPTIONS"} & set(console)


async def test_a_killed_service_is_started_again_and_gets_ready(
    tmp_path: Path, postgres_dsn: str
) -> None:
    changes: list[Change] = []
    async with running_stack(
        tmp_path, stand_in("queue"), changes=changes, database_url=postgres_dsn
    ) as stack:
        await stack.wait_ready()
        before = stack.pids()["queue"]
        stack.kill("queue")
        await stack.wait_ready()
        assert stack.pids()["queue"] != before
        assert stack.keeper("queue").starts == 2
        assert any(one.state is State.DEAD and "SIGKILL" in one.text for one in changes)


async def test_a_killed_service_stays_down_as_long_as_asked(
    tmp_path: Path, postgres_dsn: str
) -> None:
    async with running_stack(tmp_path, stand_in("queue"), database_url=postgres_dsn) as stack:
        await stack.wait_ready()
        loop = asyncio.get_running_loop()
        began = loop.time()
        stack.kill("queue", down_s=1.0)
        await stack.wait_ready()
        assert loop.time() - began >= 1.0


async def test_killed_postgres_is_started_again_and_clients_reconnect(tmp_path: Path) -> None:
    async with running_stack(tmp_path, stand_in("queue")) as stack:
        await stack.wait_ready()
        pool = await asyncpg.create_pool(stack.database_url, min_size=1, max_size=2)
        await pool.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        stack.kill("postgres", down_s=0.5)
        await stack.wait_ready(names=["postgres"])

        async def answers() -> bool:
            try:
                return bool(await pool.fetchval("SELECT answer FROM kept") == 42)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return False

        await eventually(answers)
        assert stack.pids()["queue"]
        await pool.close()


async def test_stop_drains_services_before_the_database(tmp_path: Path) -> None:
    changes: list[Change] = []
    services = [stand_in("queue", 2), stand_in("tools", 1)]
    async with running_stack(tmp_path, *services, changes=changes) as stack:
        await stack.wait_ready()
        pids = stack.pids()
    stopped = [one.name for one in changes if one.state is State.STOPPED]
    assert stopped == ["tools", "queue", "postgres"]
    assert "drained" in (tmp_path / "logs" / "queue.log").read_text()
    assert not [pid for pid in pids.values() if is_alive(pid)]


async def test_a_service_deaf_to_sigterm_is_killed_after_the_deadline(
    tmp_path: Path, postgres_dsn: str
) -> None:
    deaf = {"queue": {"STANDIN_DEAF": "1"}}
    async with running_stack(
        tmp_path, stand_in("queue"), service_env=deaf, drain_s=0.5, database_url=postgres_dsn
    ) as stack:
        await stack.wait_ready()
        pid = stack.pids()["queue"]
    assert not is_alive(pid)


async def test_worker_processes_of_a_dead_service_go_with_it(
    tmp_path: Path, postgres_dsn: str
) -> None:
    parent = {"queue": {"STANDIN_CHILD": "1"}}
    async with running_stack(
        tmp_path, stand_in("queue"), service_env=parent, database_url=postgres_dsn
    ) as stack:
        await stack.wait_ready()
        log = (tmp_path / "logs" / "queue.log").read_text()
        child = int(log.split("child ")[1].split()[0])
        stack.kill("queue")
        await stack.wait_ready()

        async def is_gone() -> bool:
            status = Path(f"/proc/{child}/stat")
            return not status.exists() or status.read_text().split()[2] == "Z"

        await eventually(is_gone)


async def test_replicas_listen_apart_and_peers_learn_of_all(
    tmp_path: Path, postgres_dsn: str
) -> None:
    services = [stand_in("queue"), stand_in("tools")]
    async with running_stack(
        tmp_path, *services, replicas={"queue": 2}, database_url=postgres_dsn
    ) as stack:
        await stack.wait_ready()
        assert set(stack.pids()) == {"queue", "queue-2", "tools"}
        target = (await environment(stack, "tools"))["ETAPA_QUEUE_ADDRESS"]
        assert target.startswith(f"ipv4:{stack.address('queue')},127.0.0.1:")


async def test_added_environment_lasts_for_the_starts_it_was_asked_for(
    tmp_path: Path, postgres_dsn: str
) -> None:
    async with running_stack(tmp_path, stand_in("queue"), database_url=postgres_dsn) as stack:
        await stack.wait_ready()
        stack.set_env("queue", {"EXTRA": "1"}, starts=1)
        await stack.restart("queue")
        assert (await environment(stack, "queue"))["EXTRA"] == "1"
        await stack.restart("queue")
        assert "EXTRA" not in await environment(stack, "queue")


async def test_a_stopped_service_stays_down_until_started(
    tmp_path: Path, postgres_dsn: str
) -> None:
    async with running_stack(tmp_path, stand_in("queue"), database_url=postgres_dsn) as stack:
        await stack.wait_ready()
        await stack.stop_one("queue")
        assert stack.pids() == {}
        stack.start_one("queue")
        await stack.wait_ready()
        assert "queue" in stack.pids()


async def test_a_service_that_cannot_start_is_named_with_its_last_words(
    tmp_path: Path, postgres_dsn: str
) -> None:
    broken = {"queue": {"STANDIN_FAIL": "ETAPA_QUEUE_ACCOUNTS is not JSON"}}
    async with running_stack(
        tmp_path, stand_in("queue"), service_env=broken, database_url=postgres_dsn
    ) as stack:
        with pytest.raises(StartError, match=r"queue is dead.*ETAPA_QUEUE_ACCOUNTS is not JSON"):
            await stack.wait_ready(30)


async def test_wrong_settings_are_told_at_once(tmp_path: Path, postgres_dsn: str) -> None:
    wrong = {"emulator": {"ETAPA_EMULATOR_TIME_SCALE": "fast"}}
    async with running_stack(
        tmp_path, *pick("emulator"), service_env=wrong, database_url=postgres_dsn
    ) as stack:
        with pytest.raises(StartError, match=r"ETAPA_EMULATOR_TIME_SCALE='fast'"):
            await stack.wait_ready(30)
        assert stack.keeper("emulator").starts == 1


async def test_a_port_in_use_is_named_before_anything_starts(tmp_path: Path) -> None:
    ports = PortBlock()
    addresses = Addresses.from_ports(ports)
    settings = StackSettings(
        tmp_path,
        PostgresSettings(tmp_path / "postgres"),
        addresses,
        services=(stand_in("queue"), stand_in("console")),
    )
    port = int(addresses.console.split(":")[1])
    with (
        closing(socket.create_server(("127.0.0.1", port))),
        pytest.raises(PortsInUseError, match=rf"port {port} \(console\).*ETAPA_CONSOLE_LISTEN"),
    ):
        await Stack(settings).start()
    assert not (tmp_path / "postgres").exists()
    ports.close()


async def test_a_second_stack_on_the_same_folder_is_refused(
    tmp_path: Path, postgres_dsn: str
) -> None:
    async with running_stack(tmp_path, stand_in("queue"), database_url=postgres_dsn):
        with pytest.raises(FolderBusyError, match=f"process {os.getpid()}"):
            async with running_stack(tmp_path, stand_in("queue"), database_url=postgres_dsn):
                pass


async def test_missing_postgres_is_told_once_and_leaves_nothing(tmp_path: Path) -> None:
    nothing = PostgresSettings(tmp_path / "postgres", bin_folder=tmp_path)
    with pytest.raises(PostgresError, match="ETAPA_POSTGRES_BIN_FOLDER"):
        async with running_stack(tmp_path, stand_in("queue"), postgres=nothing):
            pass
    assert not server_processes(tmp_path / "postgres" / "data")


async def test_stacks_run_side_by_side(tmp_path: Path) -> None:
    async with (
        running_stack(tmp_path / "one", stand_in("queue")) as one,
        running_stack(tmp_path / "two", stand_in("queue")) as two,
    ):
        await asyncio.gather(one.wait_ready(), two.wait_ready())
        assert one.address("queue") != two.address("queue")


async def test_a_database_of_ones_own_is_used_and_left_running(
    tmp_path: Path, database: str
) -> None:
    async with running_stack(
        tmp_path, stand_in("queue", has_tables=True), database_url=database
    ) as stack:
        await stack.wait_ready()
        assert (await environment(stack, "queue"))["ETAPA_DATABASE_URL"] == database
        assert set(stack.pids()) == {"queue"}
    connection = await asyncpg.connect(database)
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


async def test_a_database_that_is_not_durable_is_warned_of(tmp_path: Path, database: str) -> None:
    connection = await asyncpg.connect(database)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    await connection.close()
    changes: list[Change] = []
    async with running_stack(tmp_path, stand_in("queue"), changes=changes, database_url=database):
        assert any("WARNING: synchronous_commit is off" in one.text for one in changes)


async def test_a_database_that_is_away_is_told_with_a_way_out(tmp_path: Path) -> None:
    ports = PortBlock()
    away = f"postgresql://etapa:secret@{ports.take()}/etapa"
    with pytest.raises(PostgresError, match="ETAPA_DATABASE_URL") as caught:
        async with running_stack(tmp_path, stand_in("queue"), database_url=away):
            pass
    assert "secret" not in str(caught.value)
    ports.close()


async def test_a_log_that_grows_too_large_is_rotated(tmp_path: Path, postgres_dsn: str) -> None:
    async with running_stack(
        tmp_path, stand_in("queue"), log_limit_bytes=10_000, database_url=postgres_dsn
    ) as stack:
        await stack.wait_ready()
        await get(stack, "queue", "/log/20000")
        rotated = tmp_path / "logs" / "queue.log.1"

        async def is_rotated() -> bool:
            return rotated.exists()

        await eventually(is_rotated)
        await get(stack, "queue", "/log/5")
        assert (tmp_path / "logs" / "queue.log").stat().st_size < 10_000


async def test_signals_that_do_not_kill_do_not_restart(tmp_path: Path, postgres_dsn: str) -> None:
    async with running_stack(tmp_path, stand_in("queue"), database_url=postgres_dsn) as stack:
        await stack.wait_ready()
        before = stack.pids()["queue"]
        stack.kill("queue", signal.SIGSTOP)
        stack.kill("queue", signal.SIGCONT)
        await environment(stack, "queue")
        assert stack.pids()["queue"] == before


async def test_the_emulator_runs_in_a_stack(tmp_path: Path, postgres_dsn: str) -> None:
    async with running_stack(tmp_path, *pick("emulator"), database_url=postgres_dsn) as stack:
        await stack.wait_ready()
        stack.kill("emulator")
        await stack.wait_ready()
    assert (tmp_path / "emulator").is_dir()


async def test_the_key_of_media_links_is_kept_and_told_to_those_who_need_it(
    tmp_path: Path, postgres_dsn: str
) -> None:
    services = [stand_in("queue"), stand_in("webhook"), stand_in("console")]
    keys = []
    for _ in range(2):
        async with running_stack(tmp_path, *services, database_url=postgres_dsn) as stack:
            await stack.wait_ready()
            keys += [
                (await environment(stack, name))["ETAPA_MEDIA_KEY"] for name in stack.names[:2]
            ]
            assert "ETAPA_MEDIA_KEY" not in await environment(stack, "console")
    assert len(set(keys)) == 1
    assert len(keys[0]) > 30
    assert (tmp_path / "media-key").stat().st_mode & 0o077 == 0
