"""What every handler works with: the client of the services, the settings, the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import web

from etapa_client import EtapaClient
from services.console.settings import Settings
from services.console.story import Story, read_story
from services.runtime.ids import read_id


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Desk:
    """One for the application."""

    client: EtapaClient
    settings: Settings = field(default_factory=Settings)
    now: Callable[[], datetime] = utc_now

    async def story(self, request: web.Request) -> Story:
        """Return the story of the job that the path names."""
        return await read_story(self.client, job_id_of(request))


DESK = web.AppKey("desk", Desk)


def desk_of(request: web.Request) -> Desk:
    """Return the application's desk."""
    return request.app[DESK]


def job_id_of(request: web.Request) -> str:
    """Return the id of the job that the path names. Raises `InvalidIdError`."""
    return str(read_id("job_id", request.match_info["job_id"]))
