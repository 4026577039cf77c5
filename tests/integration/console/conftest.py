"""A console with a job of every state behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.console_app import Browser, running_console
from tests.support.console_jobs import fill
from tests.support.console_world import World


@pytest.fixture
async def console() -> AsyncIterator[Browser]:
    """Return a browser at a console whose services know a job of every state."""
    world = World()
    await fill(world)
    async with running_console(world) as browser:
        yield browser
