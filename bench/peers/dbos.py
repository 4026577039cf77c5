"""DBOS: a contestant. A job is a workflow; its steps' outputs and its messages are DBOS's own.

Our rows of the first four steps commit with the enqueue, and the callback with the send, by the
PL/pgSQL functions of explanations/system-tables. The bodies of request, response and query are what
the steps `starting`, `running` and `completed` return; `webhook_received` is a message.
Tuned as its docs say (3.4, read 2026-11-24):
- tutorials/queue-tutorial "Managing Concurrency": worker_concurrency bounds a worker.
- reference/queues: polling_interval_sec, 1 s by default, is what an idle queue waits.
- reference/configuration: use_listen_notify (default) for messages, sys_db_pool_size as it is (12
  to 50 made no difference), an executor_id a process, one application_version.
- tutorials/workflow-tutorial "Coroutine (Async) Workflows": coroutines, as the work is I/O.
- reference/contexts "Custom Serialization": its portable JSON, so that bodies stay as long as they
  are instead of being pickled and put into Base64.
"""

from __future__ import annotations

import threading
from typing import ClassVar

import uvloop
from dbos import (
    DBOS,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    WorkflowSerializationFormat,
)

from bench.peers import host, work
from bench.peers.peer import Done, Settings
from bench.peers.python_peer import PythonPeer
from bench.peers.worker import say_ready

_QUEUE = "bench"
_CONCURRENCY = 32
_POLL_S = 0.02
_WEB_CONNECTIONS = 16
_CALLBACK_LIMIT_S = 600


def _config(settings: Settings, number: int) -> DBOSConfig:
    return {
        "name": "bench",
        "system_database_url": settings.database_url,
        "application_version": "bench",
        "executor_id": f"worker-{number}",
        "serializer": DBOSPortableJSONSerializer(),
        "log_level": "WARNING",
    }


class Dbos(PythonPeer):
    """Workflows full and simple on one queue."""

    module: ClassVar[str] = "dbos"
    packages: ClassVar[tuple[str, ...]] = ("dbos", "SQLAlchemy", "psycopg", "asyncpg", "uvloop")
    check_sql: ClassVar[str] = "check_dbos"
    _store: work.Store

    async def open(self, settings: Settings) -> None:
        """Connect."""
        self._store = await work.Store.connect(settings.database_url, _WEB_CONNECTIONS)
        self.opened.push_async_callback(self._store.close)

    async def submit(self, job_id: int) -> None:
        """Keep the first steps and enqueue, in one statement."""
        await self._store.execute("dbos_submit", job_id, f"full-{job_id}")

    async def submit_simple(self, job_id: int) -> None:
        """Enqueue."""
        await self._store.execute("dbos_submit_simple", job_id, f"simple-{job_id}")

    async def carry_on(self, job_id: int, task_id: str, body: bytes) -> None:
        """Keep the callback and send the message, in one statement."""
        await self._store.execute("dbos_send", job_id, f"full-{job_id}", task_id, body)

    def work(self, settings: Settings, number: int, done: Done) -> None:
        """Launch it and listen to the queue."""
        uvloop.install()
        DBOS(config=_config(settings, number))
        _add_workflows(settings, done)
        DBOS.launch()
        DBOS.register_queue(_QUEUE, worker_concurrency=_CONCURRENCY, polling_interval_sec=_POLL_S)
        say_ready()
        threading.Event().wait()


def _add_workflows(settings: Settings, done: Done) -> None:
    calls = _Calls(settings)

    @DBOS.step(name="starting")
    async def starting(job_id: int) -> str:
        return work.start_request(settings.callback_url, job_id).decode()

    @DBOS.step(name="running")
    async def running(request: str) -> str:
        return (await calls.provider().start(request.encode())).decode()

    @DBOS.step(name="completed")
    async def completed(task_id: str) -> str:
        return (await calls.provider().query(task_id)).decode()

    @DBOS.workflow(name="full", serialization_type=WorkflowSerializationFormat.PORTABLE)
    async def full(job_id: int) -> None:
        await running(await starting(job_id))
        task_id = await DBOS.recv_async("callback", timeout_seconds=_CALLBACK_LIMIT_S)
        await completed(task_id)
        done.tell()

    @DBOS.step(name="record")
    async def record(place: int) -> int:
        return place

    @DBOS.workflow(name="simple", serialization_type=WorkflowSerializationFormat.PORTABLE)
    async def simple(job_id: int) -> None:
        for place in range(work.SIMPLE_RECORDS):
            await record(place)
        done.tell()


class _Calls:
    """The HTTP client; made inside DBOS's loop, at its first use there."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.provider_url
        self._provider: work.Provider | None = None

    def provider(self) -> work.Provider:
        """Return the client."""
        if self._provider is None:
            self._provider = work.Provider.open(self._url, connections=_CONCURRENCY)
        return self._provider


PEER = Dbos()

if __name__ == "__main__":
    host.main("dbos")
