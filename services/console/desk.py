"""What every handler works with: the clients of the services, the settings, the clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from etapa_client import EtapaClient
from etapa_client.connection import CallTracer
from services.console.settings import Settings
from services.console.story import Story, read_story
from services.runtime.ids import read_id

# Once more, for a connection that broke in between. A service that says itself that it is away,
# or that is not there, would make a person wait for a page that only says so.
_READ_ATTEMPTS = 2
_READ_PAUSE_S = 0.2


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Desk:
    """One for the application. `client` acts and watches; `reader` is for what pages show."""

    client: EtapaClient
    reader: EtapaClient
    settings: Settings = field(default_factory=Settings)
    now: Callable[[], datetime] = utc_now

    async def story(self, request: web.Request) -> Story:
        """Return the story of the job that the path names."""
        return await read_story(self.reader, job_id_of(request))


@asynccontextmanager
async def open_desk(settings: Settings, tracer: CallTracer | None = None) -> AsyncIterator[Desk]:
    """Yield the desk over the services that the settings name."""

    def make(**patience: Any) -> EtapaClient:
        return EtapaClient(
            queue=settings.queue_address,
            tools=settings.tools_address,
            observability=settings.observability_address,
            caller="console",
            tracer=tracer,
            **patience,
        )

    hurried = make(attempts=_READ_ATTEMPTS, longest_pause_s=_READ_PAUSE_S)
    async with make() as client, hurried as reader:
        yield Desk(client, reader, settings)


DESK = web.AppKey("desk", Desk)


def desk_of(request: web.Request) -> Desk:
    """Return the application's desk."""
    return request.app[DESK]


def job_id_of(request: web.Request) -> str:
    """Return the id of the job that the path names. Raises `InvalidIdError`."""
    return str(read_id("job_id", request.match_info["job_id"]))
