"""Restarts in order, and a Postgres that is gone for a while: callers are told, jobs go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from etapa.queue.v1 import job_pb2
from etapa_client.errors import UnavailableError
from services.cli.supervisor import State
from tests.support.collect import collect, own_troubles
from tests.support.judge import complaints
from tests.support.many_jobs import Media, Order, grant, orders, see_through, submit, until_final
from tests.support.waiting import eventually
from tests.support.whole_stack import Rig, running_rig

USERS = 6
SEED = 20261126
TOTAL = 10
# With all of the SDK's own repeats, and for an upload with those of the tools service in each.
AT_ONCE_S, UPLOAD_S = 3.0, 15.0

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(180)]
ENV = {"ETAPA_QUEUE_USER_ACTIVE_LIMIT": "4", "ETAPA_EMULATOR_TIME_SCALE": "0.05"}


async def judge(rig: Rig) -> list[str]:
    return [*complaints(await collect(rig, TOTAL)), *await own_troubles(rig)]


async def test_every_service_restarts_in_order_while_jobs_go_on(tmp_path: Path) -> None:
    async with running_rig(tmp_path, time_scale=0.1, replicas={"queue": 2}, env=ENV) as rig:
        await grant(rig.client, USERS)
        async with asyncio.TaskGroup() as group:
            wanted = orders(Media.make(tmp_path), USERS, SEED)
            jobs = group.create_task(see_through(rig.client, wanted, uploads=2))
            await rig.admin.wait_for("start_accepted", times=3)
            for name in rig.stack.names:
                if name not in ("emulator", "postgres"):
                    await rig.stack.restart(name)
        wrong = await judge(rig)
        assert not wrong, "\n".join(wrong)
        assert {job.status for job in jobs.result()} == {job_pb2.JOB_STATUS_COMPLETED}
        # Whoever is told to end drains: nobody had to be killed, no start was left unknown.
        assert not [change for change in rig.changes if "killed" in change.text]


async def test_a_postgres_that_is_gone_is_told_at_once_and_comes_back(tmp_path: Path) -> None:
    async with running_rig(tmp_path, time_scale=0.1, env=ENV) as rig:
        await grant(rig.client, USERS)
        media = Media.make(tmp_path)
        await rig.admin.add_fault("slow_run", seconds=200)
        wanted = orders(media, USERS, SEED)
        ids = [await submit(rig.client, order) for order in wanted[:4]]
        await rig.admin.wait_for("start_accepted", times=4)
        starts = starts_of(rig)

        await rig.stack.stop_one("postgres")
        await told_at_once(rig.client.queue.get_job(ids[0]))
        await told_at_once(run(rig, wanted[4]), UPLOAD_S)
        await told_at_once(rig.client.queue.get_queue())
        await told_at_once(rig.client.credits.get_balance("user-0"))
        await told_at_once(rig.client.trail.get_trail(ids[0]))
        assert await post_callback(rig) == 503
        # The provider finishes meanwhile; its callbacks meet a 503, too.
        await rig.admin.wait_for("callback_sent", http_status=503)

        rig.stack.start_one("postgres")
        await rig.stack.wait_ready(60, ["postgres"])
        late = await submit(rig.client, wanted[4])
        for job_id in (*ids, late):
            job = await until_final(rig.client, job_id)
            assert job.status == job_pb2.JOB_STATUS_COMPLETED
        assert await post_callback(rig) == 200
        assert starts_of(rig) == starts
        wrong = await judge(rig)
        assert not wrong, "\n".join(wrong)


async def test_a_queue_that_is_down_leaves_callbacks_in_the_inbox(tmp_path: Path) -> None:
    async with running_rig(tmp_path, time_scale=0.1, env=ENV) as rig:
        await grant(rig.client, USERS)
        (order, *_) = orders(Media.make(tmp_path), 1, SEED)
        job_id = await submit(rig.client, order)
        await rig.admin.wait_for("start_accepted")
        await running(rig, job_id)
        await rig.stack.stop_one("queue")
        await rig.admin.wait_for("callback_sent", delivered=True)
        (row,) = await rig.fetch(
            """SELECT (SELECT count(*) FROM webhook.arrivals)
                    + (SELECT count(*) FROM webhook.forwards WHERE peer = 'queue') AS count"""
        )
        assert row["count"] == 1
        rig.stack.start_one("queue")
        job = await until_final(rig.client, job_id)
        assert job.status == job_pb2.JOB_STATUS_COMPLETED
        wrong = await judge(rig)
        assert not wrong, "\n".join(wrong)


async def test_jobs_go_on_without_observability_and_their_history_follows(tmp_path: Path) -> None:
    async with running_rig(tmp_path, time_scale=0.1, env=ENV) as rig:
        await grant(rig.client, 1)
        await rig.stack.stop_one("observability")
        jobs = await see_through(rig.client, orders(Media.make(tmp_path), 1, SEED))
        assert {job.status for job in jobs} == {job_pb2.JOB_STATUS_COMPLETED}
        (row,) = await rig.fetch("SELECT sum(events) AS count FROM queue.outbox")
        assert row["count"] >= sum(job.seq for job in jobs)
        rig.stack.start_one("observability")
        await rig.stack.wait_ready(60, ["observability"])
        wrong = await judge(rig)
        assert not wrong, "\n".join(wrong)


async def told_at_once(call: Awaitable[Any], within_s: float = AT_ONCE_S) -> None:
    """Assert that a call is refused as unavailable, and does not make its caller wait."""
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        await call
    assert time.monotonic() - began < within_s


async def run(rig: Rig, order: Order) -> None:
    await rig.client.tools.run(
        order.tool, order.inputs, order.media, order.user_id, order.request_id
    )


async def running(rig: Rig, job_id: str) -> None:
    async def is_running() -> bool:
        job = await rig.client.queue.get_job(job_id)
        return job.status == job_pb2.JOB_STATUS_RUNNING

    await eventually(is_running)


async def post_callback(rig: Rig) -> int:
    url = f"{rig.gateway}/runninghub/{'z' * 43}"
    async with rig.http.post(url, data=b"{}") as reply:
        await reply.read()
        return reply.status


def starts_of(rig: Rig) -> dict[str, int]:
    """Return how often each service was started; none but the database may start again."""
    names = [name for name in rig.stack.names if name != "postgres"]
    keepers = {name: rig.stack.keeper(name) for name in names}
    assert {keeper.state for keeper in keepers.values()} == {State.READY}
    return {name: keeper.starts for name, keeper in keepers.items()}
