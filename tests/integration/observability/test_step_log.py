from __future__ import annotations

import json

import pytest

from services.observability.step_log import log_steps
from services.observability.store import schema
from services.observability.wire_intake import tools_from
from tests.integration.observability.conftest import Desk
from tests.support.history import catalogue, failed, queued

Capture = pytest.CaptureFixture[str]


def lines_of(desk: Desk, capsys: Capture) -> list[dict[str, object]]:
    capsys.readouterr()
    for folded in desk.committed:
        log_steps(folded)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


async def test_each_step_makes_one_line_with_its_details_as_fields(
    desk: Desk, capsys: Capture
) -> None:
    job, _ = failed()
    await desk.record(*job.events)
    await desk.record(*job.events)
    lines = lines_of(desk, capsys)
    assert len(lines) == sum(event.HasField("step") for event in job.events)
    assert lines[0]["message"] == f"[upscaler_jobs] Job {job.job_id}: upload"
    assert (lines[0]["fileName"], lines[0]["trace_id"]) == ("photo.jpg", job.trace_id)
    assert (lines[0]["job_id"], lines[0]["seq"]) == (job.job_id, 1)
    assert lines[-1]["message"] == f"[upscaler_jobs] Job {job.job_id}: failed"
    assert lines[-1]["at_step"] == "running"


async def test_a_line_names_the_view_of_the_catalogue(desk: Desk, capsys: Capture) -> None:
    tools = catalogue("background_remover")
    tools[0].view = "bg_remover_jobs"
    async with desk.pool.acquire() as conn:
        await schema.upsert_tools(conn, tools_from(tools))
    job = queued("background_remover")
    await desk.record(*job.events[:2])
    await desk.record(*job.events[2:])
    assert {str(line["message"]).split()[0] for line in lines_of(desk, capsys)} == {
        "[bg_remover_jobs]"
    }


async def test_details_never_take_the_place_of_a_lines_own_fields(
    desk: Desk, capsys: Capture
) -> None:
    job = queued()
    job.step("queued", "queued", event="x", trace_id="y", level="z", job_id="w", seq=99)
    await desk.record(*job.events)
    line = lines_of(desk, capsys)[-1]
    assert (line["job_id"], line["seq"], line["trace_id"]) == (job.job_id, 7, job.trace_id)
    assert (line["detail_event"], line["detail_seq"]) == ("x", 99)


async def test_a_line_shows_no_secret_and_keeps_what_is_beyond_64_bits(
    desk: Desk, capsys: Capture
) -> None:
    job = queued()
    job.step("queued", "queued", outputUrl="https://x/o?sig=abcdef", seed=2**70, nested={"a": [1]})
    await desk.record(*job.events)
    line = lines_of(desk, capsys)[-1]
    assert line["outputUrl"] == "https://x/o?sig=******"
    assert (line["seed"], line["nested"]) == (2**70, {"a": [1]})
    assert line["level"] == "info"
