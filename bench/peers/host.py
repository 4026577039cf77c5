"""The web process of a contestant: front door, callbacks, and the driver's commands on stdin."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import json
import os
import platform
import sys
import time
from asyncio.subprocess import Process
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import asyncpg
import psutil
import uvloop

from bench.peers import check, idle, worker
from bench.peers.completions import Completions
from bench.peers.peer import Kind, Peer, Settings
from bench.peers.python_peer import PythonPeer
from bench.peers.work import SQL

Answer = dict[str, Any]
_SIMPLE_IN_FLIGHT = 64


class Host:
    """One contestant, from its empty database to its stop."""

    def __init__(self, peer: Peer, settings: Settings, stack: AsyncExitStack) -> None:
        self._peer = peer
        self._settings = settings
        self._stack = stack
        self._completions = Completions()
        self._next_job = 1
        self._workers: list[Process] = []

    async def start(self) -> None:
        """Make the schema, listen for callbacks and start the workers."""
        await _create_tables(self._settings.database_url)
        self._settings = await self._peer.prepare(self._settings)
        self._stack.push_async_callback(self._peer.close)
        callback_url = await self._peer.listen(self._settings)
        self._settings = replace(self._settings, callback_url=callback_url)
        await self._peer.open(self._settings)
        self._completions.start()
        self._stack.callback(self._completions.close)
        self._workers = await worker.start(self._peer, self._settings, self._completions.write_end)
        self._stack.push_async_callback(worker.end, self._workers)

    async def answer(self, command: Answer) -> Answer:
        """Carry out one of the driver's commands but `stop`."""
        match command["do"]:
            case "run":
                return await self._run("full", command["jobs"], command["in_flight"])
            case "simple":
                return await self._run("simple", command["jobs"], _SIMPLE_IN_FLIGHT)
            case "idle":
                return await self._idle(command["jobs"])
            case "check":
                return await check.check(self._settings.database_url, self._peer.check_sql)
        raise ValueError(f"unknown command {command['do']!r}")

    async def until_worker_ends(self) -> None:
        """Raise when a worker process ends by itself."""
        waits = [asyncio.create_task(process.wait()) for process in self._workers]
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        raise RuntimeError(f"a worker process ended with {done.pop().result()}")

    async def _run(self, kind: Kind, jobs: int, in_flight: int) -> Answer:
        goal = self._completions.count + jobs
        ids = self._take_ids(jobs)
        cpu_s, began = _cpu_s(), time.monotonic()
        await self._peer.submit_all(kind, ids, in_flight)
        ended = await self._completions.reach(goal)
        return {"seconds": ended - began, "jobs": jobs, "cpu_s": _cpu_s() - cpu_s}

    async def _idle(self, jobs: int) -> Answer:
        ids = self._take_ids(jobs + idle.WARM_UP)
        found = await idle.measure(self._peer, self._settings, self._completions, ids)
        return {"latencies_ms": found}

    def _take_ids(self, jobs: int) -> range:
        first = self._next_job
        self._next_job += jobs
        return range(first, first + jobs)


async def _create_tables(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(SQL["create_tables"])
    finally:
        await connection.close()


def _cpu_s() -> float:
    # The contestant's own processes; the database server's CPU is for the driver to read.
    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def _versions(peer: Peer) -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in peer.packages}
    return {**found, "python": platform.python_version(), **peer.versions()}


async def _commands() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def _say(answer: Answer) -> None:
    print(json.dumps(answer), flush=True)


async def _serve(host: Host) -> None:
    commands = await _commands()
    async for line in commands:
        command = json.loads(line)
        if command["do"] == "stop":
            return
        _say(await host.answer(command))


async def _contest(peer: Peer) -> None:
    async with AsyncExitStack() as stack:
        host = Host(peer, Settings.from_env(os.environ), stack)
        await host.start()
        _say({"ready": True, "versions": _versions(peer)})
        serving = asyncio.create_task(_serve(host))
        watching = asyncio.create_task(host.until_worker_ends())
        done, pending = await asyncio.wait((serving, watching), return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        for task in done:
            task.result()


def main(module: str) -> None:
    """Be the contestant's web process, or with the argument `work` one of its workers.

    The peer's module is imported by name: some libraries mind tasks that live in `__main__`.
    """
    peer: Peer = importlib.import_module(f"bench.peers.{module}").PEER
    if sys.argv[1:] == ["work"] and isinstance(peer, PythonPeer):
        worker.main(peer, os.environ)
    else:
        uvloop.run(_contest(peer))
