"""Keeps one process alive: starts it, asks whether it is ready, starts it again when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from services.cli.child import kill_group, wait_exit
from services.cli.errors import CliError
from services.cli.health import Probe
from services.cli.service_log import last_lines, size_of

_PROBE_EVERY_S = 0.1
_BACKOFF_FIRST_S = 0.1
_BACKOFF_MOST_S = 10.0
_STABLE_S = 30.0
EXIT_SETTINGS = 2  # services.runtime.main, which would bring in all of a service's imports
_DEADLY = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})
# So many starts in a row without getting ready, and waiting for it makes no sense any more.
GIVE_UP_AFTER = 5


class State(StrEnum):
    """What a kept process is doing."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    DEAD = "dead"


class StartError(CliError):
    """A process of the stack does not get ready; the message carries the end of its log."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line for the terminal: what happened to which process."""

    name: str
    state: State
    text: str


@dataclass(frozen=True, slots=True)
class Program:
    """What to keep running. `launch` starts it anew each time and returns the process."""

    name: str
    where: str
    log: Path
    launch: Callable[[], Awaitable[subprocess.Popen[bytes]]]
    probe: Probe
    stop_signal: signal.Signals = signal.SIGTERM
    has_group: bool = True


class Keeper:
    """Keeps one program running from `start` to `stop`. Lives in one event loop."""

    def __init__(
        self,
        program: Program,
        report: Callable[[Change], None],
        give_up_after: int = GIVE_UP_AFTER,
    ) -> None:
        self.program = program
        self.give_up_after = give_up_after
        self.error: Exception | None = None
        self.state = State.STOPPED
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self._failures = 0  # starts in a row that never got ready
        self._log_start = 0
        self._deaths = 0  # deaths in a row with too short a life between
        self._report = report
        self._ready = asyncio.Event()
        self._hopeless = asyncio.Event()
        self._stopping = asyncio.Event()
        self._down_until = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Return the id of the live process."""
        alive = self.process is not None and self.process.poll() is None
        return self.process.pid if alive and self.process else None

    def start(self) -> None:
        """Begin to keep the program running. Harmless when it is kept already."""
        if self._task is None:
            self._stopping.clear()
            self.error = None
            self._failures = 0
            self._hopeless.clear()
            self._task = asyncio.create_task(self._keep(), name=f"keep {self.program.name}")

    async def wait_ready(self) -> None:
        """Return once the program is ready; raise `StartError` if it keeps dying before."""
        waits = [asyncio.create_task(event.wait()) for event in (self._ready, self._hopeless)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not self._ready.is_set():
            raise StartError(self.describe()) from self.error

    def describe(self) -> str:
        """Say in one sentence how the program is, with the end of its log if it is not well."""
        if self.state is State.READY:
            return f"{self.program.name} is ready"
        log = self.program.log
        said = last_lines(log, since=self._log_start)
        return f"{self.program.name} is {self.state}: {said} (whole log: {log})"

    def send(self, signal_: signal.Signals, down_s: float = 0.0) -> None:
        """Signal the process; what dies of it stays down for `down_s` seconds."""
        self._down_until = time.monotonic() + down_s
        if self.process is None or self.process.poll() is not None:
            raise StartError(f"{self.program.name} has no live process to signal")
        if signal_ in _DEADLY:
            self._ready.clear()
            self._failures -= 1  # this death is ours, not a failure to start
        self.process.send_signal(signal_)

    async def stop(self, patience_s: float) -> None:
        """End the program: ask it to, and kill it when it is not gone after `patience_s`."""
        self._stopping.set()
        if self._task is None:
            return
        if self.pid is not None and self.process is not None:
            self.process.send_signal(self.program.stop_signal)
        try:
            async with asyncio.timeout(patience_s):
                await asyncio.shield(self._task)
        except TimeoutError:
            self._tell(State.DEAD, f"did not stop within {patience_s:g} s, killed")
            await self._kill_off()
        self._task = None
        self._ready.clear()

    async def _kill_off(self) -> None:
        assert self._task is not None  # noqa: S101 - only called while the task runs
        if self.process is not None:
            kill_group(self.process, signal.SIGKILL)
        try:
            async with asyncio.timeout(5):
                await asyncio.shield(self._task)
        except TimeoutError:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _keep(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            told = await self._run_once()
            self._ready.clear()
            if self._stopping.is_set():
                break
            pause_s = self._next_pause(time.monotonic() - began)
            self._tell(State.DEAD, f"{told}; starting it again in {pause_s:.1f} s")
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()
        self._tell(State.STOPPED, "")

    async def _run_once(self) -> str:
        """Start it, live with it to its end, and say how it ended."""
        self.state = State.STARTING
        self.starts += 1
        began = time.monotonic()
        self._log_start = size_of(self.program.log)
        try:
            self.process = await self.program.launch()
        except Exception as error:  # whatever it was, it is told, and tried again
            self._failures += 1
            self.error = error
            return f"did not start: {error}"
        if self._stopping.is_set():  # stop() came while it was being started
            self.process.send_signal(self.program.stop_signal)
        watch = asyncio.create_task(self._watch_ready(began))
        try:
            code = await wait_exit(self.process)
        finally:
            watch.cancel()
            if self.program.has_group:
                _end_group(self.process.pid)
        if not self._ready.is_set():
            # Wrong settings do not mend themselves: whoever waits is told at once.
            self._failures += self.give_up_after if code == EXIT_SETTINGS else 1
        return f"died ({_how(code)}): {last_lines(self.program.log, 1, self._log_start)}"

    async def _watch_ready(self, began: float) -> None:
        while not await self.program.probe():  # noqa: ASYNC110 - the other side has no event
            await asyncio.sleep(_PROBE_EVERY_S)
        if self.pid is None:
            return
        took_s = time.monotonic() - began
        self._failures = 0
        self._hopeless.clear()
        self._tell(State.READY, f"{self.program.where}, pid {self.pid}, after {took_s:.1f} s")
        self._ready.set()

    def _next_pause(self, lived_s: float) -> float:
        if self._failures >= self.give_up_after:
            self._hopeless.set()
        self._deaths = 1 if lived_s > _STABLE_S else self._deaths + 1
        backoff_s = min(_BACKOFF_MOST_S, _BACKOFF_FIRST_S * float(2 ** min(self._deaths - 1, 10)))
        return max(backoff_s, self._down_until - time.monotonic())

    def _tell(self, state: State, text: str) -> None:
        self.state = state
        self._report(Change(self.program.name, state, text))


def _end_group(pid: int) -> None:
    """Kill what a dead service left running in its session: its worker processes."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
