"""Between the protos of jobs that come in and the domain, checked; and what refuses one of many."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from etapa.queue.v1 import job_pb2, queue_pb2
from services.queue import check
from services.queue.canonical import canonical_inputs, params_sha256
from services.queue.command import RejectMedia
from services.queue.desk import CreateRequest
from services.queue.domain import Adjustment, BadRequestError, MediaFile, Node, Submission
from services.runtime.error_table import Answer
from services.runtime.traceparent import plain_traceparent

MAX_INPUT_CHARS = 256 * 1024
MAX_NODES = 200
MAX_NODE_CHARS = 64 * 1024
MAX_MEDIA = 20
MAX_ADJUSTMENTS = 100
MAX_FACTS = 50
_INSTANCE_TYPES = ("default", "plus")


def create_from(request: queue_pb2.CreateJobRequest, traceparent: str) -> CreateRequest:
    """Read and check a request to admit a job; `traceparent` counts where it names none."""
    input_json = check.text("input_json", request.input_json, MAX_INPUT_CHARS, least=2)
    user_id = check.text("user_id", request.user_id, check.MAX_NAME, least=1)
    inputs = canonical_inputs(input_json)
    return CreateRequest(
        request_id=check.text("request_id", request.request_id, check.MAX_NAME, least=1),
        caller=check.text("caller", request.caller, check.MAX_NAME),
        user_id=user_id,
        tool=check.text("tool", request.tool, check.MAX_NAME, least=1),
        variant=check.text("variant", request.variant, check.MAX_NAME),
        input_json=input_json,
        params_sha256=params_sha256(request.tool, request.variant, user_id, inputs),
        traceparent=plain_traceparent(request.traceparent) or traceparent,
        file_names=_texts("file_names", request.file_names, MAX_MEDIA, 255),
        submission=submission_from(request.ready) if request.HasField("ready") else None,
    )


def submission_from(message: queue_pb2.Submission) -> Submission:
    """Read and check all that the provider is asked for."""
    if not message.webapp_id.isascii() or not message.webapp_id.isdigit():
        raise BadRequestError("webapp_id is not a number", "ready.webapp_id")
    check.text("ready.webapp_id", message.webapp_id, 64)
    check.whole("ready.nodes", len(message.nodes), 1, MAX_NODES)
    check.whole("ready.media", len(message.media), 0, MAX_MEDIA)
    check.whole("ready.adjustments", len(message.adjustments), 0, MAX_ADJUSTMENTS)
    instance_type = message.instance_type or "default"
    if instance_type not in _INSTANCE_TYPES:
        raise BadRequestError(
            f"instance_type is none of {', '.join(_INSTANCE_TYPES)}", "ready.instance_type"
        )
    media = [_media_from(each) for each in message.media]
    names = {each.name for each in media}
    if len(names) < len(media):
        raise BadRequestError("two media have the same name", "ready.media.name")
    nodes = [_node_from(each, names) for each in message.nodes]
    adjustments = [_adjustment_from(each) for each in message.adjustments]
    return Submission(message.webapp_id, nodes, media, instance_type, adjustments)


def rejection_from(job_id: UUID, message: queue_pb2.MediaRejection) -> RejectMedia:
    """Read and check why media was not accepted."""
    return RejectMedia(
        job_id=job_id,
        error_class=check.text("rejected.error_class", message.error_class, 64, least=1),
        message=check.text("rejected.message", message.message, 4000, least=1),
        details=_texts("rejected.details", message.details, MAX_FACTS, 1000),
    )


def refusal_to_proto(answer: Answer) -> queue_pb2.Refusal:
    """Convert why one of several requests failed."""
    refusal = queue_pb2.Refusal(
        code=answer.code.value[0],
        message=answer.message,
        reason=answer.reason,
        facts=answer.facts,
        field=answer.input_field,
    )
    if answer.retry_after_s:
        refusal.retry_delay.FromMilliseconds(int(answer.retry_after_s * 1000))
    return refusal


def _media_from(message: job_pb2.Media) -> MediaFile:
    if not 0 <= message.duration_s <= 24 * 3600:
        raise BadRequestError("duration_s is not within 0 and 86400", "ready.media.duration_s")
    return MediaFile(
        name=check.text("ready.media.name", message.name, check.MAX_NAME, least=1),
        sha256=check.digest("ready.media.sha256", message.sha256),
        bytes=check.whole("ready.media.bytes", message.bytes, 1, 2**40),
        content_type=check.text("ready.media.content_type", message.content_type, 128, least=1),
        file_name=check.text("ready.media.file_name", message.file_name, 255),
        width=check.whole("ready.media.width", message.width, 0, 1_000_000),
        height=check.whole("ready.media.height", message.height, 0, 1_000_000),
        duration_s=message.duration_s,
    )


def _adjustment_from(message: queue_pb2.Adjustment) -> Adjustment:
    # A value may be as long as the node that would have held it.
    return Adjustment(
        field=check.text("ready.adjustments.field", message.field, check.MAX_NAME, least=1),
        given=check.text("ready.adjustments.given", message.given, MAX_NODE_CHARS),
        sent=check.text("ready.adjustments.sent", message.sent, MAX_NODE_CHARS),
        why=check.text("ready.adjustments.why", message.why, 1000),
    )


def _node_from(message: job_pb2.Node, media_names: set[str]) -> Node:
    node_id = check.text("ready.nodes.node_id", message.node_id, 64, least=1)
    field_name = check.text("ready.nodes.field_name", message.field_name, 128, least=1)
    match message.WhichOneof("value"):
        case "text":
            value = check.text("ready.nodes.text", message.text, MAX_NODE_CHARS)
            return Node(node_id, field_name, text=value)
        case "media_file":
            return Node(node_id, field_name, media_file=_named(message.media_file, media_names))
        case "media_url":
            return Node(node_id, field_name, media_url=_named(message.media_url, media_names))
        case _:
            raise BadRequestError(f"node {node_id} has no value", "ready.nodes.value")


def _named(name: str, media_names: set[str]) -> str:
    if name not in media_names:
        raise BadRequestError(
            f"a node refers to a media {name[:80]!r}, which is not among media", "ready.nodes"
        )
    return name


def _texts(field: str, values: Mapping[str, str], most: int, longest: int) -> dict[str, str]:
    check.whole(field, len(values), 0, most)
    return {
        check.text(field, name, check.MAX_NAME): check.text(field, value, longest)
        for name, value in values.items()
    }
