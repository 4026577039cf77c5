"""A queue without its loops: a pool, the state machine's batches, two tools and three accounts.

Time is a value that tests move; nothing waits.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from etapa_client.names import STEP_NAMES
from services.queue import store
from services.queue.claim import Claimed, Claims
from services.queue.desk import CreateRequest
from services.queue.domain import JobState, MediaFile, Node, Submission
from services.queue.intake import Intake
from services.queue.launch import Launcher
from services.queue.policy import Policy
from services.queue.recorder import Recorder
from services.queue.transitions import Transitions
from services.runtime.blobs import BlobStore
from services.runtime.db import Pool, open_pool
from services.runtime.ids import new_id
from services.runtime.tracing import new_traceparent
from tests.support.outbox import waiting_events

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SUBMISSION = Submission(
    webapp_id="2037188547966406658",
    nodes=(Node("1", "image", media_file="image"), Node("548", "value", text="2048")),
    media=(MediaFile("image", "ab" * 32, 10, "image/jpeg", "photo.jpg", 4, 3),),
)
TOOLS = {"upscaler": 60, "veste_ai": 10}
ACCOUNTS = {"primary": 2, "second": 1}


@dataclass(slots=True)
class QueueWorld:
    """One process of the queue, seen from inside."""

    pool: Pool
    policy: Policy
    # Where bodies too large for a row go.
    blobs: str
    active_limit: int = 1000
    global_limit: int = 0
    now: datetime = START
    transitions: Transitions = field(init=False)
    intake: Intake = field(init=False)

    def __post_init__(self) -> None:
        self.transitions = Transitions(self.pool, self.policy, lambda: self.now)
        self.intake = Intake(self.transitions, self.active_limit, self.global_limit)

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    async def create(
        self, user_id: str = "ana", tool: str = "upscaler", request_id: str = ""
    ) -> UUID:
        """Admit a job."""
        return (await self.intake.create(request(user_id, tool, request_id))).job_id

    async def enqueue(self, user_id: str = "ana", tool: str = "upscaler") -> UUID:
        """Admit and complete a job."""
        job_id = await self.create(user_id, tool)
        await self.intake.submit(job_id, SUBMISSION)
        return job_id

    @property
    def claims(self) -> Claims:
        """Claims of this process, on no provider."""
        launcher = Launcher(Recorder(BlobStore(self.blobs)), public_url="http://gateway.test")
        return Claims(self.transitions, launcher, self.global_limit)

    async def claim(self, limit: int = 100) -> list[Claimed]:
        """Claim what may start."""
        return await self.claims.claim_batch(limit)

    async def grant(self, user_id: str, amount: int, bucket: str = "lifetime") -> None:
        """Give credits, booked as the ledger wants it."""
        async with self.pool.acquire() as conn, conn.transaction():
            await conn.execute(
                "INSERT INTO queue.users (user_id) VALUES ($1) ON CONFLICT DO NOTHING", user_id
            )
            await conn.execute(
                "INSERT INTO queue.ledger VALUES ($1, $2, NULL, $3, 'grant', $4, $5, 'issuance', "
                "'available', $6)",
                new_id(),
                user_id,
                str(new_id()),
                bucket,
                amount,
                self.now,
            )
            await conn.execute(
                "INSERT INTO queue.balances VALUES ($1, $2, $3) ON CONFLICT (user_id, bucket) "
                "DO UPDATE SET available = balances.available + excluded.available",
                user_id,
                bucket,
                amount,
            )

    async def job(self, job_id: UUID) -> JobState:
        """Read a job as the state machine sees it."""
        async with self.pool.acquire() as conn, conn.transaction():
            return (await store.lock_jobs(conn, [job_id]))[job_id]

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """Run a query of the test's own."""
        async with self.pool.acquire() as conn:
            return list(await conn.fetch(query, *args))

    async def steps(self, job_id: UUID) -> list[str]:
        """Return the steps in the outbox, in order."""
        events = await waiting_events(self.pool, job_id)
        return [STEP_NAMES[e.step.step] for e in events if e.HasField("step")]

    async def notes(self, job_id: UUID) -> list[str]:
        """Return the codes of the notes in the outbox, in order."""
        events = await waiting_events(self.pool, job_id)
        return [event.note.code for event in events if event.HasField("note")]

    async def check(self) -> None:
        """Assert what must hold at any time: slots, money, counts, gap-free events."""
        for name, query in INVARIANTS.items():
            broken = await self.fetch(query)
            assert not broken, (name, broken[:3])


def request(user_id: str = "ana", tool: str = "upscaler", request_id: str = "") -> CreateRequest:
    """Return a request to admit a job."""
    return CreateRequest(
        request_id=request_id or str(new_id()),
        caller="test",
        user_id=user_id,
        tool=tool,
        variant="",
        input_json='{"seed":9007199254740993}',
        params_sha256=hashlib.sha256(f"{tool}/{user_id}".encode()).digest(),
        traceparent=new_traceparent(),
        file_names={"image": "photo.jpg"},
    )


@asynccontextmanager
async def open_world(
    dsn: str,
    policy: Policy | None = None,
    *,
    tools: dict[str, int] | None = None,
    accounts: dict[str, int] | None = None,
    users: Sequence[str] = ("ana",),
    credits_each: int = 1_000_000,
    active_limit: int = 1000,
    global_limit: int = 0,
) -> AsyncIterator[QueueWorld]:
    """Fill a migrated database with tools, accounts and users; yield one queue process on it."""
    with tempfile.TemporaryDirectory(prefix="etapa-blobs-") as blobs:
        async with await open_pool(dsn, "test", settings=store.SESSION) as pool:
            await _fill(pool, tools or TOOLS, accounts or ACCOUNTS)
            world = QueueWorld(pool, policy or Policy(), blobs, active_limit, global_limit)
            for user in users:
                if credits_each:
                    await world.grant(user, credits_each)
            yield world


async def _fill(pool: Pool, tools: dict[str, int], accounts: dict[str, int]) -> None:
    async with pool.acquire() as conn, conn.transaction():
        for name, price in tools.items():
            await conn.execute(
                "INSERT INTO queue.tools VALUES ($1, $1 || '_jobs', $1, $1, 'image', "
                "60, 600, 60, 300, 60) ON CONFLICT DO NOTHING",
                name,
            )
            await conn.execute(
                "INSERT INTO queue.prices VALUES ($1, '', $2) ON CONFLICT DO NOTHING", name, price
            )
        for name, slots in accounts.items():
            await conn.execute(
                "INSERT INTO queue.accounts (name, base_url, api_key, slots) "
                "VALUES ($1, 'http://127.0.0.1:1', 'key-' || $1, $2) ON CONFLICT DO NOTHING",
                name,
                slots,
            )
            await conn.execute(
                "INSERT INTO queue.slots (account, slot) SELECT $1, generate_series(1, $2) "
                "ON CONFLICT DO NOTHING",
                name,
                slots,
            )


INVARIANTS = {
    "a slot is held by an open attempt of a job that starts or runs": """
        SELECT s.* FROM queue.slots s LEFT JOIN queue.jobs j
            ON j.id = s.job_id AND j.attempt = s.attempt
         WHERE s.job_id IS NOT NULL
           AND (j.id IS NULL OR j.phase NOT IN ('claimed', 'submitting', 'accepted'))""",
    "every attempt that needs a slot has one": """
        SELECT j.id FROM queue.jobs j LEFT JOIN queue.slots s
            ON s.job_id = j.id AND s.attempt = j.attempt
         WHERE j.phase IN ('claimed', 'submitting', 'accepted') AND s.slot IS NULL""",
    "a job's phase is its attempt's": """
        SELECT j.id FROM queue.jobs j JOIN queue.attempts a
            ON a.job_id = j.id AND a.number = j.attempt
         WHERE j.phase IS DISTINCT FROM a.phase""",
    "a final job's charge is closed exactly once": """
        SELECT j.id FROM queue.jobs j JOIN queue.ledger r ON r.job_id = j.id AND r.kind = 'reserve'
          LEFT JOIN queue.ledger c ON c.job_id = j.id AND c.bucket = r.bucket
            AND c.kind = CASE WHEN j.status = 'completed' THEN 'capture' ELSE 'refund' END
         WHERE j.completed_at IS NOT NULL AND c.amount IS DISTINCT FROM r.amount""",
    "an open job's charge is open": """
        SELECT j.id FROM queue.jobs j JOIN queue.ledger c ON c.job_id = j.id
         WHERE j.completed_at IS NULL AND c.kind IN ('capture', 'refund')""",
    "balances are the sums of their entries": """
        SELECT b.*, l.* FROM queue.balances b JOIN LATERAL (
          SELECT coalesce(sum(amount) FILTER (WHERE credit = 'available'), 0)
               - coalesce(sum(amount) FILTER (WHERE debit = 'available'), 0) AS available,
                 coalesce(sum(amount) FILTER (WHERE credit = 'reserved'), 0)
               - coalesce(sum(amount) FILTER (WHERE debit = 'reserved'), 0) AS reserved
            FROM queue.ledger WHERE user_id = b.user_id AND bucket = b.bucket) l ON true
         WHERE (b.available, b.reserved) <> (l.available, l.reserved)""",
    "a user's active count is the number of open jobs": """
        SELECT u.* FROM queue.users u WHERE u.active <> (
          SELECT count(*) FROM queue.jobs j
           WHERE j.user_id = u.user_id AND j.completed_at IS NULL)""",
    "events are numbered from 1 without a gap, up to the job's seq": """
        SELECT j.id FROM queue.jobs j JOIN LATERAL (
          SELECT coalesce(sum(events), 0) AS n, coalesce(min(first_seq), 1) AS low,
                 coalesce(max(first_seq + events - 1), 0) AS high
            FROM queue.outbox o WHERE o.job_id = j.id) e ON true
         WHERE e.n <> j.seq OR e.low <> 1 OR e.high <> j.seq""",
}
