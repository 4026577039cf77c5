from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import pytest
from google.rpc import error_details_pb2
from grpc import aio
from grpc_status import rpc_status

from etapa.observability.v1 import event_pb2, intake_pb2, trail_pb2
from etapa.queue.v1 import job_pb2, operations_pb2
from services.observability.store.read import lowest_id
from services.runtime.blobs import BlobStore
from services.runtime.ids import new_id
from tests.support.history import (
    CALLBACK,
    OOM_REPLY,
    OOM_WORDS,
    OUTPUT_URL,
    History,
    catalogue,
    completed,
    delivery,
    failed,
    queued,
    running,
)
from tests.support.observability import DEADLINE_S, Observability, running_observability
from tests.support.postgres import MakeDatabase
from tests.support.waiting import eventually

TOOLS = ("upscaler", "pose_changer", "veste_ai", "video_upscaler")
PLAN_QUERY = """
SELECT
  id,
  status,
  current_step,
  failed_at_step,
  error_message,
  step_history,
  raw_api_response,
  raw_webhook_payload,
  created_at,
  started_at,
  completed_at
FROM {view}
WHERE id = '{job_id}'
ORDER BY created_at DESC
LIMIT 1;
"""


@pytest.fixture
async def dsn(make_database: MakeDatabase) -> str:
    return await make_database(["observability"])


@pytest.fixture
async def service(dsn: str, tmp_path: Path) -> AsyncIterator[Observability]:
    async with running_observability(dsn, tmp_path) as running:
        yield running


async def announce(service: Observability, *tools: str) -> None:
    request = intake_pb2.AnnounceToolsRequest(tools=catalogue(*tools))
    await service.intake.AnnounceTools(request, timeout=DEADLINE_S)


async def deliver(service: Observability, *deliveries: intake_pb2.Delivery) -> None:
    request = intake_pb2.RecordDeliveriesRequest(deliveries=deliveries)
    await service.intake.RecordDeliveries(request, timeout=DEADLINE_S)


async def get_payload(service: Observability, payload_id: str, job_id: str = "") -> Any:
    request = trail_pb2.GetPayloadRequest(job_id=job_id, payload_id=payload_id)
    return await service.trail.GetPayload(request, timeout=DEADLINE_S)


def reason_of(error: aio.AioRpcError) -> str:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # its stubs know no aio
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    return str(info.reason)


async def test_batches_of_a_stream_are_acknowledged_in_order_after_their_commit(
    service: Observability, dsn: str
) -> None:
    job, _ = failed()
    acks = await service.record(job.events, size=3)
    assert [each.batch for each in acks] == list(range(0, len(job.events), 3))
    conn = await asyncpg.connect(dsn)
    stored = await conn.fetchval("SELECT count(*) FROM observability.events")
    await conn.close()
    assert stored == len(job.events)


async def test_a_rejected_event_is_named_in_the_acknowledgement(service: Observability) -> None:
    job = queued()
    acks = await service.record([event_pb2.Event(job_id="nonsense", seq=7), *job.events])
    assert [(each.job_id, each.seq) for each in acks[0].rejected] == [("nonsense", 7)]
    assert (await service.get_trail(job.job_id)).through_seq == len(job.events)


async def test_the_trail_of_a_failed_job_says_where_why_whose_side_and_what_now(
    service: Observability,
) -> None:
    await announce(service, *TOOLS)
    job, evidence = failed()
    await service.record_jobs(job)
    trail = await service.get_trail(job.job_id)
    assert trail.job.status == job_pb2.JOB_STATUS_FAILED
    assert trail.job.failed_at_step == job_pb2.STEP_RUNNING
    assert trail.job.view == "upscaler_jobs"
    verdict = trail.verdict
    assert verdict.error_class == "gpu_oom"
    assert verdict.side == trail_pb2.SIDE_CONFIGURATION
    assert verdict.retry == trail_pb2.RETRY_WORTH_CHANGED
    assert verdict.provider_words == OOM_WORDS
    assert verdict.evidence_payload_id == evidence
    assert (verdict.charged, verdict.returned, verdict.captured) == (60, 60, 0)
    assert "memória" in verdict.message.pt
    assert verdict.advice.en


async def test_the_trail_of_a_completed_job_is_whole_and_in_order(service: Observability) -> None:
    job, delivery_id = completed()
    await deliver(service, delivery(delivery_id))
    await service.record_jobs(job)
    trail = await service.get_trail(job.job_id)
    assert [job_pb2.Step.Name(each.step)[5:].lower() for each in trail.steps] == [
        "upload",
        "insert",
        "credits",
        "queue_check",
        "queued",
        "starting",
        "running",
        "webhook_received",
        "completed",
    ]
    assert [each.timestamp.ToDatetime() for each in trail.steps] == sorted(
        each.timestamp.ToDatetime() for each in trail.steps
    )
    assert trail.steps[0].details_json == '{"fileName":"photo.jpg","bytes":1234}'
    assert not trail.HasField("verdict")
    assert trail.job.output_url == f"{OUTPUT_URL}?sig=1"
    attempt = trail.attempts[0]
    assert (attempt.phase, attempt.outcome, attempt.task_id) == ("ended", "succeeded", job.task_id)
    assert attempt.claimed_at.ToDatetime() < attempt.accepted_at.ToDatetime()
    assert [each.amount for each in trail.ledger] == [60, 60]
    callback = next(each for each in trail.payloads if each.payload_id == delivery_id)
    assert (callback.url, callback.attempt) == ("https://provider/call", 1)
    assert trail.through_seq == len(job.events)
    assert trail.left_out == 0


async def test_a_repeated_answer_is_counted_on_its_payload(service: Observability) -> None:
    job = running()
    payload_id = job.reply(b'{"status":"RUNNING"}')
    for count in (2, 3):
        repeat = event_pb2.RepeatEvent(payload_id=payload_id, count=count)
        repeat.last_at.FromJsonString(f"2026-11-24T12:00:0{count}Z")
        job.add(1, repeat=repeat)
    await service.record_jobs(job)
    trail = await service.get_trail(job.job_id)
    info = next(each for each in trail.payloads if each.payload_id == payload_id)
    assert (info.repeats, info.last_repeat_at.ToJsonString()) == (5, "2026-11-24T12:00:03Z")


async def test_the_plans_query_shows_a_failed_job_whole(service: Observability, dsn: str) -> None:
    await announce(service, *TOOLS)
    conn = await asyncpg.connect(dsn)
    for tool in TOOLS:
        job, _ = failed(tool)
        await service.record_jobs(job)
        query = PLAN_QUERY.format(view=f"{tool}_jobs", job_id=job.job_id)
        row = await conn.fetchrow(query)
        assert row is not None
        assert (row["status"], row["failed_at_step"]) == ("failed", "running")
        assert row["error_message"] == OOM_WORDS
        assert row["raw_api_response"] == OOM_REPLY.decode().replace('":', '": ').replace(
            ',"', ', "'
        )
        assert row["raw_webhook_payload"] is None
        assert row["completed_at"] > row["started_at"] > row["created_at"]
        steps = await conn.fetch(
            f"SELECT s->>'step' AS step, s->>'timestamp' AS at FROM {tool}_jobs, "
            "jsonb_array_elements(step_history) s WHERE id = $1",
            row["id"],
        )
        assert [each["step"] for each in steps][-3:] == ["running", "webhook_received", "failed"]
        assert steps[0]["at"] == "2026-11-24T12:00:00.100000Z"
    await conn.close()


@pytest.mark.parametrize("is_callback_first", [True, False])
async def test_the_plans_query_shows_a_completed_job_whole(
    service: Observability, dsn: str, is_callback_first: bool
) -> None:
    await announce(service, *TOOLS)
    job, delivery_id = completed("veste_ai")
    if is_callback_first:
        await deliver(service, delivery(delivery_id))
    await service.record_jobs(job)
    if not is_callback_first:
        await deliver(service, delivery(delivery_id))
    conn = await asyncpg.connect(dsn)
    row = await conn.fetchrow(PLAN_QUERY.format(view="veste_ai_jobs", job_id=job.job_id))
    url = await conn.fetchval("SELECT output_url FROM veste_ai_jobs")
    await conn.close()
    assert row is not None
    assert (row["status"], row["failed_at_step"], row["error_message"]) == ("completed", None, None)
    assert '"TASK_END"' in row["raw_webhook_payload"]
    assert '"SUCCESS"' in row["raw_api_response"]
    assert url == f"{OUTPUT_URL}?sig=1"


async def test_announcing_twice_changes_nothing_and_a_foreign_relation_is_left_alone(
    service: Observability, dsn: str
) -> None:
    await announce(service, *TOOLS)
    await announce(service, *TOOLS)
    conn = await asyncpg.connect(dsn)
    await conn.execute("CREATE TABLE public.mine_jobs (id int)")
    with pytest.raises(aio.AioRpcError) as refused:
        await announce(service, "mine")
    kept = await conn.fetchval(
        "SELECT count(*) FROM information_schema.tables "
        "WHERE table_name = 'mine_jobs' AND table_type = 'BASE TABLE'"
    )
    await conn.close()
    assert reason_of(refused.value) == "VIEW_TAKEN"
    assert kept == 1


async def test_a_view_name_that_is_no_plain_name_is_refused(service: Observability) -> None:
    tool = operations_pb2.ToolAnnouncement(name="evil", view='x"; DROP TABLE y; --')
    with pytest.raises(aio.AioRpcError) as refused:
        await service.intake.AnnounceTools(
            intake_pb2.AnnounceToolsRequest(tools=[tool]), timeout=DEADLINE_S
        )
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_job_is_found_by_each_of_its_ids(service: Observability) -> None:
    job, delivery_id = completed(user_id="ana@example.org")
    other = queued(user_id="somebody-else")
    await service.record_jobs(job, other)
    for query, matched in {
        job.job_id: "job_id",
        job.job_id.upper(): "job_id",
        job.task_id: "task_id",
        job.trace_id: "trace_id",
        f"00-{job.trace_id}-00f067aa0ba902b7-01": "trace_id",
        delivery_id: "delivery_id",
        job.request_id: "request_id",
        "ana@example.org": "user_id",
        OUTPUT_URL: "output_url",
        f"{OUTPUT_URL}?other=signature": "output_url",
        "https://provider/o.png?gone=1": "output_url",
    }.items():
        assert await service.find(query) == [(job.job_id, matched)], query
    assert await service.find("nothing-of-ours") == []


async def test_payloads_come_back_to_the_byte(service: Observability) -> None:
    job = running()
    bodies = {
        "small": b'{"a": 1}',
        "text": b"<html>\xe9 not utf-8 \x00</html>" * 50,
        "json": b'{"key": "value", "n": 1e999}' + b" " * 4000,
        "large": bytes(range(256)) * 400,
        "empty": b"",
    }
    ids = {name: job.reply(body) for name, body in bodies.items()}
    await service.record_jobs(job)
    for name, body in bodies.items():
        found = await get_payload(service, ids[name], job.job_id)
        assert found.body == body, name
        assert found.info.headers[0].value == "abc"


async def test_a_callback_is_readable_before_and_after_it_is_matched(
    service: Observability,
) -> None:
    job, delivery_id = completed()
    await deliver(service, delivery(delivery_id))
    assert (await get_payload(service, delivery_id)).body == CALLBACK
    await service.record_jobs(job)
    assert (await get_payload(service, delivery_id)).body == CALLBACK
    found = await get_payload(service, delivery_id, job.job_id)
    assert (found.body, found.info.http_status) == (CALLBACK, 200)


async def test_a_callback_whose_bytes_are_still_to_come_says_so(service: Observability) -> None:
    job, delivery_id = completed()
    await service.record_jobs(job)
    with pytest.raises(aio.AioRpcError) as missing:
        await get_payload(service, delivery_id, job.job_id)
    assert reason_of(missing.value) == "PAYLOAD_NOT_FOUND"
    await deliver(service, delivery(delivery_id))
    assert (await get_payload(service, delivery_id, job.job_id)).body == CALLBACK


def id_of(at: datetime) -> UUID:
    """Return the UUIDv7 that a gateway might have made at a time."""
    return UUID(int=lowest_id(at).int | 7 << 76 | 2 << 62)


async def test_the_running_service_forgets_what_no_job_claimed(dsn: str, tmp_path: Path) -> None:
    old, young = str(id_of(datetime.now(UTC) - timedelta(hours=25))), str(new_id())
    async with running_observability(
        dsn, tmp_path, FEED_KEEP_S="1", KEEP_UNMATCHED_S="86400"
    ) as service:
        await deliver(service, delivery(old), delivery(young))

        async def is_gone() -> bool:
            try:
                await get_payload(service, old)
            except aio.AioRpcError as error:
                return reason_of(error) == "PAYLOAD_NOT_FOUND"
            return False

        await eventually(is_gone)
        assert (await get_payload(service, young)).body == CALLBACK


@pytest.mark.parametrize(
    ("call", "request_", "reason"),
    [
        ("GetTrail", trail_pb2.GetTrailRequest(job_id=str(new_id())), "JOB_NOT_FOUND"),
        ("GetTrail", trail_pb2.GetTrailRequest(job_id="x"), "INVALID_ID"),
        ("GetPayload", trail_pb2.GetPayloadRequest(payload_id=str(new_id())), "PAYLOAD_NOT_FOUND"),
        ("GetPayload", trail_pb2.GetPayloadRequest(payload_id="x"), "INVALID_ID"),
        (
            "GetPayload",
            trail_pb2.GetPayloadRequest(job_id="x", payload_id=str(new_id())),
            "INVALID_ID",
        ),
        ("Find", trail_pb2.FindRequest(query=" "), "INVALID_INPUT"),
        ("Find", trail_pb2.FindRequest(query="a\x00b"), "TEXT_NOT_STORABLE"),
        ("ListJobs", trail_pb2.ListJobsRequest(page_size=201), "INVALID_INPUT"),
        ("ListJobs", trail_pb2.ListJobsRequest(page_token="x"), "INVALID_PAGE_TOKEN"),
        (
            "ListJobs",
            trail_pb2.ListJobsRequest(failed_at_step=job_pb2.Step.ValueType(77)),
            "INVALID_INPUT",
        ),
    ],
)
async def test_a_request_that_cannot_be_answered_says_why(
    service: Observability, call: str, request_: Any, reason: str
) -> None:
    with pytest.raises(aio.AioRpcError) as refused:
        await getattr(service.trail, call)(request_, timeout=DEADLINE_S)
    assert reason_of(refused.value) == reason


async def test_lists_are_narrowed_by_each_filter(service: Observability) -> None:
    waiting, busy = queued("upscaler", "ana"), running("veste_ai", "ana")
    done, broken = completed("upscaler", "bia")[0], failed("veste_ai", "bia")[0]
    await service.record_jobs(waiting, busy, done, broken)
    everything = [broken, done, busy, waiting]

    async def listed(**filters: Any) -> list[str]:
        return [each.job_id for each in (await service.list_jobs(**filters)).jobs]

    def ids(*jobs: History) -> list[str]:
        return [job.job_id for job in jobs]

    assert await listed() == ids(*everything)
    assert await listed(user_id="ana") == ids(busy, waiting)
    assert await listed(tool="upscaler") == ids(done, waiting)
    assert await listed(tool="veste_ai", user_id="ana") == ids(busy)
    assert await listed(statuses=[job_pb2.JOB_STATUS_RUNNING]) == ids(busy)
    both = [job_pb2.JOB_STATUS_FAILED, job_pb2.JOB_STATUS_QUEUED]
    assert await listed(statuses=both) == ids(broken, waiting)
    assert await listed(statuses=both, tool="veste_ai") == ids(broken)
    assert await listed(statuses=[job_pb2.JOB_STATUS_STARTING]) == []
    assert await listed(failed_at_step=job_pb2.STEP_RUNNING) == ids(broken)
    assert await listed(error_class="gpu_oom") == ids(broken)
    assert await listed(error_class="gpu_oom", user_id="ana") == []
    assert await listed(created_to=everything[0].events[0].occurred_at) == []


async def test_pages_join_to_the_whole_list_and_a_token_is_bound_to_its_filters(
    service: Observability,
) -> None:
    jobs = [queued(user_id="ana") for _ in range(7)]
    await service.record_jobs(*jobs)
    seen: list[str] = []
    token = ""
    while True:
        page = await service.list_jobs(user_id="ana", page_size=3, page_token=token)
        seen += [each.job_id for each in page.jobs]
        token = page.next_page_token or token
        if not page.next_page_token:
            break
    assert seen == [job.job_id for job in reversed(jobs)]
    with pytest.raises(aio.AioRpcError) as refused:
        await service.list_jobs(user_id="bia", page_token=token)
    assert reason_of(refused.value) == "INVALID_PAGE_TOKEN"
    with pytest.raises(aio.AioRpcError) as mangled:
        await service.list_jobs(user_id="ana", page_token=f"{token[:4]} {token[4:]}")
    assert reason_of(mangled.value) == "INVALID_PAGE_TOKEN"


async def test_a_huge_job_is_shown_by_its_ends(service: Observability) -> None:
    job = queued()
    for _ in range(5000):
        job.step("queued", "queued", position=1)
    await service.record(job.events, size=1000)
    trail = await service.get_trail(job.job_id)
    assert len(trail.steps) == 2000
    assert (trail.steps[0].seq, trail.steps[-1].seq) == (1, len(job.events))
    assert trail.left_out == 5005 - 2000
    assert len(trail.ledger) == 1


async def test_a_job_of_very_long_details_is_cut_to_what_a_message_holds(
    service: Observability,
) -> None:
    job = queued()
    for _ in range(150):
        job.step("queued", "queued", text="x" * 60_000)
    await service.record(job.events, size=40)
    trail = await service.get_trail(job.job_id)
    assert (trail.steps[0].seq, trail.steps[-1].seq) == (1, len(job.events))
    assert trail.left_out == 155 - len(trail.steps)
    assert 0 < len(trail.steps) < 155


async def test_a_blob_larger_than_a_message_is_cut_and_says_so(
    service: Observability, tmp_path: Path
) -> None:
    blob = await BlobStore(str(tmp_path / "blobs")).put(b"\x01" * 5_000_000)
    job = queued()
    payload_id = job.reply(b"")
    job.events[-1].payload.blob_sha256 = blob.sha256
    await service.record_jobs(job)
    found = await get_payload(service, payload_id, job.job_id)
    assert found.info.truncated
    assert found.body == b"\x01" * len(found.body)
    assert len(found.body) > 3_000_000


async def test_one_stream_of_many_senders_at_once_loses_nothing(service: Observability) -> None:
    jobs = [completed()[0] for _ in range(60)]
    await asyncio.gather(*(service.record(job.events, size=4) for job in jobs))
    for job in jobs:
        assert (await service.get_trail(job.job_id)).through_seq == len(job.events)
