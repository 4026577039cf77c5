"""A task moves only as the provider's tasks do."""

from __future__ import annotations

import pytest

from services.emulator.catalog import WEBAPPS
from services.emulator.reasons import REASONS
from services.emulator.task import Status, Task, TaskTransitionError


def task() -> Task:
    app = next(iter(WEBAPPS.values()))
    return Task(
        task_id="1882730238719295489",
        key="key",
        generation="v2",
        kind="webapp",
        app=app,
        values=(),
        webhook_url="",
        instance_type="default",
        is_personal=False,
        client_id="c",
        run_s=10.0,
        queue_s=1.0,
        accepted_at=100.0,
    )


def test_a_run_goes_from_queued_over_running_to_success() -> None:
    one = task()
    one.start(101.0)
    one.succeed(111.0, (), coins=2)
    assert (one.status, one.coins, one.cost_s, one.ended_at) == (Status.SUCCESS, 2, 10, 111.0)
    assert (one.is_final, one.error_class) == (True, "no_output")


def test_a_failed_run_keeps_its_reason_and_costs_nothing() -> None:
    one = task()
    one.start(101.0)
    one.fail(105.0, REASONS["gpu_oom"], cost_s=4.2)
    assert (one.status, one.error_class, one.coins, one.cost_s) == ("FAILED", "gpu_oom", None, 4)


def test_what_ended_never_changes() -> None:
    one = task()
    one.cancel(101.0, coins=0, cost_s=0)
    with pytest.raises(TaskTransitionError) as raised:
        one.start(102.0)
    assert raised.value.facts == {"task_id": one.task_id, "from": "CANCEL", "to": "RUNNING"}
    assert one.status is Status.CANCEL


def test_a_queued_task_cannot_succeed() -> None:
    with pytest.raises(TaskTransitionError):
        task().succeed(101.0, (), coins=1)


def test_progress_is_the_share_of_the_run() -> None:
    one = task()
    assert one.progress(101.0, scale=0.1) == 0.0
    one.start(101.0)
    assert one.progress(101.5, scale=0.1) == pytest.approx(0.5)
    assert one.progress(200.0, scale=0.1) == 1.0
