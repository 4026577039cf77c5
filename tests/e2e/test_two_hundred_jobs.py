"""200 jobs over all four tools, two queue processes, a provider that fails and loses callbacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.collect import collect, own_troubles
from tests.support.judge import complaints, tasks_by_job
from tests.support.many_jobs import FAILURES, Media, grant, orders, see_through
from tests.support.provider_log import ProviderLog
from tests.support.whole_stack import Rig, running_rig

USERS = 50
SEED = 20261124
# One less than the slots of all accounts together, so that the limit over all of them binds.
TOTAL = 9

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(240)]


async def order_faults(rig: Rig) -> None:
    """Let the provider fail 10 % of runs; lose 20 %, repeat 20 % and delay 10 % of callbacks."""
    await rig.admin.add_fault("fail", classes=FAILURES, rate=0.1, seed=SEED)
    await rig.admin.add_fault("callback_lost", rate=0.2, seed=SEED)
    await rig.admin.add_fault("callback_duplicate", rate=0.2, seed=SEED, times=2, seconds=20)
    await rig.admin.add_fault("callback_late", rate=0.1, seed=SEED, seconds=100)


def count_faults(log: ProviderLog) -> dict[str, int]:
    """Return how many tasks met each kind of fault."""
    met = [fault["action"] for line in log.of("run_ended") for fault in line["faults"]]
    return {action: met.count(action) for action in sorted(set(met))}


async def test_two_hundred_jobs_end_right_whatever_the_provider_does(tmp_path: Path) -> None:
    async with running_rig(
        tmp_path,
        time_scale=0.05,
        replicas={"queue": 2},
        env={
            "ETAPA_QUEUE_USER_ACTIVE_LIMIT": "4",
            "ETAPA_QUEUE_GLOBAL_LIMIT": str(TOTAL),
            "ETAPA_EMULATOR_TIME_SCALE": "0.02",
        },
    ) as rig:
        await order_faults(rig)
        await grant(rig.client, USERS)
        await see_through(rig.client, orders(Media.make(tmp_path), USERS, SEED))
        run = await collect(rig, TOTAL)
        wrong = [*complaints(run), *await own_troubles(rig)]
        assert not wrong, "\n".join(wrong)

    assert len(run.jobs) == 4 * USERS
    assert {job.enqueue_seq for job in run.jobs} == set(range(1, 4 * USERS + 1))
    # The run was what it claims to be: it met every fault, and pressed against the limits.
    met = count_faults(run.log)
    assert min(met[name] for name in ("callback_lost", "callback_duplicate")) >= 20
    assert min(met[name] for name in ("fail", "callback_late")) >= 8
    assert run.log.peaks()[""] == TOTAL
    assert any(len(tasks) > 1 for tasks in tasks_by_job(run).values())
    assert {job.tool for job in run.jobs if job.status == "completed"} == {
        job.tool for job in run.jobs
    }
