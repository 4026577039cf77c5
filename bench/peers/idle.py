"""The idle figure: one submit over gRPC at a time, until the provider has received the call."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence

from grpc import aio

from bench.peers.completions import Completions
from bench.peers.front_door import METHOD
from bench.peers.peer import Peer, Settings
from bench.peers.work import Provider

# A new front door connects and imports at its first calls; they are made and not counted.
WARM_UP = 3
# After a job is complete its queue still marks it finished, and is not idle yet.
_REST_S = 0.05
_SUBMIT_LIMIT_S = 30.0


async def measure(
    peer: Peer, settings: Settings, completions: Completions, ids: Sequence[int]
) -> list[float]:
    """Return in ms, for each job, submit call → start call received by the provider.

    The first WARM_UP of them are left out.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.peers.front_door",
        peer.module,
        env={**os.environ, **settings.to_env()},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    provider = Provider.open(settings.provider_url, connections=1)
    try:
        address = (await process.stdout.readline()).decode().strip()
        await provider.times()
        async with aio.insecure_channel(address) as channel:
            submitted = await _submit_each(channel, completions, ids)
        received = await provider.times()
    finally:
        await provider.close()
        process.stdin.close()
        await process.wait()
    counted = list(submitted.items())[WARM_UP:]
    return [(received[str(job_id)] - began) / 1e6 for job_id, began in counted]


async def _submit_each(
    channel: aio.Channel, completions: Completions, ids: Sequence[int]
) -> dict[int, int]:
    submit: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
    submitted = {}
    for job_id in ids:
        await asyncio.sleep(_REST_S)
        goal = completions.count + 1
        submitted[job_id] = time.monotonic_ns()
        await submit(str(job_id).encode(), timeout=_SUBMIT_LIMIT_S)
        await completions.reach(goal)
    return submitted
