"""Between the protos of jobs and the domain: two-way, checked on the way in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from google.protobuf.message import Message

from etapa.queue.v1 import job_pb2, queue_pb2
from etapa_client.names import STATUSES, STEPS
from services.queue import check
from services.queue.callbacks import Receipt, ReportedCallback
from services.queue.command import RejectMedia
from services.queue.domain import BadRequestError, JobStatus
from services.queue.events import outputs_to_proto, to_timestamp
from services.queue.overview import QueueLoad, WaitAnswer
from services.queue.reader import estimate_percent
from services.queue.store_reads import JobFilter, JobView
from services.runtime.ids import read_id
from services.runtime.text import without_nul

MAX_CALLBACKS = 500
_MAX_HINT_CHARS = 200


def job_to_proto(view: JobView, now: datetime) -> job_pb2.Job:
    """Convert a job as of `now`, which decides its estimated progress."""
    percent = estimate_percent(view, now)
    return job_pb2.Job(
        job_id=str(view.id),
        tool=view.tool,
        variant=view.variant,
        user_id=view.user_id,
        status=STATUSES[view.status],
        current_step=STEPS[view.current_step],
        failed_at_step=(
            STEPS[view.failed_at_step] if view.failed_at_step else job_pb2.STEP_UNSPECIFIED
        ),
        error_message=view.error_message,
        error_class=view.error_class,
        position=view.position,
        attempt=view.attempt,
        cost=view.cost,
        created_at=to_timestamp(view.created_at),
        started_at=to_timestamp(view.started_at) if view.started_at else None,
        completed_at=to_timestamp(view.completed_at) if view.completed_at else None,
        retry_of=str(view.retry_of) if view.retry_of else "",
        cancel_requested_at=(
            to_timestamp(view.cancel_requested_at) if view.cancel_requested_at else None
        ),
        outputs=outputs_to_proto(view.outputs),
        output_url=next((output.url for output in view.outputs if output.url), ""),
        trace_id=view.trace_id,
        seq=view.seq,
        progress=(
            job_pb2.Progress(percent=percent, estimated=True) if percent is not None else None
        ),
        task_id=view.task_id,
        input_json=view.input_json,
    )


def filter_from(request: queue_pb2.ListJobsRequest) -> JobFilter:
    """Read and check which jobs a list holds."""
    names = {number: name for name, number in STATUSES.items()}
    unknown = [number for number in request.statuses if number not in names]
    if unknown:
        raise BadRequestError(f"statuses holds {unknown[0]}, which is no status", "statuses")
    return JobFilter(
        user_id=check.text("user_id", request.user_id, check.MAX_NAME),
        tool=check.text("tool", request.tool, check.MAX_NAME),
        statuses=tuple(sorted({names[number] for number in request.statuses})),
    )


def callbacks_from(request: queue_pb2.ReportCallbacksRequest) -> list[ReportedCallback]:
    """Read and check callbacks as the gateway stored them."""
    check.whole("callbacks", len(request.callbacks), 0, MAX_CALLBACKS)
    return [_callback_from(each) for each in request.callbacks]


def receipt_to_proto(receipt: Receipt) -> queue_pb2.CallbackReceipt:
    """Convert what the queue made of a callback."""
    return queue_pb2.CallbackReceipt(
        delivery_id=str(receipt.delivery_id),
        job_id=str(receipt.job_id) if receipt.job_id else "",
        attempt=receipt.attempt,
    )


def load_to_proto(load: QueueLoad, global_limit: int) -> queue_pb2.GetQueueResponse:
    """Convert what runs and waits."""
    totals = load.totals
    oldest = totals.oldest_queued_at
    return queue_pb2.GetQueueResponse(
        running=totals.running,
        waiting=totals.waiting,
        slots_available=totals.slots_available,
        global_limit=global_limit,
        accounts=[
            queue_pb2.AccountLoad(
                account=each.name,
                slots=each.slots,
                held=each.held,
                claimable=each.name in totals.claimable,
            )
            for each in load.accounts
        ],
        tools=[
            queue_pb2.ToolLoad(
                tool=each.tool, waiting=each.waiting, running=each.running, paused=each.paused
            )
            for each in load.tools
        ],
        oldest_queued_at=to_timestamp(oldest) if oldest else None,
    )


def wait_to_proto(answer: WaitAnswer) -> queue_pb2.WhyWaitingResponse:
    """Convert why a job waits."""
    return queue_pb2.WhyWaitingResponse(
        reason=answer.why.reason,
        sentence_pt=answer.why.pt,
        sentence_en=answer.why.en,
        position=answer.position,
        slot_holders=[str(holder) for holder in answer.slot_holders],
    )


def is_same_rejection(view: JobView, command: RejectMedia) -> bool:
    """Tell whether a job was failed by this very rejection, so that a repeat changes nothing."""
    return (
        view.status is JobStatus.FAILED
        and view.failed_at_step == "upload"
        and (view.error_class, view.error_message) == (command.error_class, command.message)
    )


def need(message: Message, field: str) -> None:
    """Refuse a message in which a field is not set."""
    if not message.HasField(field):
        raise BadRequestError(f"{field} is not set", field)


def _callback_from(message: queue_pb2.Callback) -> ReportedCallback:
    need(message, "received_at")
    delivery_id = read_id("callbacks.delivery_id", message.delivery_id)
    try:
        received_at = message.received_at.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise BadRequestError(
            f"delivery {delivery_id} has no valid time", "callbacks.received_at"
        ) from error
    return ReportedCallback(
        delivery_id=delivery_id,
        token_sha256=check.sha256("callbacks.token_hash", message.token_hash),
        body_sha256=check.sha256("callbacks.body_sha256", message.body_sha256),
        received_at=received_at,
        event=_hint(message.event),
        task_id=_hint(message.task_id),
        task_status=_hint(message.task_status),
        has_output=message.has_output,
        traceparent=_hint(message.traceparent),
    )


def _hint(text: str) -> str:
    """Bound a word out of a callback's body: anybody may send one, and it is only a hint."""
    return without_nul(text)[:_MAX_HINT_CHARS]


def receipts_to_proto(receipts: Sequence[Receipt]) -> queue_pb2.ReportCallbacksResponse:
    """Convert receipts, in order."""
    return queue_pb2.ReportCallbacksResponse(receipts=map(receipt_to_proto, receipts))
