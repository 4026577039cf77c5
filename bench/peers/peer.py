"""What one peer has to say to become a contestant; the rest is the same for all (see host.py)."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import ClassVar, Literal

Kind = Literal["full", "simple"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a contestant is told by its environment; `callback_url` once it listens."""

    database_url: str
    provider_url: str
    workers: int
    listen_port: int
    callback_url: str = ""
    broker_url: str = ""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read BENCH_*."""
        return cls(
            database_url=env["BENCH_DATABASE_URL"],
            provider_url=env["BENCH_PROVIDER_URL"],
            workers=int(env.get("BENCH_WORKERS", "1")),
            listen_port=int(env.get("BENCH_LISTEN_PORT", "0")),
            callback_url=env.get("BENCH_CALLBACK_URL", ""),
            broker_url=env.get("BENCH_BROKER_URL", ""),
        )

    def to_env(self) -> dict[str, str]:
        """Return what `from_env` of a child process reads."""
        return {
            "BENCH_DATABASE_URL": self.database_url,
            "BENCH_PROVIDER_URL": self.provider_url,
            "BENCH_WORKERS": str(self.workers),
            "BENCH_LISTEN_PORT": str(self.listen_port),
            "BENCH_CALLBACK_URL": self.callback_url,
            "BENCH_BROKER_URL": self.broker_url,
        }


class Done:
    """A worker process's way to say that jobs are complete: one byte a job into a pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell(self) -> None:
        """Say that one more job is complete."""
        os.write(self._descriptor, b".")


class Peer(ABC):
    """A queue, seen from the web process (submit, carry on) and from its worker processes."""

    module: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    check_sql: ClassVar[str] = "check_jobs"

    def __init__(self) -> None:
        self.opened = AsyncExitStack()

    def versions(self) -> dict[str, str]:
        """Return versions of what is no Python package."""
        return {}

    async def prepare(self, settings: Settings) -> Settings:
        """Install what the queue needs in the empty database; return the settings to go on with."""
        return settings

    @abstractmethod
    async def open(self, settings: Settings) -> None:
        """Open what `submit` needs, in the web process and in a front door."""

    @abstractmethod
    async def submit(self, job_id: int) -> None:
        """Take a job: return when its first four steps and its place in the queue are durable."""

    @abstractmethod
    async def listen(self, settings: Settings) -> str:
        """Listen for callbacks; return the URL that job ids are appended to."""

    @abstractmethod
    async def submit_all(self, kind: Kind, ids: range, in_flight: int) -> None:
        """Submit these jobs, `in_flight` at a time; return when the last is taken."""

    async def close(self) -> None:
        """Close what was opened, last first."""
        await self.opened.aclose()

    @abstractmethod
    def worker_command(self) -> list[str]:
        """Return the command of a worker process, which prints "ready" once it takes jobs."""
