"""Details that are known only later stand with the step they belong to, in trail and view."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from etapa.observability.v1 import event_pb2, intake_pb2
from etapa.queue.v1 import job_pb2
from tests.support.history import History, catalogue, queued
from tests.support.observability import DEADLINE_S, Observability, running_observability
from tests.support.postgres import MakeDatabase

SHA256 = "ab" * 32


@pytest.fixture
async def dsn(make_database: MakeDatabase) -> str:
    return await make_database(["observability"])


@pytest.fixture
async def service(dsn: str, tmp_path: Path) -> AsyncIterator[Observability]:
    async with running_observability(dsn, tmp_path) as running:
        yield running


def uploaded() -> History:
    job = queued()
    note = event_pb2.NoteEvent(
        code="MEDIA_STORED",
        text="the media is in our storage",
        details_json=json.dumps({"bytes": 9007199254740993, "sha256": SHA256}),
        completes=job_pb2.STEP_UPLOAD,
    )
    job.add(0, note=note)
    return job


async def test_the_trail_shows_a_step_with_what_a_later_note_completes(
    service: Observability,
) -> None:
    job = uploaded()
    await service.record_jobs(job)
    trail = await service.get_trail(job.job_id)
    details = json.loads(trail.steps[0].details_json)
    assert details == {"fileName": "photo.jpg", "bytes": 9007199254740993, "sha256": SHA256}
    assert [note.code for note in trail.notes] == ["MEDIA_STORED"]


async def test_the_view_shows_it_too(service: Observability, dsn: str) -> None:
    job = uploaded()
    announcement = intake_pb2.AnnounceToolsRequest(tools=catalogue("upscaler"))
    await service.intake.AnnounceTools(announcement, timeout=DEADLINE_S)
    await service.record_jobs(job)
    connection = await asyncpg.connect(dsn)
    history = json.loads(await connection.fetchval("SELECT step_history FROM upscaler_jobs"))
    await connection.close()
    assert (history[0]["step"], history[0]["sha256"]) == ("upload", SHA256)
    assert len(history) == 5
