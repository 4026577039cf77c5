"""The state machine on its database, against a small model: statuses, slots and money agree."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.queue import command as c
from services.queue.claim import Claimed
from services.queue.domain import JobAlreadyFinalError, TooManyActiveJobsError
from tests.support import queue_play as play
from tests.support.postgres import create_database, drop_database
from tests.support.queue_world import SUBMISSION, QueueWorld, open_world

T = TypeVar("T")
PRICE, CREDITS, SLOTS, ACTIVE_LIMIT = 60, 250, 3, 6
FINAL = {"completed", "failed", "cancelled"}
SLOTTED = {"claimed", "submitting", "accepted"}


class QueueModel(RuleBasedStateMachine):
    """Model: a stage for each job, in queue order; a slot for each stage that holds one."""

    server: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.stages: dict[UUID, str] = {}
        self.order: list[UUID] = []
        self.claims: dict[UUID, Claimed] = {}
        self.wants_cancel: set[UUID] = set()
        self.available = CREDITS

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def open(self) -> None:
        self.dsn = self.wait(create_database(self.server, ["queue"]))
        self.world: QueueWorld = self.wait(
            self.stack.enter_async_context(
                open_world(
                    self.dsn,
                    accounts={"only": SLOTS},
                    credits_each=CREDITS,
                    active_limit=ACTIVE_LIMIT,
                )
            )
        )

    def teardown(self) -> None:
        self.wait(self.stack.aclose())
        if hasattr(self, "dsn"):
            self.wait(drop_database(self.dsn))
        self.loop.close()

    def pick(self, index: int, *stages: str) -> UUID | None:
        fitting = [job for job, stage in self.stages.items() if stage in stages]
        return fitting[index % len(fitting)] if fitting else None

    def attempt(self, job: UUID) -> int:
        return self.claims[job].work.attempt

    def run(self, command: c.Command) -> None:
        self.wait(self.world.transitions.run(command))

    def end(self, job: UUID, stage: str) -> None:
        if stage in ("failed", "cancelled") and self.stages[job] not in ("pending",):
            self.available += PRICE
        self.stages[job] = stage

    @rule()
    def create(self) -> None:
        active = sum(stage not in FINAL for stage in self.stages.values())
        if active >= ACTIVE_LIMIT:
            with pytest.raises(TooManyActiveJobsError):
                self.wait(self.world.create())
            return
        self.stages[self.wait(self.world.create())] = "pending"

    @rule(index=st.integers(0, 9))
    def submit(self, index: int) -> None:
        job = self.pick(index, "pending")
        if job is None:
            return
        self.wait(self.world.intake.submit(job, SUBMISSION))
        if self.available < PRICE:
            self.stages[job] = "failed"
            return
        self.available -= PRICE
        self.stages[job] = "queued"
        self.order.append(job)

    @rule(limit=st.integers(1, 4))
    def claim(self, limit: int) -> None:
        free = SLOTS - sum(stage in SLOTTED for stage in self.stages.values())
        waiting = [job for job in self.order if self.stages[job] == "queued"]
        claimed = self.wait(self.world.claim(limit))
        expected = waiting[: min(limit, free)]
        assert [item.work.job_id for item in claimed] == expected
        for item in claimed:
            self.claims[item.work.job_id] = item
            self.stages[item.work.job_id] = "claimed"

    @rule(index=st.integers(0, 9))
    def begin(self, index: int) -> None:
        job = self.pick(index, "claimed")
        if job is not None:
            token = self.claims[job].work.token_sha256
            self.run(c.BeginStart(job, self.attempt(job), token, ""))
            self.stages[job] = "submitting"

    @rule(index=st.integers(0, 9), lost=st.booleans())
    def accept(self, index: int, lost: bool) -> None:
        job = self.pick(index, "submitting")
        if job is None:
            return
        if lost:
            token = self.claims[job].work.token_sha256
            self.run(c.LoseReply(job, self.attempt(job), token))
            self.run(play.callback(job, self.attempt(job), self.world.now))
        else:
            self.run(c.Accept(job, self.attempt(job), "7"))
        self.stages[job] = "accepted"

    @rule(index=st.integers(0, 9))
    def refuse(self, index: int) -> None:
        job = self.pick(index, "submitting", "claimed")
        if job is not None:
            token = self.claims[job].work.token_sha256
            self.run(c.Refuse(job, self.attempt(job), token, play.refusal("node")))
            self.end(job, "cancelled" if job in self.wants_cancel else "failed")

    @rule(index=st.integers(0, 9), how=st.sampled_from(["success", "oom", "running"]))
    def answer(self, index: int, how: str) -> None:
        job = self.pick(index, "accepted")
        if job is None:
            return
        self.run(play.answer(job, self.attempt(job), how))
        if how == "success":
            self.stages[job] = "finalising"
        elif how == "oom":
            self.end(job, "cancelled" if job in self.wants_cancel else "failed")

    @rule(index=st.integers(0, 9), kept=st.booleans())
    def finish(self, index: int, kept: bool) -> None:
        job = self.pick(index, "finalising")
        if job is None:
            return
        if kept:
            self.run(c.SaveOutputs(job, self.attempt(job), [play.OUTPUT]))
            self.stages[job] = "completed"
        else:
            self.run(c.GiveUpOutputs(job, self.attempt(job), "output_unsavable", "disk full"))
            self.end(job, "failed")

    @rule(index=st.integers(0, 9))
    def cancel(self, index: int) -> None:
        job = self.pick(index, *({*SLOTTED, "pending", "queued", "finalising"} | FINAL))
        if job is None:
            return
        if self.stages[job] in FINAL:
            with pytest.raises(JobAlreadyFinalError):
                self.run(c.AskCancel(job, ""))
            return
        self.run(c.AskCancel(job, ""))
        self.wants_cancel.add(job)
        if self.stages[job] in ("pending", "queued", "claimed"):
            self.end(job, "cancelled")

    @rule(index=st.integers(0, 9))
    def expire_claim(self, index: int) -> None:
        job = self.pick(index, "claimed")
        if job is not None:
            # Far enough for the lease, not for any deadline of a test this short.
            self.world.later(31)
            self.run(c.ExpireLease(job, self.attempt(job)))
            self.stages[job] = "queued"

    @precondition(lambda self: hasattr(self, "dsn"))
    @invariant()
    def the_database_agrees(self) -> None:
        rows = self.wait(self.world.fetch("SELECT id, status, phase FROM queue.jobs"))
        seen = {row["id"]: _stage(row["status"], row["phase"]) for row in rows}
        assert seen == self.stages
        (balance,) = self.wait(self.world.fetch("SELECT available FROM queue.balances"))
        assert balance["available"] == self.available
        self.wait(self.world.check())


def _stage(status: str, phase: str | None) -> str:
    return phase or status if status in ("starting", "running") else status


@pytest.fixture
def server(postgres_dsn: str) -> None:
    QueueModel.server = postgres_dsn


@pytest.mark.usefixtures("server")
def test_the_queue_agrees_with_its_model() -> None:
    run_state_machine_as_test(
        QueueModel,
        settings=settings(
            max_examples=20,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
