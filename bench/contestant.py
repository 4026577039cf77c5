"""Runs one contestant as a subprocess that is spoken to in lines of JSON (bench/README.md)."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from bench.places import LOGS, ROOT

START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 30.0
_MAX_LINE_BYTES = 64 * 1024 * 1024
_PASSED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


class ContestantError(RuntimeError):
    """A contestant ended, hung, or answered with an error; the message names its log."""


@dataclass(frozen=True, slots=True)
class Spec:
    """How a contestant is started."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] | None = None


class Contestant:
    """A started contestant. Ends with its context, in the last resort by SIGKILL."""

    def __init__(self, spec: Spec, env: Mapping[str, str]) -> None:
        self.spec = spec
        self.ready: dict[str, Any] = {}
        self._env = env
        self._log = LOGS / f"{spec.name}.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Return the root of its process tree."""
        return self._running().pid

    async def __aenter__(self) -> Self:
        LOGS.mkdir(parents=True, exist_ok=True)
        kept = {name: os.environ[name] for name in _PASSED if name in os.environ}
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.spec.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**kept, "PYTHONPATH": str(ROOT), **(self.spec.env or {}), **self._env},
                cwd=ROOT,
                limit=_MAX_LINE_BYTES,
            )
        try:
            self.ready = await self._read(START_TIMEOUT_S)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    async def do(self, what: str, timeout_s: float = 300.0, **fields: Any) -> dict[str, Any]:
        """Ask for one thing and return the answer. Raises `ContestantError`."""
        stdin = self._running().stdin
        assert stdin is not None  # noqa: S101 - it was asked for
        stdin.write(json.dumps({"do": what, **fields}).encode() + b"\n")
        await stdin.drain()
        return await self._read(timeout_s)

    async def _read(self, timeout_s: float) -> dict[str, Any]:
        stdout = self._running().stdout
        assert stdout is not None  # noqa: S101 - it was asked for
        try:
            async with asyncio.timeout(timeout_s):
                line = await stdout.readline()
        except TimeoutError:
            raise ContestantError(f"{self.spec.name} said nothing for {timeout_s:g} s") from None
        if not line:
            raise ContestantError(f"{self.spec.name} ended; see {self._log.relative_to(ROOT)}")
        answer = json.loads(line)
        if not isinstance(answer, dict) or "error" in answer:
            raise ContestantError(f"{self.spec.name}: {answer}")
        return answer

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()  # to a contestant the end of its input is a stop
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise ContestantError(f"{self.spec.name} is not started")
        return self._process
