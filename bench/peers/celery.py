"""Celery with Redis: a contestant. Its queue is not durable: Redis keeps it in memory.

Submit and callback commit their rows first and publish then, as Celery has no transaction to share.
Tuned as its docs say (5.7, read 2026-11-24):
- userguide/optimizing "Prefetch Limits": 64 for many short tasks; early acknowledgement.
- userguide/optimizing "Broker Connection Pools": as many as threads that publish.
- userguide/optimizing "Using Transient Queues": delivery mode 1.
- userguide/tasks "Ignore results you don't want": no result backend.
- userguide/concurrency: threads, for I/O. Its tasks are no coroutines, so they wait for ours on one
  loop a worker; prefork does the same with a loop in each child, and was slower here.
- history/whatsnew-3.1, reference/cli: no gossip, mingle, heartbeat or events, as nobody listens.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import threading
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import celery
import uvloop
from celery.signals import worker_ready

from bench.peers import host, work
from bench.peers.peer import Done, Settings
from bench.peers.python_peer import PythonPeer
from bench.peers.worker import say_ready

_THREADS = 32
_WEB_CONNECTIONS = 16
_WORKER_CONNECTIONS = 24
# setpriv is in Debian's util-linux: no Redis outlives a web process that is killed.
_ENDS_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM")
_REDIS_POLL_S = 0.02
_REDIS_LIMIT_S = 20.0


def _app(settings: Settings) -> celery.Celery:
    app = celery.Celery("bench", broker=settings.broker_url)
    app.conf.update(
        task_ignore_result=True,
        task_default_delivery_mode="transient",
        worker_prefetch_multiplier=64,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        broker_pool_limit=_THREADS,
        broker_connection_retry_on_startup=True,
    )
    return app


class Celery(PythonPeer):
    """Tasks start, finish and simple; a Redis of its own, on a socket."""

    module: ClassVar[str] = "celery"
    packages: ClassVar[tuple[str, ...]] = ("celery", "kombu", "redis", "asyncpg", "uvloop")
    _app: celery.Celery
    _store: work.Store
    _redis: Process
    _folder: Path
    _version: str

    def versions(self) -> dict[str, str]:
        """Return the server's version too."""
        return {"redis-server": self._version}

    async def prepare(self, settings: Settings) -> Settings:
        """Start Redis, which keeps nothing on disk."""
        self._version = await _redis_version()
        self._folder = Path(tempfile.mkdtemp(prefix="bench-redis-"))
        path = self._folder / "redis.sock"
        options = ("--port", "0", "--save", "", "--appendonly", "no", "--unixsocket", str(path))
        self._redis = await asyncio.create_subprocess_exec(
            *_ENDS_WITH_PARENT, "redis-server", *options, "--dir", str(self._folder), stdout=DEVNULL
        )
        self.opened.push_async_callback(self._end_redis)
        await _wait_for(path)
        return replace(settings, broker_url=f"redis+socket://{path}")

    async def open(self, settings: Settings) -> None:
        """Connect."""
        self._store = await work.Store.connect(settings.database_url, _WEB_CONNECTIONS)
        self.opened.push_async_callback(self._store.close)
        self._app = _app(settings)

    async def submit(self, job_id: int) -> None:
        """Keep the first steps, then publish."""
        await self._store.execute("record_submit", job_id)
        self._app.send_task("start", (job_id,))

    async def submit_simple(self, job_id: int) -> None:
        """Publish."""
        self._app.send_task("simple", (job_id,))

    async def carry_on(self, job_id: int, task_id: str, body: bytes) -> None:
        """Keep the callback, then publish."""
        async with self._store.connections.lend() as connection:
            await work.keep_callback(connection, job_id, body)
        self._app.send_task("finish", (job_id, task_id))

    async def _end_redis(self) -> None:
        self._redis.terminate()
        await self._redis.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def work(self, settings: Settings, number: int, done: Done) -> None:
        """Run its worker on threads, and one event loop beside them."""
        app = _app(settings)
        _Tasks(settings, done).add_to(app)
        worker_ready.connect(lambda **_: say_ready(), weak=False)
        logging.basicConfig(level=logging.WARNING)
        flags = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        pool = ("--pool", "threads", "--concurrency", str(_THREADS))
        app.worker_main(
            ["worker", *pool, *flags, "--hostname", f"bench{number}@%h", "--loglevel", "WARNING"]
        )


class _Tasks:
    """The tasks' bodies: coroutines on one loop, which Celery's threads wait for."""

    def __init__(self, settings: Settings, done: Done) -> None:
        self._settings = settings
        self._done = done
        self._loop = uvloop.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._store, self._provider = self._wait(self._open())

    def add_to(self, app: celery.Celery) -> None:
        """Register the three tasks."""
        app.task(self.start, name="start")
        app.task(self.finish, name="finish")
        app.task(self.simple, name="simple")

    def start(self, job_id: int) -> None:
        """Do the first half of a job."""
        url = self._settings.callback_url
        self._wait(work.start(self._store, self._provider, url, job_id))

    def finish(self, job_id: int, task_id: str) -> None:
        """Do the second half of a job."""
        self._wait(work.finish(self._store, self._provider, job_id, task_id))
        self._done.tell()

    def simple(self, job_id: int) -> None:
        """Keep the eight records."""
        self._wait(self._store.record_simple(job_id))
        self._done.tell()

    async def _open(self) -> tuple[work.Store, work.Provider]:
        store = await work.Store.connect(self._settings.database_url, _WORKER_CONNECTIONS)
        return store, work.Provider.open(self._settings.provider_url, connections=_THREADS)

    def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


async def _wait_for(path: Path) -> None:
    until = time.monotonic() + _REDIS_LIMIT_S
    while not path.exists():  # noqa: ASYNC240 - a look into a local folder
        if time.monotonic() > until:
            raise RuntimeError("redis-server does not listen")
        await asyncio.sleep(_REDIS_POLL_S)


async def _redis_version() -> str:
    process = await asyncio.create_subprocess_exec(
        "redis-server", "--version", stdout=asyncio.subprocess.PIPE
    )
    text, _ = await process.communicate()
    return text.decode().partition("v=")[2].split()[0]


PEER = Celery()

if __name__ == "__main__":
    host.main("celery")
