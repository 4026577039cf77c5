"""Jobs in every state as queue and history tell them, for tests of the console."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from google.protobuf import timestamp_pb2

from etapa.observability.v1 import event_pb2, trail_pb2
from etapa.queue.v1 import credits_pb2, job_pb2, operations_pb2, queue_pb2
from tests.support.console_world import World
from tests.support.trails import T0, failed_job, failed_trail, step

QUEUED = "019ab0c0-0000-7000-8000-00000000000a"
RUNNING = "019ab0c0-0000-7000-8000-00000000000b"
COMPLETED = "019ab0c0-0000-7000-8000-00000000000c"
CANCELLED = "019ab0c0-0000-7000-8000-00000000000d"
FAILED = "019ab0c0-0000-7000-8000-000000000001"
PENDING = "019ab0c0-0000-7000-8000-00000000000e"
STARTING = "019ab0c0-0000-7000-8000-00000000000f"
# The start of the last request is masked, as a provider key would be.
CALLBACK = json.dumps(
    {
        "event": "TASK_END",
        "taskId": "1990712044120342283",
        "eventData": {
            "status": "FAILED",
            "errorCode": "805",
            "errorMessage": "工作流运行失败",
            "failedReason": {
                "node_id": "17",
                "node_name": "KSampler",
                "exception_type": "torch.OutOfMemoryError",
                "exception_message": "Allocation on device 0 would exceed allowed memory.",
                "traceback": ["File x", "File y"],
            },
            "usage": {"consumeCoins": "0"},
        },
    },
    ensure_ascii=False,
).encode()
REQUEST = b'{"apiKey":"****************","webappId":"2037"}'


def stamp(when: datetime) -> timestamp_pb2.Timestamp:
    """Return a proto time."""
    moment = timestamp_pb2.Timestamp()
    moment.FromDatetime(when)
    return moment


def ago(seconds: float) -> timestamp_pb2.Timestamp:
    """Return a time before now."""
    return stamp(datetime.now(UTC) - timedelta(seconds=seconds))


def open_job(job_id: str, status: str, step_name: str, **more: object) -> job_pb2.Job:
    """Return a job that is under way."""
    job = job_pb2.Job(
        job_id=job_id,
        tool="upscaler",
        variant="people",
        user_id="demo",
        status=job_pb2.JobStatus.Value(f"JOB_STATUS_{status.upper()}"),
        current_step=job_pb2.Step.Value(f"STEP_{step_name.upper()}"),
        cost=60,
        created_at=ago(20),
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        seq=7,
        input_json='{"category": "pessoas_perto", "resolution": 2048}',
    )
    for name, value in more.items():
        if isinstance(value, job_pb2.Progress):
            job.progress.CopyFrom(value)
        else:
            setattr(job, name, value)
    return job


def trail_of(
    job: job_pb2.Job, steps: list[tuple[str, float]], **more: object
) -> trail_pb2.GetTrailResponse:
    """Return a trail whose steps began so many seconds after the job's creation."""
    start = (job.created_at.ToDatetime(UTC) - T0).total_seconds()
    records = [step(seq, name, start + at) for seq, (name, at) in enumerate(steps, 1)]
    return trail_pb2.GetTrailResponse(
        job=trail_pb2.JobSummary(
            job_id=job.job_id,
            tool=job.tool,
            variant=job.variant,
            user_id=job.user_id,
            status=job.status,
            current_step=job.current_step,
            created_at=job.created_at,
            completed_at=job.completed_at if job.HasField("completed_at") else None,
            outputs=job.outputs,
            cost=job.cost,
            trace_id=job.trace_id,
            input_json=job.input_json,
        ),
        steps=records,
        through_seq=job.seq,
        **more,  # type: ignore[arg-type]  # the fields of the message, by their names
    )


IN_QUEUE = [
    ("upload", 0),
    ("insert", 1.1),
    ("credits", 1.2),
    ("queue_check", 1.21),
    ("queued", 1.22),
]
AT_WORK = [*IN_QUEUE, ("starting", 6), ("running", 7.4)]
DONE = [*AT_WORK, ("webhook_received", 18), ("completed", 18.6)]


async def fill(world: World, media_url: str = "http://127.0.0.1:8081/media/out.png") -> None:
    """Put a job of every state into the world."""
    await put_cancelled(world)
    await put_completed(world, media_url)
    await put_failed(world)
    pending = open_job(PENDING, "pending", "upload", seq=1)
    await world.put(pending, trail_of(pending, IN_QUEUE[:1]))
    starting = open_job(STARTING, "starting", "starting", attempt=1)
    await world.put(starting, trail_of(starting, AT_WORK[:-1]))
    await put_running(world)
    await put_queued(world)
    world.accounts = [
        operations_pb2.Account(
            name="main",
            slots=5,
            held=3,
            health=operations_pb2.ACCOUNT_HEALTH_OK,
            ended_attempts=40,
            without_callback=2,
        )
    ]


async def put_queued(world: World) -> None:
    """Put a job that waits at place 2."""
    job = open_job(QUEUED, "queued", "queued", position=2)
    world.why[QUEUED] = queue_pb2.WhyWaitingResponse(
        reason="NO_FREE_SLOT",
        sentence_pt="as 10 vagas estão em uso; a próxima deve abrir em ~40 s.",
        sentence_en="all 10 slots are in use; the next should open in ~40 s.",
        position=2,
    )
    await world.put(job, trail_of(job, IN_QUEUE))


async def put_running(world: World) -> None:
    """Put a job that runs, at 45 % by estimate."""
    progress = job_pb2.Progress(percent=45, estimated=True)
    job = open_job(RUNNING, "running", "running", progress=progress, attempt=1, task_id="1990")
    await world.put(job, trail_of(job, AT_WORK))


async def put_completed(world: World, media_url: str) -> None:
    """Put a job with one picture."""
    job = open_job(COMPLETED, "completed", "completed", seq=9, attempt=1, task_id="1991")
    job.completed_at.CopyFrom(ago(1.4))
    job.outputs.append(
        job_pb2.Output(
            url=media_url,
            sha256="9c1e" * 16,
            bytes=2_113_000,
            content_type="image/png",
        )
    )
    ledger = [
        _entry(3, credits_pb2.LEDGER_KIND_RESERVE),
        _entry(9, credits_pb2.LEDGER_KIND_CAPTURE),
    ]
    await world.put(job, trail_of(job, DONE, ledger=ledger))


async def put_cancelled(world: World) -> None:
    """Put a job that its user cancelled while it waited."""
    job = open_job(CANCELLED, "cancelled", "cancelled", seq=6)
    job.completed_at.CopyFrom(ago(10))
    steps = [*IN_QUEUE, ("cancelled", 10.0)]
    refund = [_entry(6, credits_pb2.LEDGER_KIND_REFUND)]
    await world.put(job, trail_of(job, steps, ledger=refund))


async def put_failed(world: World) -> None:
    """Put the job that ran out of GPU memory, with a request and a callback as its evidence."""
    trail = failed_trail()
    trail.payloads[0].call = "start"
    trail.payloads.append(
        event_pb2.PayloadInfo(
            payload_id="p-2",
            kind=event_pb2.PAYLOAD_KIND_REQUEST,
            call="start",
            method="POST",
            url="https://www.runninghub.ai/openapi/v2/run/ai-app/2037",
            occurred_at=trail.steps[5].timestamp,
            bytes=len(REQUEST),
            masked=[event_pb2.ByteRange(start=11, end=27)],
            headers=[event_pb2.Header(name="Authorization", value="Bearer ********")],
        )
    )
    trail.payloads.append(
        event_pb2.PayloadInfo(
            payload_id="p-3",
            kind=event_pb2.PAYLOAD_KIND_CALLBACK,
            call="callback",
            transport="received",
            occurred_at=trail.steps[7].timestamp,
            bytes=len(CALLBACK),
            sha256=bytes.fromhex("9c1e" * 16),
            content_type="application/json",
        )
    )
    trail.verdict.evidence_payload_id = "p-3"
    trail.verdict.evidence_path = "$.eventData.failedReason.exception_type"
    world.bodies |= {"p-1": b'{"code": 805}', "p-2": REQUEST, "p-3": CALLBACK}
    await world.put(failed_job(), trail)


def _entry(seq: int, kind: credits_pb2.LedgerKind.ValueType) -> trail_pb2.LedgerRecord:
    return trail_pb2.LedgerRecord(
        seq=seq, kind=kind, amount=60, bucket="monthly", timestamp=ago(18)
    )
