"""A batch equals its items one by one: jobs, attempts, slots, ledger, counts and events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etapa.observability.v1 import event_pb2
from services.queue import command as c
from services.queue.claim import Claimed
from services.queue.domain import Submission
from services.runtime.errors import EtapaError
from tests.support import queue_play as play
from tests.support.outbox import waiting_events
from tests.support.postgres import MakeDatabase
from tests.support.queue_world import SUBMISSION, QueueWorld, open_world, request

USERS = ("ana", "bia", "caio")
JOBS = 6
OPS = (
    "begin",
    "accept",
    "lose",
    "release",
    "miss",
    "refuse-full",
    "refuse-node",
    "refuse-busy",
    "callback",
    "answer-running",
    "answer-success",
    "answer-text",
    "answer-empty",
    "answer-oom",
    "answer-infra",
    "answer-blank",
    "stop",
    "save",
    "give-up",
    "cancel",
    "deadline",
    "lease",
    "reject",
)
REQUEST_ID = "(SELECT request_id FROM queue.requests q WHERE q.job_id = x.job_id)"
Op = tuple[str, int]
ops = st.tuples(st.sampled_from(OPS), st.integers(0, JOBS - 1))
groups = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.lists(st.integers(0, JOBS - 1), max_size=5)),
        st.tuples(st.just("order"), st.lists(st.integers(0, JOBS - 1), max_size=5)),
        st.tuples(st.just("submit"), st.lists(st.integers(0, JOBS - 1), max_size=5)),
        st.tuples(st.just("claim"), st.integers(1, 4)),
        st.tuples(st.just("run"), st.lists(ops, max_size=8)),
        st.tuples(st.just("later"), st.sampled_from([1, 20, 90, 400])),
    ),
    min_size=4,
    max_size=25,
)


@dataclass
class Player:
    """Plays groups of operations; in batches, or each item by itself."""

    world: QueueWorld
    in_batches: bool
    jobs: dict[int, UUID] = field(default_factory=dict)
    tokens: dict[UUID, Claimed] = field(default_factory=dict)

    async def play(self, group: tuple[str, Any]) -> None:
        kind, items = group
        if kind == "later":
            self.world.later(items)
        elif kind == "claim":
            for limit in [items] if self.in_batches else [1] * items:
                for claimed in await self.world.claim(limit):
                    self.tokens[claimed.work.job_id] = claimed
        else:
            await self._each([self._task(kind, item) for item in items])

    async def _each(self, tasks: Sequence[Callable[[], Awaitable[None]]]) -> None:
        if self.in_batches:
            await asyncio.gather(*(task() for task in tasks))
            return
        for task in tasks:
            await task()

    def _task(self, kind: str, item: Any) -> Callable[[], Awaitable[None]]:
        async def act() -> None:
            try:
                if kind == "create":
                    await self._create(item)
                elif kind == "order":
                    await self._create(item, SUBMISSION)
                elif kind == "submit" and item in self.jobs:
                    await self.world.intake.submit(self.jobs[item], SUBMISSION)
                elif kind == "run" and item[1] in self.jobs:
                    await self.world.transitions.run(self._command(*item))
            except EtapaError:
                # Both players are refused the same: the snapshots tell.
                return

        return act

    async def _create(self, index: int, submission: Submission | None = None) -> None:
        request_id = f"{'o' if submission else 'r'}{index}"
        wanted = request(USERS[index % len(USERS)], request_id=request_id)
        wanted = replace(wanted, submission=submission)
        self.jobs[index] = (await self.world.intake.create(wanted)).job_id

    def _command(self, op: str, index: int) -> c.Command:
        job_id = self.jobs[index]
        held = self.tokens.get(job_id)
        attempt = held.work.attempt if held else 1
        token = held.work.token_sha256 if held else b"0" * 32
        name, _, what = op.partition("-")
        if name == "refuse":
            return c.Refuse(job_id, attempt, token, play.refusal(what), [play.payload()])
        if name == "answer":
            return play.answer(job_id, attempt, what)
        others: dict[str, c.Command] = {
            "begin": c.BeginStart(job_id, attempt, token, "", [play.payload()]),
            "accept": c.Accept(job_id, attempt, "7", [play.payload()]),
            "lose": c.LoseReply(job_id, attempt, token, []),
            "release": c.Release(job_id, attempt, token, "the database was away"),
            "callback": play.callback(job_id, attempt, self.world.now),
            "miss": c.MissAnswer(job_id, attempt, "HTTP 502", [play.payload()]),
            "stop": c.NoteStop(job_id, attempt, []),
            "save": c.SaveOutputs(job_id, attempt, [play.OUTPUT]),
            "give": c.GiveUpOutputs(job_id, attempt, "output_unsavable", "disk full"),
            "cancel": c.AskCancel(job_id, ""),
            "deadline": c.CheckDeadline(job_id),
            "lease": c.ExpireLease(job_id, attempt),
            "reject": c.RejectMedia(job_id, "bad_media", "not an image", {}),
        }
        return others[name]

    async def snapshot(self) -> dict[str, list[Any]]:
        """Return all that must be equal, with jobs named by their request ids."""
        fetch, names = self.world.fetch, REQUEST_ID
        queries = {
            "jobs": f"SELECT {names}, status, current_step, failed_at_step, error_class,"
            " attempt, phase, retries, not_before, deadline_at, completed_at, charge, outputs, seq,"
            " enqueue_seq, waiting_seq FROM (SELECT *, id AS job_id FROM queue.jobs) x ORDER BY 1",
            "attempts": f"SELECT {names}, number, account, slot, phase, outcome, error_class,"
            " is_unknown, task_id, lease_until, next_poll_at, polls, poll_repeats, callbacks,"
            " stop_for, ended_at FROM queue.attempts x ORDER BY 1, 2",
            "slots": f"SELECT account, slot, attempt, {names} FROM queue.slots x ORDER BY 1, 2",
            "ledger": f"SELECT {names}, kind, bucket, amount, user_id FROM queue.ledger x"
            " WHERE kind <> 'grant' ORDER BY 1, 2, 3",
            "balances": "SELECT user_id, bucket, available, reserved FROM queue.balances"
            " ORDER BY 1, 2",
            "users": "SELECT user_id, active FROM queue.users ORDER BY 1",
            "accounts": "SELECT name, health, rests_until, strikes FROM queue.accounts ORDER BY 1",
        }
        shots = {k: [tuple(row) for row in await fetch(query)] for k, query in queries.items()}
        rows = await fetch("SELECT job_id::text AS id, request_id FROM queue.requests")
        request_ids = {row["id"]: row["request_id"] for row in rows}
        shots["events"] = sorted(
            (
                request_ids[e.job_id],
                e.seq,
                e.WhichOneof("kind"),
                e.attempt,
                e.step.step,
                e.note.code,
            )
            for e in await waiting_events(self.world.pool)
        )
        return shots


def code(event: event_pb2.Event) -> str:
    """Return a note's code."""
    return event.note.code


async def reset(world: QueueWorld) -> None:
    """Empty what a play fills, and give credits anew."""
    await world.fetch(
        "TRUNCATE queue.jobs, queue.requests, queue.submissions, queue.attempts, queue.ledger,"
        " queue.balances, queue.users, queue.outbox, queue.callbacks, queue.slots"
    )
    await world.fetch(
        "INSERT INTO queue.slots SELECT name, generate_series(1, slots) FROM queue.accounts"
    )
    await world.fetch(
        "UPDATE queue.accounts SET health = 'ok', rests_until = NULL, strikes = 0, last_error = ''"
    )
    await world.fetch("UPDATE queue.gate SET enqueue_seq = 0")
    for user in USERS:
        await world.grant(user, 150)


# Two databases an example, and each connection asks for the row types once.
@pytest.mark.timeout(400)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(play_groups=groups)
async def test_a_batch_equals_its_items_one_by_one(
    make_database: MakeDatabase, play_groups: list[tuple[str, Any]]
) -> None:
    shots = []
    for in_batches in (True, False):
        async with open_world(await make_database(["queue"]), credits_each=0) as world:
            await reset(world)
            player = Player(world, in_batches)
            for group in play_groups:
                await player.play(group)
            await world.check()
            shots.append(await player.snapshot())
    assert shots[0] == shots[1]
