"""Starts the emulator inside a test on free ports, and talks to its admin API."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from services.emulator.server import start_server
from services.emulator.settings import AccountSetting, Settings

KEY = "00000000000000000000000000000001"
SECOND_KEY = "00000000000000000000000000000002"
EXCLUSIVE_KEY = "00000000000000000000000000000003"

FAST = Settings(
    listen="127.0.0.1:0",
    admin_listen="127.0.0.1:0",
    time_scale=0.01,
    queue_s=1.0,
    image_run_s=10.0,
    video_run_s=20.0,
    render_fast=True,
    accounts=(
        AccountSetting(KEY, "SHARED", 50, 100_000),
        AccountSetting(SECOND_KEY, "NORMAL", 3, 100_000),
        AccountSetting(EXCLUSIVE_KEY, "EXCLUSIVE", 2, 100_000),
    ),
)


class AdminClient:
    """The admin API of one emulator, in process or in another."""

    def __init__(self, admin_url: str, session: aiohttp.ClientSession) -> None:
        self._url = admin_url
        self._session = session

    async def add_fault(self, action: str, **spec: Any) -> str:
        """Put a rule in force and return its id."""
        (rule,) = await self._call("POST", "/admin/faults", {"action": action, **spec})
        return str(rule["id"])

    async def faults(self) -> list[dict[str, Any]]:
        """Return the rules in force with their counters."""
        return list(await self._call("GET", "/admin/faults"))

    async def clear_faults(self) -> None:
        """Take all rules out of force."""
        await self._call("DELETE", "/admin/faults")

    async def put_account(self, key: str, **changes: Any) -> dict[str, Any]:
        """Add or alter a key."""
        return dict(await self._call("PUT", f"/admin/accounts/{key}", changes))

    async def accounts(self) -> list[dict[str, Any]]:
        """Return all keys."""
        return list(await self._call("GET", "/admin/accounts"))

    async def tasks(self) -> list[dict[str, Any]]:
        """Return all tasks, oldest first."""
        return list(await self._call("GET", "/admin/tasks"))

    async def task(self, task_id: str) -> dict[str, Any]:
        """Return one task."""
        return dict(await self._call("GET", f"/admin/tasks/{task_id}"))

    async def expire_outputs(self, task_id: str, status: int = 410) -> None:
        """Let a task's output links answer with `status`."""
        await self._call("POST", f"/admin/tasks/{task_id}/expire-outputs?status={status}")

    async def log(self, after: int = 0, wait_s: float = 0) -> list[dict[str, Any]]:
        """Return the judge's log after an entry; with `wait_s`, wait until it has grown."""
        entries: list[dict[str, Any]] = []
        while True:
            path = f"/admin/log?after={after + len(entries)}&wait_s={wait_s}"
            page = await self._call("GET", path)
            entries += page["entries"]
            if after + len(entries) >= page["last"]:
                return entries
            wait_s = 0

    async def events(self, event: str, **facts: Any) -> list[dict[str, Any]]:
        """Return the log entries of that kind whose facts are as given."""
        return [entry for entry in await self.log() if _is(entry, event, facts)]

    async def wait_for(
        self, event: str, *, times: int = 1, timeout_s: float = 30.0, **facts: Any
    ) -> list[dict[str, Any]]:
        """Wait until the log holds that many such entries; return them."""
        deadline = time.monotonic() + timeout_s
        after, found = 0, []
        while True:
            fresh = await self.log(after, wait_s=0.5 if after else 0)
            after += len(fresh)
            found += [entry for entry in fresh if _is(entry, event, facts)]
            if len(found) >= times:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(found)} of {times} {event} {facts} after {timeout_s} s")

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        async with self._session.request(method, self._url + path, json=body) as reply:
            answer = await reply.json()
            if reply.status >= 400:
                raise AssertionError(f"{method} {path}: {reply.status} {answer}")
            return answer


@dataclass(frozen=True)
class EmulatorHandle:
    """A running emulator."""

    base_url: str
    admin_url: str
    admin: AdminClient
    http: aiohttp.ClientSession
    settings: Settings


@asynccontextmanager
async def running_emulator(data: Path, **changes: Any) -> AsyncIterator[EmulatorHandle]:
    """Run an emulator in this process; `changes` replace settings of `FAST`."""
    settings = replace(FAST, data=data, **changes)
    server = await start_server(settings)
    try:
        async with aiohttp.ClientSession() as session:
            admin = AdminClient(server.admin_url, session)
            yield EmulatorHandle(server.base_url, server.admin_url, admin, session, settings)
    finally:
        await server.close()


def _is(entry: dict[str, Any], event: str, facts: dict[str, Any]) -> bool:
    return entry["event"] == event and all(entry.get(name) == want for name, want in facts.items())
