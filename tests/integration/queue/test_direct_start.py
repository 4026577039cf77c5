"""What a commit makes due it may take: jobs start as they join, callbacks are asked about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

import pytest

from services.queue import command as c
from services.queue import store
from services.queue.claim import Claimed, Entrances
from services.queue.crew import Crew
from services.queue.domain import JobStatus, Node, Phase, Submission
from services.queue.intake import Intake
from services.queue.store import Work
from tests.support import queue_play as play
from tests.support.outbox import waiting_events
from tests.support.postgres import MakeDatabase
from tests.support.queue_world import ACCOUNTS, SUBMISSION, QueueWorld, open_world, request

TEXT_ONLY = Submission("2037188547966406658", (Node("1", "prompt", text="a cat"),), ())
SLOTS = sum(ACCOUNTS.values())
NEVER_S = 3600


@dataclass
class Process:
    """A queue process whose crews note what they are given, and leave it be."""

    world: QueueWorld
    starts: list[Claimed] = field(default_factory=list)
    questions: list[Work] = field(default_factory=list)

    async def create(self, user_id: str = "ana", submission: Submission = TEXT_ONLY) -> UUID:
        """Admit a job that waits for nothing."""
        made = replace(request(user_id), submission=submission)
        return (await self.world.intake.create(made))[0]

    async def status(self, job_id: UUID) -> JobStatus:
        return (await self.world.job(job_id)).status

    async def look_around(self) -> None:
        """Let begin what was taken."""
        await asyncio.sleep(0)


@asynccontextmanager
async def running(world: QueueWorld, *, most: int = 10) -> AsyncIterator[Process]:
    """Run both crews of a process around a world; they find nothing by themselves."""
    process, stop, claims = Process(world), asyncio.Event(), world.claims
    forever = asyncio.Event()

    async def start(item: Claimed) -> None:
        process.starts.append(item)
        await forever.wait()

    async def ask(work: Work) -> None:
        process.questions.append(work)
        await forever.wait()

    async def nothing(_most: int) -> list[Work]:
        return []

    async def no_claims(_most: int) -> list[Claimed]:
        return []

    starts = Crew(no_claims, start, name="start", most=most, poll_s=NEVER_S)
    asks = Crew(nothing, ask, name="ask", most=most, poll_s=NEVER_S)
    world.intake = Intake(
        world.transitions, world.active_limit, world.global_limit, Entrances(claims, starts)
    )
    world.transitions.hand_polls_to(asks)
    tasks = [asyncio.create_task(crew.run(stop)) for crew in (starts, asks)]
    await asyncio.sleep(0)
    try:
        yield process
    finally:
        stop.set()
        forever.set()
        starts.wake()
        asks.wake()
        await asyncio.gather(*tasks)


@pytest.fixture
async def world(make_database: MakeDatabase) -> AsyncIterator[QueueWorld]:
    async with open_world(await make_database(["queue"])) as opened:
        yield opened
        await opened.check()


@pytest.fixture
async def process(world: QueueWorld) -> AsyncIterator[Process]:
    async with running(world) as opened:
        yield opened


async def test_a_job_without_media_is_about_to_be_sent_in_the_commit_that_admits_it(
    process: Process, world: QueueWorld
) -> None:
    job_id = await process.create()
    await process.look_around()
    job = await world.job(job_id)
    assert (job.status, job.current and job.current.phase) == (
        JobStatus.STARTING,
        Phase.SUBMITTING,
    )
    steps = ["upload", "insert", "credits", "queue_check", "queued", "starting"]
    assert await world.steps(job_id) == steps
    (sent,) = [e.payload for e in await waiting_events(world.pool, job_id) if e.HasField("payload")]
    (started,) = process.starts
    assert started.launch is not None
    assert sent.info.exchange_id == str(started.launch.exchange_id)
    assert started.token.encode() not in sent.body
    assert (started.work.job_id, started.work.api_key) == (job_id, f"key-{started.work.account}")


async def test_a_job_with_media_has_its_slot_and_nothing_sent(
    process: Process, world: QueueWorld
) -> None:
    job_id = await process.world.enqueue()
    await process.look_around()
    job = await world.job(job_id)
    assert (job.status, job.current and job.current.phase) == (JobStatus.STARTING, Phase.CLAIMED)
    (started,) = process.starts
    assert (started.launch, started.work.submission) == (None, SUBMISSION)


async def test_nobody_passes_a_job_that_waits(world: QueueWorld) -> None:
    waiting = await world.enqueue()
    async with running(world) as process:
        late = await process.create()
        assert [await process.status(job) for job in (waiting, late)] == [JobStatus.QUEUED] * 2
        assert process.starts == []


async def test_those_for_whom_no_slot_is_left_wait_in_order(process: Process) -> None:
    jobs = await asyncio.gather(*(process.create() for _ in range(SLOTS + 2)))
    await process.look_around()
    started = [job for job in jobs if await process.status(job) is JobStatus.STARTING]
    assert {each.work.job_id for each in process.starts} == set(started)
    rows = await process.world.fetch("SELECT id FROM queue.jobs ORDER BY enqueue_seq")
    assert [row["id"] for row in rows][:SLOTS] == [each.work.job_id for each in process.starts]


async def test_no_more_start_than_this_process_has_room_for(world: QueueWorld) -> None:
    async with running(world, most=1) as process:
        first, second = await process.create(), await process.create()
        assert await process.status(first) is JobStatus.STARTING
        assert await process.status(second) is JobStatus.QUEUED


async def test_a_job_of_a_paused_tool_waits(process: Process, world: QueueWorld) -> None:
    await world.fetch("UPDATE queue.tools SET paused = true WHERE name = 'upscaler'")
    assert await process.status(await process.create()) is JobStatus.QUEUED


async def test_a_job_without_credits_takes_no_slot(process: Process, world: QueueWorld) -> None:
    job_id = await process.create("poor")
    assert await process.status(job_id) is JobStatus.FAILED
    assert process.starts == []
    assert await world.fetch("SELECT 1 FROM queue.slots WHERE job_id IS NOT NULL") == []


async def test_a_callback_is_asked_about_by_the_process_that_books_it(
    process: Process, world: QueueWorld
) -> None:
    job_id = await accepted(process)
    await world.transitions.run(play.callback(job_id, 1, world.now))
    await process.look_around()
    (asked,) = process.questions
    assert (asked.job_id, asked.task_id, asked.callbacks) == (job_id, "7", 1)
    async with world.pool.acquire() as conn:
        assert await store.take_due_polls(conn, world.now, world.now, 10) == []


async def test_a_callback_before_the_reply_is_asked_about_with_the_reply(
    process: Process, world: QueueWorld
) -> None:
    job_id = await process.create()
    await world.transitions.run(play.callback(job_id, 1, world.now))
    assert process.questions == []
    await world.transitions.run(c.Accept(job_id, 1, "7"))
    await process.look_around()
    assert [work.job_id for work in process.questions] == [job_id]


async def test_nobody_asks_while_somebody_else_does(process: Process, world: QueueWorld) -> None:
    job_id = await accepted(process)
    async with world.pool.acquire() as conn:
        until = world.now + timedelta(hours=1)
        later = world.now + timedelta(minutes=30)
        assert await store.take_due_polls(conn, later, until, 10) == [(job_id, 1)]
    await world.transitions.run(play.callback(job_id, 1, world.now))
    await process.look_around()
    assert process.questions == []


async def test_what_nobody_asked_about_is_asked_when_the_question_is_thought_lost(
    process: Process, world: QueueWorld
) -> None:
    job_id = await accepted(process)
    await world.transitions.run(play.callback(job_id, 1, world.now))
    world.later(world.policy.question_s + 1)
    async with world.pool.acquire() as conn:
        assert await store.take_due_polls(conn, world.now, world.now, 10) == [(job_id, 1)]


async def accepted(process: Process) -> UUID:
    job_id = await process.create()
    await process.world.transitions.run(c.Accept(job_id, 1, "7"))
    return job_id
