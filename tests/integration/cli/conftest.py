"""The servers that the command line talks to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.cli_world import World, running_world


@pytest.fixture
async def world(database: str, tmp_path: Path) -> AsyncIterator[World]:
    """Serve observability on a fresh database, and a small queue and tools beside it."""
    async with running_world(database, tmp_path) as running:
        yield running
