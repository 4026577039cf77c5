"""Takes accepted tasks to their end: waits for a slot, runs, renders, charges, reports."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from dataclasses import dataclass

from services.emulator.accounts import AccountBook
from services.emulator.catalog import Work
from services.emulator.crew import Crew
from services.emulator.faults import FaultSpec
from services.emulator.inputs import InputMissingError, InputReader
from services.emulator.journal import Journal
from services.emulator.media import MediaStore
from services.emulator.pace import Pace
from services.emulator.reasons import NO_OUTPUT, REASONS, Reason
from services.emulator.render import UnreadableInputError
from services.emulator.settings import Settings
from services.emulator.task import Output, Task
from services.emulator.webhooks import Webhooks
from services.runtime.log import get_log

log = get_log(__name__)
# A consumer GPU costs about 0.2 coin per second (reference section 1.4, field reports).
COINS_PER_S = 0.2
# A run that fails does so on the way, not at its planned end.
FAILS_AFTER = 0.6


class RunFailedError(Exception):
    """A run ends as FAILED, for `reason`."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.error_class)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs tasks in the background."""

    settings: Settings
    pace: Pace
    journal: Journal
    accounts: AccountBook
    media: MediaStore
    inputs: InputReader
    webhooks: Webhooks
    crew: Crew

    def accept(self, task: Task) -> None:
        """Take a slot of the account, or wait in its personal queue, and go on from there."""
        account = self.accounts.find(task.key)
        if account is not None and account.enter(task):
            self._launch(task)

    def cancel(self, task: Task) -> None:
        """Ask a task to stop. It does so a moment later; a waiting one at once."""
        task.cancel_wanted.set()
        account = self.accounts.find(task.key)
        if account is not None and task in account.waiting:
            account.waiting.remove(task)
            task.cancel(time.time(), coins=0, cost_s=0)
            self._finish(task)

    def move_up(self, key: str) -> None:
        """Start what waits, after an account got more room."""
        account = self.accounts.find(key)
        for task in account.move_up() if account is not None else []:
            self._launch(task)

    def _launch(self, task: Task) -> None:
        self.crew.spawn(self._live(task), f"task {task.task_id}")

    async def _live(self, task: Task) -> None:
        if not await self.pace.sleep_unless(task.cancel_wanted, task.queue_s):
            task.start(time.time())
            self.journal.record("run_started", task_id=task.task_id, key=task.key)
            await self._run(task)
        if not task.is_final:
            await self._stop(task)
        self._finish(task)

    async def _run(self, task: Task) -> None:
        """Bring a running task to SUCCESS or FAILED; leave it running where it is cancelled."""
        work = asyncio.create_task(self._produce(task), name=f"produce {task.task_id}")
        cancelled = asyncio.create_task(task.cancel_wanted.wait(), name=f"stop {task.task_id}")
        try:
            await asyncio.wait({work, cancelled}, return_when=asyncio.FIRST_COMPLETED)
            if task.cancel_wanted.is_set():
                return
            outputs = work.result()
        except RunFailedError as failed:
            task.fail(time.time(), failed.reason, self._spent_s(task))
        else:
            task.succeed(time.time(), outputs, coins_for(task.run_s))
        finally:
            for helper in (work, cancelled):
                helper.cancel()
                with contextlib.suppress(asyncio.CancelledError, RunFailedError):
                    await helper

    async def _produce(self, task: Task) -> tuple[Output, ...]:
        """Use up the run's time and make its outputs, or raise `RunFailedError`."""
        if task.fault("cancelled") is not None:
            await self.pace.sleep(task.run_s * FAILS_AFTER)
            task.cancel_wanted.set()
            return ()
        reason = planned_failure(task.fault("fail"))
        if reason is not None:
            await self.pace.sleep(task.run_s * FAILS_AFTER)
            raise RunFailedError(reason)
        began = time.monotonic()
        output = await self._render(task)
        rest_s = task.run_s - self.pace.provider_s(time.monotonic() - began)
        await self.pace.sleep(max(rest_s, 0.0))
        failing = task.fault("fail")
        if failing is not None and NO_OUTPUT in failing.classes:
            return ()
        if (gone := task.fault("outputs_expired")) is not None:
            self.media.expire_output(output, gone.status or 410)
        return (output,)

    async def _render(self, task: Task) -> Output:
        try:
            plan = await self.inputs.plan(task)
            return await self.media.make_output(plan, task.task_id)
        except UnreadableInputError as unreadable:
            raise RunFailedError(unreadable_reason(unreadable)) from None
        except InputMissingError as missing:
            raise RunFailedError(missing.reason) from None
        except Exception as error:
            # A defect of ours ends the run as one of theirs would: in their words, not for ever.
            log.exception("render_failed", task_id=task.task_id)
            kind = f"{type(error).__module__}.{type(error).__qualname__}"
            words = Reason("unknown", exception_type=kind, exception_message=str(error))
            raise RunFailedError(words) from error

    async def _stop(self, task: Task) -> None:
        """End a task that was asked to stop; what it ran until now is paid."""
        await self.pace.sleep(self.settings.cancel_s)
        spent_s = self._spent_s(task)
        coins = coins_for(spent_s) if task.started_at is not None else 0
        task.cancel(time.time(), coins, spent_s)

    def _finish(self, task: Task) -> None:
        """Pay, record, give the slot back, report."""
        account = self.accounts.find(task.key)
        if account is not None and task.coins:
            account.coins = max(account.coins - task.coins, 0)
            self.journal.record(
                "paid",
                task_id=task.task_id,
                key=task.key,
                coins=task.coins,
                balance=account.coins,
            )
        self.journal.record("run_ended", **task.facts())
        for waiting in account.leave(task) if account is not None else []:
            self._launch(waiting)
        if task.status == "CANCEL":
            # Whether the provider calls back after a cancel is not documented; it does not here.
            task.told.set()
        else:
            self.webhooks.send(task)

    def _spent_s(self, task: Task) -> float:
        if task.started_at is None:
            return 0.0
        return min(self.pace.provider_s(time.time() - task.started_at), task.run_s)


def coins_for(seconds: float) -> int:
    """Return what a run of that many provider seconds costs; a started run costs something."""
    return max(math.ceil(round(seconds) * COINS_PER_S), 1)


def planned_failure(fault: FaultSpec | None) -> Reason | None:
    """Return the reason that a `fail` fault names; a bare code has no failedReason."""
    if fault is None or NO_OUTPUT in fault.classes:
        return None
    if fault.classes:
        return REASONS[fault.classes[0]]
    known = {1501: "moderation", 1505: "moderation", 1006: "timeout", 1504: "timeout"}
    return Reason(known.get(fault.code, "unknown"), code=fault.code)


def unreadable_reason(error: UnreadableInputError) -> Reason:
    """Return the reason of a loader that could not open this very file."""
    model = REASONS["input_unreadable_video" if error.is_video else "input_unreadable"]
    place = f"/workspace/ComfyUI/input/{error.name}"
    words = (
        f"{place} could not be loaded with cv."
        if error.is_video
        else f"cannot identify image file '{place}'"
    )
    return Reason(
        model.error_class,
        exception_type=model.exception_type,
        exception_message=words,
        node_name=model.node_name,
        node_id=model.node_id,
        traceback=model.traceback,
    )


def run_seconds(settings: Settings, work: Work, dice: float) -> float:
    """Return how long a run lasts: the kind's usual time, more or less by the jitter."""
    usual = settings.video_run_s if work is Work.VIDEO_UPSCALE else settings.image_run_s
    return max(usual * (1 + settings.run_jitter * (2 * dice - 1)), 0.0)
