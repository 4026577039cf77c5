from __future__ import annotations

import structlog

from services.observability.step_log import log_steps
from services.observability.store import schema
from services.observability.wire_intake import tools_from
from tests.integration.observability.conftest import Desk
from tests.support.history import catalogue, failed, queued


def lines_of(desk: Desk) -> list[dict[str, object]]:
    with structlog.testing.capture_logs() as lines:
        for folded in desk.committed:
            log_steps(folded)
    return [dict(line) for line in lines]


async def test_each_step_makes_one_line_with_its_details_as_fields(desk: Desk) -> None:
    job, _ = failed()
    await desk.record(*job.events)
    await desk.record(*job.events)
    lines = lines_of(desk)
    assert len(lines) == sum(event.HasField("step") for event in job.events)
    assert lines[0]["event"] == f"[upscaler_jobs] Job {job.job_id}: upload"
    assert (lines[0]["fileName"], lines[0]["trace_id"]) == ("photo.jpg", job.trace_id)
    assert (lines[0]["job_id"], lines[0]["seq"]) == (job.job_id, 1)
    assert lines[-1]["event"] == f"[upscaler_jobs] Job {job.job_id}: failed"
    assert lines[-1]["at_step"] == "running"


async def test_a_line_names_the_view_of_the_catalogue(desk: Desk) -> None:
    tools = catalogue("background_remover")
    tools[0].view = "bg_remover_jobs"
    async with desk.pool.acquire() as conn:
        await schema.upsert_tools(conn, tools_from(tools))
    job = queued("background_remover")
    await desk.record(*job.events[:2])
    await desk.record(*job.events[2:])
    assert {str(line["event"]).split()[0] for line in lines_of(desk)} == {"[bg_remover_jobs]"}


async def test_details_never_take_the_place_of_a_lines_own_fields(desk: Desk) -> None:
    job = queued()
    job.step("queued", "queued", event="x", trace_id="y", level="z", job_id="w", seq=99)
    await desk.record(*job.events)
    line = lines_of(desk)[-1]
    assert (line["job_id"], line["seq"], line["trace_id"]) == (job.job_id, 7, job.trace_id)
    assert (line["detail_event"], line["detail_seq"]) == ("x", 99)
