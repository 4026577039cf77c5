"""The work itself, the same for all peers: what is sent to the provider and what is kept of it.

One statement a commit and one round trip each; connections are held, not reset between uses.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg

from bench.peers.held import Held

Connection = asyncpg.Connection

BODY_BYTES: Final = 2048
STEPS: Final = (
    "upload_received",
    "inserted",
    "credits_reserved",
    "queued",
    "starting",
    "running",
    "webhook_received",
    "completed",
)
BODIES: Final = ("callback", "query", "request", "response")
SIMPLE_RECORDS: Final = 8
SQL: Final = {
    path.stem: path.read_text("utf-8") for path in Path(__file__).parent.glob("sql/*.sql")
}
_OVERTAKEN_PAUSE_S: Final = 0.002
_OVERTAKEN_LIMIT_S: Final = 10.0


class Store:
    """What is kept by hand, over asyncpg connections."""

    def __init__(self, connections: list[Connection]) -> None:
        self.connections = Held(connections)

    @classmethod
    async def connect(cls, dsn: str, size: int) -> Store:
        """Open `size` connections."""
        return cls([await asyncpg.connect(dsn) for _ in range(size)])

    async def close(self) -> None:
        """Close all connections."""
        for connection in self.connections.all:
            await connection.close()

    async def execute(self, name: str, *values: object) -> str:
        """Run the statement in sql/<name>.sql in a transaction of its own; return its tag."""
        async with self.connections.lend() as connection:
            return str(await connection.execute(SQL[name], *values))

    async def record_simple(self, job_id: int) -> None:
        """Keep the eight records of the small benchmark, one commit after the other."""
        for place in range(1, SIMPLE_RECORDS + 1):
            await self.execute("record_simple", job_id, place)


class Provider:
    """The provider's two calls, as RunningHub v2 takes them, over kept connections."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    @classmethod
    def open(cls, url: str, *, connections: int) -> Provider:
        """Open a client. Call it inside the running loop."""
        connector = aiohttp.TCPConnector(limit=connections, limit_per_host=connections)
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Authorization": "Bearer bench", "Content-Type": "application/json"},
        )
        return cls(session, url)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def start(self, request: bytes) -> bytes:
        """Make the start call; return the raw reply."""
        return await self._post("/openapi/v2/run/ai-app/1", request)

    async def query(self, task_id: str) -> bytes:
        """Ask how the task ended; return the raw reply. Raises unless it succeeded."""
        reply = await self._post("/openapi/v2/query", json.dumps({"taskId": task_id}).encode())
        if json.loads(reply)["status"] != "SUCCESS":
            raise RuntimeError(f"the provider does not confirm task {task_id}")
        return reply

    async def times(self) -> dict[str, int]:
        """Return, and make the provider forget, when start calls came: CLOCK_MONOTONIC in ns."""
        async with self._session.get(f"{self._url}/times") as reply:
            times: dict[str, int] = await reply.json(content_type=None)
            return times

    async def _post(self, path: str, body: bytes) -> bytes:
        async with self._session.post(self._url + path, data=body) as reply:
            raw = await reply.read()
            if reply.status != 200:
                raise RuntimeError(f"the provider answered {reply.status} to {path}")
            return raw


def start_request(callback_url: str, job_id: int) -> bytes:
    """Return the body of the start call, 2 KB long; `ref=` is how the stub names its arrival."""
    node = {"nodeId": "1", "fieldName": "text", "fieldValue": f"ref={job_id} "}
    body = {"nodeInfoList": [node], "webhookUrl": f"{callback_url}/{job_id}"}
    node["fieldValue"] += "x" * (BODY_BYTES - len(json.dumps(body)))
    return json.dumps(body).encode()


async def start(store: Store, provider: Provider, callback_url: str, job_id: int) -> None:
    """Do the first half of a job: keep the request, make the call, keep the reply."""
    request = start_request(callback_url, job_id)
    await store.execute("record_step", job_id, 5, STEPS[4], "request", request)
    response = await provider.start(request)
    if not json.loads(response)["taskId"]:
        raise RuntimeError(f"the provider refused job {job_id}")
    await store.execute("record_step", job_id, 6, STEPS[5], "response", response)


async def keep_callback(connection: Connection, job_id: int, body: bytes) -> None:
    """Keep the raw callback. The caller's transaction also holds what carries the job on."""
    await connection.execute(SQL["record_step"], job_id, 7, STEPS[6], "callback", body)


async def finish(store: Store, provider: Provider, job_id: int, task_id: str) -> None:
    """Do the second half of a job: verify by one query, keep its reply, complete."""
    reply = await provider.query(task_id)
    until = time.monotonic() + _OVERTAKEN_LIMIT_S
    while await store.execute("record_completed", job_id, reply) == "INSERT 0 0":
        if time.monotonic() > until:
            raise RuntimeError(f"the start of job {job_id} was never kept")
        # The commit that is waited for may be another process's: there is no event to wait for.
        await asyncio.sleep(_OVERTAKEN_PAUSE_S)
