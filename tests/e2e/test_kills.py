"""200 jobs while every process is killed in turn, Postgres too, and once at each failpoint."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from services.runtime.failpoints import NAMES
from tests.support.collect import collect, own_troubles
from tests.support.judge import complaints
from tests.support.killer import Kill, Killer
from tests.support.many_jobs import FAILURES, Media, grant, orders, see_through
from tests.support.whole_stack import Rig, running_rig

USERS = 50
SEED = 20261125
TOTAL = 10
# First those after which a job may wait for its run deadline.
KILLS = (
    Kill("queue", "accepted_not_committed"),
    Kill("queue-2", "sent_no_reply"),
    Kill("webhook", "callback_stored"),
    Kill("queue", "created_not_answered"),
    Kill("tools"),
    Kill("postgres"),
    Kill("queue", "claimed_not_sent"),
    Kill("observability"),
    Kill("webhook", "forwarded_not_deleted"),
    Kill("queue-2", "finalising"),
)
CONSOLE = Kill("console")

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(300)]


async def order_faults(rig: Rig) -> None:
    """As in the run without kills; a late callback still comes before the run's deadline."""
    await rig.admin.add_fault("fail", classes=FAILURES, rate=0.1, seed=SEED)
    await rig.admin.add_fault("callback_lost", rate=0.2, seed=SEED)
    await rig.admin.add_fault("callback_duplicate", rate=0.2, seed=SEED, times=2, seconds=10)
    await rig.admin.add_fault("callback_late", rate=0.1, seed=SEED, seconds=60)


def kills_of(rig: Rig) -> list[Kill]:
    """Return all kills: every process of the stack but the emulator, which is the judge."""
    kills = [*KILLS, *([CONSOLE] if CONSOLE.process in rig.stack.names else [])]
    assert {kill.process for kill in kills} == set(rig.stack.names) - {"emulator"}
    assert {kill.failpoint for kill in kills} - {""} == NAMES
    return kills


async def test_two_hundred_jobs_end_right_whatever_is_killed(tmp_path: Path) -> None:
    async with running_rig(
        tmp_path,
        time_scale=0.1,
        replicas={"queue": 2},
        env={
            "ETAPA_QUEUE_USER_ACTIVE_LIMIT": "4",
            "ETAPA_EMULATOR_TIME_SCALE": "0.1",
            "ETAPA_EMULATOR_VIDEO_RUN_S": "30",
        },
    ) as rig:
        await order_faults(rig)
        await grant(rig.client, USERS)
        kills, killer = kills_of(rig), Killer(rig, tmp_path)
        async with asyncio.TaskGroup() as group:
            wanted = orders(Media.make(tmp_path), USERS, SEED)
            # So that jobs are being submitted whatever is killed.
            group.create_task(see_through(rig.client, wanted, open_jobs=3 * TOTAL))
            await rig.admin.wait_for("start_accepted", times=10)
            await killer.run(kills)
        run = await collect(rig, TOTAL)
        wrong = [*complaints(run), *await own_troubles(rig)]
        assert not wrong, "\n".join(wrong)

    assert len(run.jobs) == 4 * USERS
    assert set(killer.done) == {kill.process for kill in kills} | NAMES
    # Kills cost time, not results: what failed is what the provider failed, and few unknown starts.
    assert sum(job.status == "completed" for job in run.jobs) >= 0.8 * len(run.jobs)
