"""Runs 50 jobs through each peer and checks them: `python -m bench.peers.selftest DSN [PEER …]`.

DSN names a server, on which a database is made and dropped for each contestant. Also prints rates,
so that settings can be compared: --jobs, --in-flight, --workers, --simple, --idle, --rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import uuid
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from bench.peers.idle import WARM_UP

PEERS = ("pgqueuer", "procrastinate", "graphile_worker", "celery", "dbos")
_ANSWER_LIMIT_S = 600.0
Figures = dict[str, list[float]]


class Contestant:
    """One peer as a subprocess."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def read(self) -> dict[str, Any]:
        """Return its next answer."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        line = await asyncio.wait_for(self._process.stdout.readline(), _ANSWER_LIMIT_S)
        if not line:
            raise RuntimeError(f"the contestant ended with {await self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def ask(self, **command: object) -> dict[str, Any]:
        """Give a command; return the answer."""
        self._write(command)
        return await self.read()

    async def stop(self) -> None:
        """Let it end; raise unless it exits with 0."""
        self._write({"do": "stop"})
        code = await asyncio.wait_for(self._process.wait(), 60)
        if code:
            raise RuntimeError(f"the contestant ended with {code}")

    async def kill(self) -> None:
        """End it, if it has not ended."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    def _write(self, command: object) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(json.dumps(command).encode() + b"\n")


async def _contest(peer: str, options: argparse.Namespace, provider: str) -> Figures:
    name = f"selftest_{uuid.uuid4().hex}"
    server = await asyncpg.connect(options.dsn)
    await server.execute(f'CREATE DATABASE "{name}"')
    env = {
        **os.environ,
        "BENCH_DATABASE_URL": urlunsplit(urlsplit(options.dsn)._replace(path=f"/{name}")),
        "BENCH_PROVIDER_URL": provider,
        "BENCH_WORKERS": str(options.workers),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"bench.peers.{peer}", env=env, stdin=PIPE, stdout=PIPE
    )
    contestant = Contestant(process)
    try:
        await contestant.read()
        return await _measure(contestant, options)
    finally:
        await contestant.kill()
        await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await server.close()


async def _measure(contestant: Contestant, options: argparse.Namespace) -> Figures:
    figures: Figures = {}
    run = await contestant.ask(do="run", jobs=options.jobs, in_flight=options.in_flight)
    figures["full work, jobs/s"] = [run["jobs"] / run["seconds"]]
    if options.idle:
        idle = (await contestant.ask(do="idle", jobs=options.idle))["latencies_ms"]
        figures["idle p50, ms"] = [statistics.median(idle)]
        figures["idle p99, ms"] = [sorted(idle)[int(len(idle) * 0.99)]]
    found = await contestant.ask(do="check")
    expected = options.jobs + (options.idle + WARM_UP if options.idle else 0)
    if found["bad"] or found["jobs"] != expected:
        raise RuntimeError(f"check: {found}")
    if options.simple:
        simple = await contestant.ask(do="simple", jobs=options.simple)
        figures["simple, jobs/s"] = [simple["jobs"] / simple["seconds"]]
    await contestant.stop()
    return figures


async def main(options: argparse.Namespace) -> None:
    """Run the rounds, interleaved, and print each peer's medians."""
    stub = await asyncio.create_subprocess_exec(*options.provider.split(), stdin=PIPE, stdout=PIPE)
    assert stub.stdout is not None  # noqa: S101 - it is a pipe
    assert stub.stdin is not None  # noqa: S101 - it is a pipe
    provider = json.loads(await stub.stdout.readline())["url"]
    seen: dict[str, Figures] = defaultdict(lambda: defaultdict(list))
    for _ in range(options.rounds):
        for peer in options.peers or PEERS:
            for figure, values in (await _contest(peer, options, provider)).items():
                seen[peer][figure] += values
    for peer, figures in seen.items():
        text = ", ".join(f"{name} {statistics.median(of):.1f}" for name, of in figures.items())
        print(f"{peer}: checked, {text}", flush=True)
    stub.stdin.close()
    await stub.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peers.selftest")
    parser.add_argument("dsn")
    parser.add_argument("peers", nargs="*", metavar="peer", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--provider", default=f"{sys.executable} -m bench.provider")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--simple", type=int, default=50)
    parser.add_argument("--idle", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(_options()))
