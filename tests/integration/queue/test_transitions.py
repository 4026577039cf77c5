"""Transitions on a real database: what each writes, and what the schema keeps true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest

from services.queue import command as c
from services.queue.claim import Claimed
from services.queue.domain import (
    Change,
    JobAlreadyFinalError,
    JobNotPendingError,
    JobStatus,
    Phase,
    RequestIdReusedError,
    StaleAttemptError,
    Step,
    ToolNotFoundError,
    TooManyActiveJobsError,
)
from tests.support import queue_play as play
from tests.support.outbox import waiting_events
from tests.support.postgres import MakeDatabase
from tests.support.queue_world import SUBMISSION, QueueWorld, open_world, request


@pytest.fixture
async def world(make_database: MakeDatabase) -> AsyncIterator[QueueWorld]:
    async with open_world(await make_database(["queue"])) as opened:
        yield opened


async def begin(world: QueueWorld, claimed: Claimed) -> None:
    work = claimed.work
    await world.transitions.run(
        c.BeginStart(work.job_id, work.attempt, work.token_sha256, "", [play.payload()])
    )


async def accept(world: QueueWorld, claimed: Claimed, task_id: str = "7") -> None:
    await begin(world, claimed)
    work = claimed.work
    await world.transitions.run(c.Accept(work.job_id, work.attempt, task_id, [play.payload()]))


async def run_one(world: QueueWorld) -> UUID:
    job_id = await world.enqueue()
    (claimed,) = await world.claim()
    await accept(world, claimed)
    return job_id


async def test_a_job_passes_every_step_in_order(world: QueueWorld) -> None:
    job_id = await run_one(world)
    await world.transitions.run(play.answer(job_id, 1, "success"))
    await world.transitions.run(c.SaveOutputs(job_id, 1, [play.OUTPUT]))
    assert await world.steps(job_id) == [
        "upload",
        "insert",
        "credits",
        "queue_check",
        "queued",
        "starting",
        "running",
        "webhook_received",
        "completed",
    ]
    await world.check()


async def test_the_slot_is_free_before_the_outputs_are_saved(world: QueueWorld) -> None:
    job_id = await run_one(world)
    await world.transitions.run(play.answer(job_id, 1, "success"))
    held = await world.fetch("SELECT 1 FROM queue.slots WHERE job_id IS NOT NULL")
    assert not held
    assert (await world.job(job_id)).status is JobStatus.RUNNING


async def test_a_failure_says_where_and_keeps_the_providers_words(world: QueueWorld) -> None:
    job_id = await run_one(world)
    await world.transitions.run(play.answer(job_id, 1, "oom"))
    job = await world.job(job_id)
    assert (job.status, job.failed_at_step, job.error_class) == (
        JobStatus.FAILED,
        Step.RUNNING,
        "gpu_oom",
    )
    assert job.error_message.startswith("torch.OutOfMemoryError: Allocation on device 0")
    events = await waiting_events(world.pool, job_id)
    (failure,) = [event.step.failure for event in events if event.step.HasField("failure")]
    assert failure.evidence_path == "$.failedReason.exception_message"
    await world.check()


async def test_a_full_account_costs_no_attempt_and_no_place(world: QueueWorld) -> None:
    first, _ = await world.enqueue(), await world.enqueue()
    place = (await world.job(first)).enqueue_seq
    claimed = (await world.claim(limit=1))[0]
    await begin(world, claimed)
    await world.transitions.run(
        c.Refuse(first, 1, claimed.work.token_sha256, play.refusal("full"), [play.payload()])
    )
    job = await world.job(first)
    assert (job.status, job.attempt, job.enqueue_seq) == (JobStatus.QUEUED, 1, place)
    again = await world.claim()
    assert [item.work.job_id for item in again] == [first]
    assert again[0].work.attempt == 1
    await world.check()


async def test_a_resting_account_is_probed_by_one_job(world: QueueWorld) -> None:
    jobs = [await world.enqueue() for _ in range(5)]
    for claimed in await world.claim():
        await begin(world, claimed)
        work = claimed.work
        await world.transitions.run(
            c.Refuse(work.job_id, 1, work.token_sha256, play.refusal("full"), [])
        )
    assert await world.claim() == []
    world.later(100)
    probes = await world.claim()
    assert len(probes) == 2, "one probe an account"
    assert probes[0].work.job_id == jobs[0]
    assert await world.claim() == []
    await accept(world, probes[0])
    assert len(await world.claim()) >= 1
    await world.check()


async def test_an_automatic_retry_keeps_its_place_and_waits_its_back_off(
    world: QueueWorld,
) -> None:
    first = await run_one(world)
    await world.enqueue()
    await world.transitions.run(play.answer(first, 1, "infra"))
    job = await world.job(first)
    assert (job.status, job.retries) == (JobStatus.QUEUED, 1)
    assert job.not_before is not None
    assert job.not_before > world.now
    assert first not in {item.work.job_id for item in await world.claim()}
    world.later(60)
    (again,) = await world.claim()
    assert (again.work.job_id, again.work.attempt) == (first, 2)
    await world.check()


async def test_retries_end_and_the_job_fails(world: QueueWorld) -> None:
    job_id = await run_one(world)
    for attempt in (1, 2, 3):
        await world.transitions.run(play.answer(job_id, attempt, "infra"))
        world.later(120)
        if attempt < 3:
            (claimed,) = await world.claim()
            await accept(world, claimed)
    job = await world.job(job_id)
    assert (job.status, job.attempt) == (JobStatus.FAILED, 3)
    attempts = await world.fetch("SELECT * FROM queue.attempts WHERE job_id = $1", job_id)
    assert len(attempts) == 3
    await world.check()


async def test_a_lost_reply_is_never_sent_again_and_holds_its_slot(world: QueueWorld) -> None:
    job_id = await world.enqueue()
    (claimed,) = await world.claim()
    await begin(world, claimed)
    await world.transitions.run(c.LoseReply(job_id, 1, claimed.work.token_sha256, []))
    world.later(200)
    assert await world.claim() == []
    assert len(await world.fetch("SELECT 1 FROM queue.slots WHERE job_id IS NOT NULL")) == 1
    world.later(200)
    await world.transitions.run(c.CheckDeadline(job_id))
    job = await world.job(job_id)
    assert (job.error_class, job.failed_at_step) == ("submit_unknown", Step.STARTING)
    await world.check()


async def test_a_callback_adopts_the_task_of_a_lost_reply(world: QueueWorld) -> None:
    job_id = await world.enqueue()
    (claimed,) = await world.claim()
    await begin(world, claimed)
    await world.transitions.run(c.LoseReply(job_id, 1, claimed.work.token_sha256, []))
    await world.transitions.run(play.callback(job_id, 1, world.now))
    job = await world.job(job_id)
    assert job.status is JobStatus.RUNNING
    assert job.current is not None
    assert (job.current.task_id, job.current.next_poll_at) == ("7", world.now)
    await world.check()


async def test_a_callback_before_the_reply_is_lost_adopts_the_task(world: QueueWorld) -> None:
    job_id = await world.enqueue()
    (claimed,) = await world.claim()
    await begin(world, claimed)
    await world.transitions.run(play.callback(job_id, 1, world.now))
    job = await world.job(job_id)
    assert job.status is JobStatus.STARTING, "the reply may still come"
    world.later(120)
    await world.transitions.run(c.ExpireLease(job_id, 1))
    job = await world.job(job_id)
    assert job.status is JobStatus.RUNNING
    assert job.current is not None
    assert (job.current.task_id, job.current.next_poll_at) == ("7", world.now)
    await world.check()


async def test_a_late_success_is_delivered_free_and_the_status_stays(world: QueueWorld) -> None:
    job_id = await world.enqueue()
    (claimed,) = await world.claim()
    await begin(world, claimed)
    await world.transitions.run(c.LoseReply(job_id, 1, claimed.work.token_sha256, []))
    world.later(1000)
    await world.transitions.run(c.CheckDeadline(job_id))
    await world.transitions.run(play.callback(job_id, 1, world.now))
    await world.transitions.run(play.answer(job_id, 1, "success"))
    await world.transitions.run(c.SaveOutputs(job_id, 1, [play.OUTPUT]))
    job = await world.job(job_id)
    assert (job.status, job.has_outputs) == (JobStatus.FAILED, True)
    assert "LATE_SUCCESS" in await world.notes(job_id)
    await world.check()


async def test_a_deadline_asks_before_it_fails_a_running_job(world: QueueWorld) -> None:
    job_id = await run_one(world)
    world.later(301)
    await world.transitions.run(c.CheckDeadline(job_id))
    job = await world.job(job_id)
    assert job.status is JobStatus.RUNNING
    await world.transitions.run(play.answer(job_id, 1, "running"))
    await world.transitions.run(c.NoteStop(job_id, 1, []))
    await world.transitions.run(play.answer(job_id, 1, "blank"))
    job = await world.job(job_id)
    assert (job.status, job.error_class, job.failed_at_step) == (
        JobStatus.FAILED,
        "timeout",
        Step.RUNNING,
    )
    await world.check()


async def test_a_result_at_the_deadline_still_completes_the_job(world: QueueWorld) -> None:
    job_id = await run_one(world)
    world.later(301)
    await world.transitions.run(c.CheckDeadline(job_id))
    await world.transitions.run(c.NoteStop(job_id, 1, []))
    await world.transitions.run(play.answer(job_id, 1, "success"))
    await world.transitions.run(c.SaveOutputs(job_id, 1, [play.OUTPUT]))
    assert (await world.job(job_id)).status is JobStatus.COMPLETED


async def test_a_run_that_outlasts_its_usual_time_is_asked_about_faster(world: QueueWorld) -> None:
    await world.fetch("UPDATE queue.tools SET typical_run_s = 80")
    job_id = await run_one(world)
    waits = []
    for later_s in (10, 100):
        world.later(later_s)
        await world.transitions.run(play.answer(job_id, 1, "running"))
        attempt = (await world.job(job_id)).current
        assert attempt is not None
        assert attempt.next_poll_at is not None
        waits.append((attempt.next_poll_at - world.now).total_seconds())
    assert waits == [20, 5]


async def test_an_empty_success_is_asked_about_once_more(world: QueueWorld) -> None:
    job_id = await run_one(world)
    await world.transitions.run(play.answer(job_id, 1, "empty"))
    assert (await world.job(job_id)).status is JobStatus.RUNNING
    await world.transitions.run(play.answer(job_id, 1, "empty"))
    assert (await world.job(job_id)).error_class == "no_output"


async def test_texts_complete_a_job_with_the_answer_that_brings_them(world: QueueWorld) -> None:
    job_id = await run_one(world)
    change = await world.transitions.run(play.answer(job_id, 1, "text"))
    assert change.after.status is JobStatus.COMPLETED
    assert (await world.steps(job_id))[-2:] == ["webhook_received", "completed"]
    events = await waiting_events(world.pool, job_id)
    assert [output.text for output in events[-1].step.outputs] == ["a cat"]
    assert [e.attempt_change.outcome for e in events if e.HasField("attempt_change")][-1] == (
        "succeeded"
    )
    await world.check()


async def test_equal_answers_are_counted_not_stored(world: QueueWorld) -> None:
    job_id = await run_one(world)
    for _ in range(5):
        await world.transitions.run(play.answer(job_id, 1, "running"))
    await world.transitions.run(play.answer(job_id, 1, "success"))
    events = await waiting_events(world.pool, job_id)
    assert [event.repeat.count for event in events if event.HasField("repeat")] == [4]


@pytest.mark.parametrize("stage", ["pending", "queued", "claimed"])
async def test_cancel_is_immediate_while_nothing_was_sent(world: QueueWorld, stage: str) -> None:
    job_id = await world.create()
    if stage != "pending":
        await world.intake.submit(job_id, SUBMISSION)
    if stage == "claimed":
        await world.claim()
    await world.transitions.run(c.AskCancel(job_id, "changed my mind"))
    assert (await world.job(job_id)).status is JobStatus.CANCELLED
    await world.check()


async def test_cancel_of_a_running_job_waits_for_the_provider(world: QueueWorld) -> None:
    job_id = await run_one(world)
    await world.transitions.run(c.AskCancel(job_id, ""))
    assert (await world.job(job_id)).status is JobStatus.RUNNING
    await world.transitions.run(c.NoteStop(job_id, 1, []))
    await world.transitions.run(play.answer(job_id, 1, "blank"))
    assert (await world.job(job_id)).status is JobStatus.CANCELLED
    await world.check()


async def test_cancel_of_a_final_job_is_refused(world: QueueWorld) -> None:
    job_id = await world.enqueue()
    await world.transitions.run(c.AskCancel(job_id, ""))
    with pytest.raises(JobAlreadyFinalError, match="cancelled already"):
        await world.transitions.run(c.AskCancel(job_id, ""))


async def test_a_claim_taken_over_cannot_be_sent_by_its_old_owner(world: QueueWorld) -> None:
    job_id = await world.enqueue()
    (old,) = await world.claim()
    world.later(31)
    await world.transitions.run(c.ExpireLease(job_id, 1))
    (new,) = await world.claim()
    with pytest.raises(StaleAttemptError):
        await begin(world, old)
    await begin(world, new)
    await world.check()


async def test_claims_are_first_in_first_out_over_all_tools(world: QueueWorld) -> None:
    jobs = [await world.enqueue(tool=tool) for tool in ("upscaler", "veste_ai") * 3]
    claimed = []
    while batch := await world.claim(limit=2):
        claimed += [item.work.job_id for item in batch]
        for item in batch:
            await accept(world, item)
            await world.transitions.run(play.answer(item.work.job_id, 1, "oom"))
    assert claimed == jobs


async def test_too_little_balance_fails_at_credits_and_leaves_a_trail(
    make_database: MakeDatabase,
) -> None:
    async with open_world(await make_database(["queue"]), credits_each=59) as world:
        job_id = await world.enqueue()
        job = await world.job(job_id)
        assert (job.status, job.failed_at_step) == (JobStatus.FAILED, Step.CREDITS)
        assert await world.steps(job_id) == ["upload", "insert", "credits", "failed"]
        await world.check()


async def test_a_charge_over_two_buckets_is_refunded_to_both(make_database: MakeDatabase) -> None:
    async with open_world(await make_database(["queue"]), credits_each=0) as world:
        await world.grant("ana", 40, "monthly")
        await world.grant("ana", 40, "lifetime")
        job_id = await world.enqueue()
        await world.transitions.run(c.AskCancel(job_id, ""))
        rows = await world.fetch("SELECT bucket, available, reserved FROM queue.balances")
        assert {tuple(row) for row in rows} == {("monthly", 40, 0), ("lifetime", 40, 0)}
        await world.check()


async def test_the_same_request_id_gives_the_same_job(world: QueueWorld) -> None:
    first = request(request_id="r1")
    results = await asyncio.gather(*(world.intake.create(first) for _ in range(5)))
    assert len({admitted.job_id for admitted in results}) == 1
    assert [admitted.created for admitted in results].count(True) == 1
    with pytest.raises(RequestIdReusedError):
        await world.intake.create(request(tool="veste_ai", request_id="r1"))


async def test_a_submit_with_other_media_is_refused(world: QueueWorld) -> None:
    job_id = await world.enqueue()
    await world.intake.submit(job_id, SUBMISSION)
    other = type(SUBMISSION)(SUBMISSION.webapp_id, SUBMISSION.nodes, (), "plus")
    with pytest.raises(RequestIdReusedError):
        await world.intake.submit(job_id, other)


async def test_one_active_job_too_many_names_the_active_one(make_database: MakeDatabase) -> None:
    async with open_world(await make_database(["queue"]), active_limit=1) as world:
        job_id = await world.create()
        with pytest.raises(TooManyActiveJobsError, match=str(job_id)):
            await world.create()
        await world.transitions.run(c.AskCancel(job_id, ""))
        await world.create()
        await world.check()


async def test_an_unknown_tool_leaves_no_job(world: QueueWorld) -> None:
    with pytest.raises(ToolNotFoundError):
        await world.create(tool="nope")
    assert not await world.fetch("SELECT 1 FROM queue.jobs")


async def test_a_global_limit_holds_beside_the_accounts(make_database: MakeDatabase) -> None:
    async with open_world(await make_database(["queue"]), global_limit=2) as world:
        for _ in range(5):
            await world.enqueue()
        assert len(await world.claim()) == 2
        assert await world.claim() == []


async def test_a_bad_item_does_not_take_its_neighbours_along(world: QueueWorld) -> None:
    jobs = [await world.enqueue() for _ in range(3)]
    commands = [c.AskCancel(job, "") for job in jobs]
    bad = c.RejectMedia(jobs[0], "bad_media", "x", {})
    results = await asyncio.gather(
        *(world.transitions.run(item) for item in (commands[1], bad, commands[2])),
        return_exceptions=True,
    )
    assert isinstance(results[1], JobNotPendingError)
    assert [(await world.job(job)).status for job in jobs[1:]] == [JobStatus.CANCELLED] * 2
    await world.check()


async def test_a_broken_listener_undoes_nothing_and_keeps_nobody_from_hearing(
    world: QueueWorld,
) -> None:
    heard: list[UUID] = []

    def broken(_changes: Sequence[Change]) -> None:
        raise RuntimeError("a listener of ours")

    world.transitions.listen(broken)
    world.transitions.listen(lambda changes: heard.extend(each.after.id for each in changes))
    job_id = await run_one(world)
    await world.transitions.run(play.answer(job_id, 1, "success"))
    assert (await world.job(job_id)).status is JobStatus.RUNNING
    # Admitted, completed, claimed, begun, accepted, answered.
    assert heard == [job_id] * 6
    await world.check()


async def test_a_phase_cannot_be_skipped(world: QueueWorld) -> None:
    job_id = await world.enqueue()
    await world.claim()
    with pytest.raises(StaleAttemptError):
        await world.transitions.run(c.Accept(job_id, 1, "7", []))
    job = await world.job(job_id)
    assert job.current is not None
    assert job.current.phase is Phase.CLAIMED


async def test_the_reply_wins_over_the_task_that_a_callback_named(world: QueueWorld) -> None:
    job_id = await world.enqueue()
    (claimed,) = await world.claim()
    await begin(world, claimed)
    await world.transitions.run(play.callback(job_id, 1, world.now))
    await world.transitions.run(c.Accept(job_id, 1, "8", []))
    job = await world.job(job_id)
    assert job.current is not None
    assert (job.current.task_id, job.current.next_poll_at) == ("8", world.now)


async def test_a_cancelled_start_that_stays_unknown_ends_cancelled(world: QueueWorld) -> None:
    job_id = await world.enqueue()
    (claimed,) = await world.claim()
    await begin(world, claimed)
    await world.transitions.run(c.LoseReply(job_id, 1, claimed.work.token_sha256, []))
    await world.transitions.run(c.AskCancel(job_id, ""))
    world.later(301)
    await world.transitions.run(c.CheckDeadline(job_id))
    assert (await world.job(job_id)).status is JobStatus.CANCELLED
    await world.check()


async def test_a_wrong_key_ends_a_job_at_starting_and_says_what_to_do(world: QueueWorld) -> None:
    job_id = await world.enqueue()
    for claimed in await world.claim():
        await begin(world, claimed)
        work = claimed.work
        await world.transitions.run(
            c.Refuse(work.job_id, 1, work.token_sha256, play.refusal("key"), [])
        )
    world.later(601)
    await world.transitions.run(c.CheckDeadline(job_id))
    job = await world.job(job_id)
    assert (job.failed_at_step, job.error_class) == (Step.STARTING, "account_unauthorized")
    assert "set the account's key" in job.error_message
    await world.check()
