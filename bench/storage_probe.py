"""Etapa's storage layers alone: the queue's and observability's own code in one process.

No gRPC, no HTTP, no provider: jobs take every transition of the full work, with the same bodies,
and the relay hands its batches to observability's intake by a function call. What is left out is
the gateway's inbox and all transport. A contestant like the others.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import asyncpg

import services
from bench import bodies
from bench import storage_bodies as made
from bench.answering import answer_requests
from bench.catalog.bench_text import STANDARD, TOOL
from bench.etapa_stack import CREDITS, USERS, accounts_setting
from bench.places import HOME
from bench.statements import SQL
from bench.trails_check import check_trails
from etapa.observability.v1 import intake_pb2
from services.observability.delivery import DeliveryIntake
from services.observability.feeds import Feeds
from services.observability.intake import Intake as HistoryIntake
from services.observability.partition import ensure_partitions
from services.observability.settings import Settings as HistorySettings
from services.observability.store import SESSION
from services.observability.wire_intake import batch_from
from services.queue import command as c
from services.queue.callbacks import Callbacks, ReportedCallback
from services.queue.claim import Claimed, Claims, Entrances
from services.queue.crew import Crew
from services.queue.desk import CreateRequest
from services.queue.domain import Change, JobStatus, Submission, TimeLimits
from services.queue.event_stream import EventStream
from services.queue.intake import Intake
from services.queue.launch import Launcher
from services.queue.ledger import Grant, Ledger
from services.queue.operations import Operations
from services.queue.policy import Policy
from services.queue.recorder import Recorder
from services.queue.relay import Relay
from services.queue.store import SESSION as QUEUE_SESSION
from services.queue.store_operations import Announcement
from services.queue.transitions import Transitions
from services.runtime.blobs import BlobStore
from services.runtime.db import Pool, migrate, open_pool
from services.runtime.ids import new_id, token_hash
from services.runtime.log import set_up_logging
from services.runtime.traceparent import new_traceparent

IN_FLIGHT = 500
PUBLIC_URL = "http://127.0.0.1:1"
MAX_CLAIMS = 500


class DirectStream:
    """Stands where the relay's gRPC stream is: batches go to observability by a call."""

    def __init__(self, intake: HistoryIntake) -> None:
        self._intake = intake

    async def send(self, packs: Sequence[bytes]) -> list[intake_pb2.RejectedEvent]:
        """Return once the events are committed; none may be refused."""
        request = intake_pb2.RecordEventsRequest.FromString(b"".join(packs))
        batch = batch_from(request, datetime.now(UTC))
        refused = await self._intake.record(batch.events)
        if refused or batch.rejected:
            raise RuntimeError(f"observability refused {refused or batch.rejected}")
        return []

    async def close(self) -> None:
        """There is nothing to close."""


class StorageProbe:
    """Takes jobs through all their transitions."""

    def __init__(self, queue_pool: Pool, history_pool: Pool, history: HistorySettings) -> None:
        self._pool = queue_pool
        self._transitions = Transitions(queue_pool, Policy(), lambda: datetime.now(UTC))
        blobs = BlobStore(history.blobs)
        claims = Claims(self._transitions, Launcher(Recorder(blobs), public_url=PUBLIC_URL), 0)
        self._crew: Crew[Claimed] = Crew(
            claims.claim_batch, self._start, name="start", most=MAX_CLAIMS, poll_s=1.0
        )
        self._intake = Intake(self._transitions, 1_000_000, 0, Entrances(claims, self._crew))
        self._callbacks = Callbacks(self._transitions)
        self._feeds = Feeds(history_pool, history)
        self._deliveries = DeliveryIntake(history_pool, blobs, lambda: datetime.now(UTC))
        stream = DirectStream(HistoryIntake(history_pool, blobs, self._feeds.told))
        self._relay = Relay(self._transitions, cast(EventStream, stream))
        self._claims: dict[UUID, asyncio.Future[Claimed]] = {}
        self._transitions.listen(self._on_changes)

    async def run(self, jobs: int, in_flight: int = IN_FLIGHT) -> dict[str, Any]:
        """Take `jobs` jobs from their creation to a whole trail."""
        numbers = iter(range(jobs))
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT if in_flight > 64 else in_flight):
                group.create_task(self._work(numbers))
        completed_s = time.monotonic() - began
        async with self._pool.acquire() as conn:
            while int(await conn.fetchval(SQL["count_outbox"]) or 0):  # noqa: ASYNC110
                await asyncio.sleep(0.003)
        return {"seconds": time.monotonic() - began, "jobs": jobs, "completed_s": completed_s}

    async def check(self) -> dict[str, Any]:
        """Prove that all trails are whole."""
        async with self._pool.acquire() as conn:
            return await check_trails(cast("asyncpg.Connection[asyncpg.Record]", conn))

    async def serve(self) -> None:
        """Claim, relay and feed until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._crew.run(asyncio.Event()))
            group.create_task(self._relay.run())
            for loop in self._feeds.loops:
                group.create_task(loop())

    async def _work(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            await self._one_job(number)

    async def _one_job(self, number: int) -> None:
        ref, task_id = uuid.uuid4().hex, str(made.FIRST_TASK + time.monotonic_ns())
        submission = made.submission_of(ref)
        user = USERS[number % len(USERS)]
        job_id = (await self._intake.create(_create_request(ref, user, submission))).job_id
        token = (await self._claim_of(job_id)).token
        del self._claims[job_id]
        run = self._transitions.run
        accepted = made.reply("start", bodies.accepted(task_id))
        await run(c.Accept(job_id, 1, task_id, [accepted]))
        await self._see_callback(token, task_id)
        query = made.request("query", json.dumps({"taskId": task_id}).encode())
        answer = made.reply("query", bodies.succeeded(task_id))
        payloads = [query, answer]
        await run(
            c.Answer(job_id, 1, made.REPORT, made.VERDICT, payloads, b"a" * 32, by_callback=True)
        )

    async def _see_callback(self, token: str, task_id: str) -> None:
        body = bodies.callback(task_id)
        delivery = made.delivery(body)
        await self._deliveries.record([delivery])
        await self._callbacks.report(
            [
                ReportedCallback(
                    delivery_id=delivery.delivery_id,
                    token_sha256=token_hash(token),
                    body_sha256=hashlib.sha256(body).digest(),
                    received_at=datetime.now(UTC),
                    event="TASK_END",
                    task_id=task_id,
                    task_status="SUCCESS",
                    has_output=True,
                    traceparent=new_traceparent(),
                )
            ]
        )

    def _claim_of(self, job_id: UUID) -> asyncio.Future[Claimed]:
        # The claim may be made before the answer to the creation is heard.
        future = asyncio.get_running_loop().create_future()
        return self._claims.setdefault(job_id, future)

    async def _start(self, claimed: Claimed) -> None:
        if claimed.launch is None:
            raise AssertionError("a job without media was claimed without its start")
        self._claim_of(claimed.work.job_id).set_result(claimed)

    def _on_changes(self, changes: Sequence[Change]) -> None:
        if any(each.after.status is JobStatus.QUEUED or each.is_awaited for each in changes):
            self._crew.wake()


def _create_request(ref: str, user: str, submission: Submission) -> CreateRequest:
    return CreateRequest(
        request_id=ref,
        caller="bench",
        user_id=user,
        tool=TOOL.name,
        variant=STANDARD.name,
        input_json=json.dumps({"ref": ref}),
        params_sha256=hashlib.sha256(ref.encode()).digest(),
        traceparent=new_traceparent(),
        submission=submission,
    )


async def prepare(dsn: str, queue_pool: Pool, history_pool: Pool) -> None:
    """Make the schemas, the catalogue, the accounts and the users' credits."""
    for name in ("queue", "observability"):
        await migrate(dsn, name, Path(services.__path__[0]) / name / "migrations")
    await ensure_partitions(history_pool, datetime.now(UTC), 7)
    operations = Operations(queue_pool, lambda: datetime.now(UTC), lambda: None)
    limits = TimeLimits(180, 1800, 120, 600, 300)
    await operations.announce_tools(
        [Announcement(TOOL.name, TOOL.view, "a", "b", "text", limits, {STANDARD.name: 1})]
    )
    await operations.load_accounts(accounts_setting("http://127.0.0.1:1"))
    ledger = Ledger(queue_pool, lambda: datetime.now(UTC))
    await asyncio.gather(
        *(ledger.grant(Grant(str(new_id()), user, "lifetime", CREDITS)) for user in USERS)
    )


async def main(env: Mapping[str, str]) -> None:
    """Prepare the database and answer requests until there are no more."""
    set_up_logging("storage", "INFO")
    dsn = env["BENCH_DATABASE_URL"]
    history = HistorySettings(dsn, blobs=str(HOME / "etapa" / "blobs"))
    async with (
        await open_pool(dsn, "queue", max_size=12, settings=QUEUE_SESSION) as queue_pool,
        await open_pool(
            dsn, "observability", max_size=history.pool_size, settings=SESSION
        ) as history_pool,
    ):
        await prepare(dsn, queue_pool, history_pool)
        probe = StorageProbe(queue_pool, history_pool, history)
        serving = asyncio.create_task(probe.serve())
        await answer_requests(
            {"ready": True, "versions": {}}, {"run": probe.run, "check": probe.check}
        )
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(os.environ))
