"""One emulator, one raw client and one callback receiver per test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.callback_receiver import Receiver, running_receiver
from tests.support.emulator import KEY, EmulatorHandle, running_emulator
from tests.support.runninghub_http import RawClient


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[EmulatorHandle]:
    async with running_emulator(tmp_path) as handle:
        yield handle


@pytest.fixture
def client(emulator: EmulatorHandle) -> RawClient:
    return RawClient(emulator.base_url, KEY, emulator.http)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as handle:
        yield handle
