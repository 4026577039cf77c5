"""The whole of Etapa as processes on this machine: started, watched, restarted, drained.

Used by `etapa up`, the demo and the tests. Everything is done in one event loop; each process
dies with this one, even when it is killed.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from subprocess import Popen
from types import TracebackType
from typing import Self, TextIO

from services.cli.addresses import (
    PortBlock,
    PortsInUseError,
    reachable,
    taken_addresses,
)
from services.cli.child import spawn, wait_exit
from services.cli.folder_lock import open_folder, take_lock
from services.cli.postgres import PostgresServer
from services.cli.postgres_facts import read_facts
from services.cli.service_log import rotate
from services.cli.stack_env import media_key
from services.cli.stack_members import Member, member_env, plan_members, wanted_addresses
from services.cli.stack_settings import StackSettings
from services.cli.supervisor import (
    GIVE_UP_AFTER,
    Change,
    Keeper,
    Program,
    StartError,
    State,
)

POSTGRES = "postgres"
_ROTATE_EVERY_S = 1.0
_FIRST_TURN, _LAST_TURN = 1, 3


def _silent(_change: Change) -> None:
    """Tell nobody."""


class Stack:
    """A running Etapa. `async with Stack(settings) as stack: await stack.wait_ready()`.

    Processes are named after their service: "queue", then "queue-2" and so on for replicas;
    the embedded server is "postgres".
    """

    def __init__(self, settings: StackSettings, report: Callable[[Change], None] = _silent) -> None:
        self.settings = settings
        self.server: PostgresServer | None = None
        self._report = report
        self._lock: TextIO | None = None
        self._ports: PortBlock | None = None
        self._postgres: Keeper | None = None
        self._members: dict[str, Member] = {}
        self._media_key = ""
        self._rotation: asyncio.Task[None] | None = None

    @property
    def database_url(self) -> str:
        """Return the DSN that the services work on."""
        if self.settings.database_url:
            return self.settings.database_url
        if self.server is None:
            raise RuntimeError("the stack is not started")
        return self.server.dsn

    @property
    def names(self) -> list[str]:
        """Return the names of all processes, the database first."""
        return [*([POSTGRES] if self._postgres else []), *self._members]

    async def start(self) -> None:
        """Check what can be checked, start the database, then all services at once.

        Raises before anything runs: `FolderBusyError`, `PortsInUseError`; with nothing left
        running: `PostgresError`.
        """
        open_folder(self.settings.logs, "ETAPA_HOME")
        self._lock = take_lock(self.settings.home, "ETAPA_HOME")
        try:
            self._media_key = media_key(self.settings)
            self._ports = PortBlock()
            self._members = plan_members(self.settings, self._ports)
            self._check_ports()
            await self._start_database()
        except BaseException:
            await self.stop()
            raise
        for member in self._members.values():
            member.keeper = self._keeper_of(member)
            member.keeper.start()
        self._rotation = asyncio.create_task(self._rotate_logs(), name="rotate logs")

    async def wait_ready(self, timeout_s: float = 60.0, names: Iterable[str] | None = None) -> None:
        """Return once the named processes (all, by default) are ready; else say which is not."""
        keepers = [self.keeper(name) for name in (names or self.names)]
        waits = [asyncio.create_task(keeper.wait_ready()) for keeper in keepers]
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*waits)
        except TimeoutError:
            late = [one.describe() for one in keepers if one.state is not State.READY]
            raise StartError(f"not ready after {timeout_s:g} s: " + "; ".join(late)) from None
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def keeper(self, name: str) -> Keeper:
        """Return what keeps one process; its `state`, `pid` and `starts` may be looked at."""
        keeper = self._postgres if name == POSTGRES else self._member(name).keeper
        if keeper is None:
            raise StartError(f"{name} is not part of this stack")
        return keeper

    def pids(self) -> dict[str, int]:
        """Return the ids of the live processes by name."""
        found = {name: self.keeper(name).pid for name in self.names}
        return {name: pid for name, pid in found.items() if pid is not None}

    def kill(
        self, name: str, signal_: signal.Signals = signal.SIGKILL, down_s: float = 0.0
    ) -> None:
        """Signal one process. It is started again, `down_s` seconds after the signal or later."""
        self.keeper(name).send(signal_, down_s)

    async def restart(self, name: str, timeout_s: float = 60.0) -> None:
        """Drain one process, start it again and wait until it is ready."""
        await self.stop_one(name)
        self.start_one(name)
        await self.wait_ready(timeout_s, [name])

    async def stop_one(self, name: str) -> None:
        """Drain one process and leave it down until `start_one`."""
        await self.keeper(name).stop(self.settings.drain_s)

    def start_one(self, name: str) -> None:
        """Begin to keep a process again that `stop_one` took down."""
        self.keeper(name).start()

    def set_env(self, name: str, env: Mapping[str, str], starts: int | None = None) -> None:
        """Add to one process's environment from its next start on, for `starts` starts only."""
        member = self._member(name)
        member.extra_env, member.extra_starts = dict(env), starts

    def address(self, listener: str) -> str:
        """Return `host:port` at which a client dials a listener ("queue", "emulator_admin")."""
        return reachable(self.settings.addresses.of(listener))

    async def stop(self) -> None:
        """Drain the services in turns, then stop the database. Harmless when repeated."""
        if self._rotation is not None:
            self._rotation.cancel()
            with suppress(asyncio.CancelledError):
                await self._rotation
            self._rotation = None
        await self._drain_services()
        if self._postgres is not None:
            await self._postgres.stop(self.settings.postgres.stop_timeout_s)
        if self.server is not None:
            await asyncio.to_thread(self.server.stop)
        for held in (self._ports, self._lock):
            if held is not None:
                held.close()
        self._lock = self._ports = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _member(self, name: str) -> Member:
        try:
            return self._members[name]
        except KeyError:
            raise StartError(f"{name} is not part of this stack") from None

    def _check_ports(self) -> None:
        if taken := taken_addresses(wanted_addresses(self._members)):
            raise PortsInUseError(taken)

    async def _start_database(self) -> None:
        if self.settings.database_url:
            facts = await read_facts(self.settings.database_url, POSTGRES)
            facts.check_version()
            for warning in facts.warnings:
                self._report(Change("database", State.STARTING, f"WARNING: {warning}"))
            return
        log = self.settings.logs / f"{POSTGRES}.log"
        self.server = PostgresServer(replace(self.settings.postgres, log=log))
        # The first failure is told as it is; a server that ran before is worth more attempts.
        program = self._postgres_program(self.server)
        self._postgres = Keeper(program, self._report, give_up_after=1)
        self._postgres.start()
        try:
            await self._postgres.wait_ready()
        except StartError as error:
            raise error.__cause__ or error from None
        self._postgres.give_up_after = GIVE_UP_AFTER

    def _postgres_program(self, server: PostgresServer) -> Program:
        async def launch() -> Popen[bytes]:
            await asyncio.to_thread(server.prepare)
            for note in server.notes:
                self._report(Change(POSTGRES, State.STARTING, note))
            process = server.spawn()  # here, not in a thread: see services.cli.child
            try:
                await asyncio.to_thread(server.wait_ready)
            except BaseException:
                process.send_signal(signal.SIGQUIT)  # at once, and its backends with it
                await wait_exit(process)
                raise
            return process

        async def probe() -> bool:
            return server.is_ready()

        return Program(
            POSTGRES,
            f"in {server.folder}",
            server.log,
            launch,
            probe,
            signal.SIGINT,
            has_group=False,
        )

    def _keeper_of(self, member: Member) -> Keeper:
        log = self.settings.logs / f"{member.name}.log"

        async def launch() -> Popen[bytes]:
            return spawn(
                [sys.executable, "-m", member.service.run],
                env=self._env_of(member),
                log=log,
            )

        health = reachable(member.listen[member.service.health])
        probe = partial(member.service.is_healthy, health)
        where = reachable(next(iter(member.listen.values())))
        return Keeper(Program(member.name, where, log, launch, probe), self._report)

    def _env_of(self, member: Member) -> dict[str, str]:
        return member_env(self.settings, self._members, member, self.database_url, self._media_key)

    async def _drain_services(self) -> None:
        until = asyncio.get_running_loop().time() + self.settings.drain_s
        for turn in range(_FIRST_TURN, _LAST_TURN + 1):
            keepers = [
                one.keeper
                for one in self._members.values()
                if one.service.drain_turn == turn and one.keeper is not None
            ]
            left_s = max(0.5, until - asyncio.get_running_loop().time())
            await asyncio.gather(*(keeper.stop(left_s) for keeper in keepers))

    async def _rotate_logs(self) -> None:
        while True:
            await asyncio.sleep(_ROTATE_EVERY_S)
            logs = [self.keeper(name).program.log for name in self.names]
            for log in logs:
                await asyncio.to_thread(rotate, log, self.settings.log_limit_bytes)
