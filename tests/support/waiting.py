"""Waiting for an event with a time-out, for what offers no event to wait on (processes, files)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

_POLL_S = 0.02


def wait_until(check: Callable[[], bool], timeout_s: float = 20) -> None:
    """Repeat a check until it holds; fail after the time-out."""
    until = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < until, f"not so within {timeout_s} s: {check}"
        time.sleep(_POLL_S)


async def eventually(check: Callable[[], Awaitable[bool]], timeout_s: float = 20) -> None:
    """Repeat an async check until it holds; fail after the time-out."""
    async with asyncio.timeout(timeout_s):
        while not await check():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(_POLL_S)
