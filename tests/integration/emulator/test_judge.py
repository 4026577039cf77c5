"""Under a rush with mixed faults, the judge's log adds up."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.callback_receiver import Receiver
from tests.support.emulator import EmulatorHandle, running_emulator
from tests.support.runninghub_http import (
    BG_REMOVER,
    POSE_CHANGER,
    UPSCALER,
    VIDEO_UPSCALER,
    RawClient,
)

LIMITS = {"a" * 32: 3, "b" * 32: 5, "c" * 32: 2}
APPS = (UPSCALER, POSE_CHANGER, VIDEO_UPSCALER, BG_REMOVER)
COINS = 10_000
PER_KEY = 40


async def order_faults(emulator: EmulatorHandle) -> None:
    classes = ["gpu_oom", "moderation", "infra", "no_output", "timeout"]
    await emulator.admin.add_fault("fail", classes=classes, rate=0.2, seed=1)
    await emulator.admin.add_fault("callback_lost", rate=0.2, seed=2)
    await emulator.admin.add_fault("callback_duplicate", rate=0.2, seed=3, times=2)
    await emulator.admin.add_fault("callback_late", rate=0.1, seed=4, seconds=30)
    await emulator.admin.add_fault("reset", rate=0.1, seed=5, when="after", count=10)


async def run_all(client: RawClient, receiver: Receiver) -> None:
    """Start with more calls at once than the key has room for; a cut-off call is not repeated."""

    async def one(index: int) -> None:
        while True:
            try:
                url = receiver.url(f"job-{index}")
                reply = await client.start(APPS[index % len(APPS)], webhookUrl=url)
            except OSError:
                return
            if reply["errorCode"] != "421":
                return
            await asyncio.sleep(0.01)

    await asyncio.gather(*(one(index) for index in range(PER_KEY)))


def most_at_once(log: list[dict[str, Any]], key: str) -> int:
    changes = {"start_accepted": 1, "run_ended": -1}
    current = highest = 0
    for entry in log:
        if entry.get("key") == key:
            current += changes.get(entry["event"], 0)
            highest = max(highest, current)
    return highest


async def test_a_rush_with_mixed_faults_adds_up(tmp_path: Path, receiver: Receiver) -> None:
    async with running_emulator(tmp_path) as emulator:
        await order_faults(emulator)
        for key, limit in LIMITS.items():
            await emulator.admin.put_account(key, concurrency=limit, coins=COINS)
        clients = [RawClient(emulator.base_url, key, emulator.http) for key in LIMITS]
        async with asyncio.timeout(60):
            await asyncio.gather(*(run_all(client, receiver) for client in clients))
            accepted = await emulator.admin.events("start_accepted")
            ended = await emulator.admin.wait_for("run_ended", times=len(accepted))
            told = {item["task_id"] for item in ended} - await lost(emulator)
            await all_told(emulator, told)
        log = await emulator.admin.log()
        balances = {item["key"]: item["coins"] for item in await emulator.admin.accounts()}

    starts = Counter(item["event"] for item in log if item["event"].startswith("start_"))
    assert starts["start_received"] == starts["start_accepted"] + starts["start_refused"]
    assert starts["start_refused"] > 0
    assert len(LIMITS) * PER_KEY - 10 <= starts["start_accepted"] <= len(LIMITS) * PER_KEY
    assert Counter(item["task_id"] for item in ended).most_common(1)[0][1] == 1
    assert {key: most_at_once(log, key) for key in LIMITS} == LIMITS
    for key in LIMITS:
        paid = sum(item["coins"] for item in log if item["event"] == "paid" and item["key"] == key)
        assert balances[key] == COINS - paid
    sent = [item for item in log if item["event"] == "callback_sent"]
    assert len(sent) == len(receiver.received)
    assert {item["task_id"] for item in sent} == told
    assert len(sent) > len(told)
    assert len({item["error_class"] for item in ended}) == 6


async def lost(emulator: EmulatorHandle) -> set[str]:
    """The tasks whose callback is lost, as it was decided when they started."""
    tasks = await emulator.admin.tasks()
    return {
        item["task_id"]
        for item in tasks
        if any(fault["action"] == "callback_lost" for fault in item["faults"])
    }


async def all_told(emulator: EmulatorHandle, told: set[str]) -> None:
    """Wait until each of these tasks has had all its deliveries."""
    tasks = {item["task_id"]: item for item in await emulator.admin.tasks()}
    twice = sum(
        any(fault["action"] == "callback_duplicate" for fault in tasks[task_id]["faults"])
        for task_id in told
    )
    await emulator.admin.wait_for("callback_sent", times=len(told) + twice)
