"""Holds a start's answer back until its callback was sent, where that fault was asked for."""

from __future__ import annotations

import asyncio
import contextlib

from services.emulator.task import Task

# Real seconds: the caller's own time-out is not scaled either.
LONGEST_WAIT_S = 20.0


async def wait_for_early_callback(task: Task) -> None:
    """Return at once, or, under the fault `callback_early`, after the first delivery."""
    if task.fault("callback_early") is None:
        return
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(task.told.wait(), LONGEST_WAIT_S)
