"""Starts the provider stub as a process, and asks it for its counts and times."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

import aiohttp

from bench.places import LOGS, ROOT


class ProviderProcess:
    """The stub, running until the context ends."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    @property
    def pid(self) -> int:
        """Return its process id."""
        if self._process is None:
            raise RuntimeError("the provider stub is not started")
        return self._process.pid

    def __enter__(self) -> Self:
        LOGS.mkdir(parents=True, exist_ok=True)
        with (LOGS / "provider.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.provider"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
            )
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        self.url = json.loads(self._process.stdout.readline())["url"]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            with self._process:  # closes its pipes, and waits
                self._process.terminate()


class ProviderClient:
    """Asks the stub."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)

    async def stats(self) -> dict[str, int]:
        """Return its counts."""
        return await self._get("/stats")

    async def times(self) -> dict[str, int]:
        """Return, and let it forget, when each start call came, by the job's reference."""
        return await self._get("/times")

    async def _get(self, path: str) -> dict[str, Any]:
        assert self._session is not None  # noqa: S101 - used as a context
        async with self._session.get(self._url + path) as answer:
            found: dict[str, Any] = await answer.json()
            return found
