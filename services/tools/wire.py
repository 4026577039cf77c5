"""Between this service's own words and the contract's messages. No decision is made here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from etapa.queue.v1 import operations_pb2, queue_pb2
from etapa.tools.v1 import tools_pb2
from services.tools.media import PreparedMedia
from services.tools.request import Chunk, RunRequest, Source, display_name
from services.tools.schema import json_schema
from services.tools.sniff import ACCEPTED
from services.tools.tool import AnyTool, MediaInput, MediaRef, Node, RunPlan, TimeLimits

CATEGORIES = {
    tools_pb2.UPSCALER_CATEGORY_PESSOAS_PERTO: "pessoas_perto",
    tools_pb2.UPSCALER_CATEGORY_PESSOAS_LONGE: "pessoas_longe",
    tools_pb2.UPSCALER_CATEGORY_COMIDA: "comida",
    tools_pb2.UPSCALER_CATEGORY_FOTO_ANTIGA: "fotoAntiga",
    tools_pb2.UPSCALER_CATEGORY_LOGO: "logo",
    tools_pb2.UPSCALER_CATEGORY_RENDER3D: "render3d",
    tools_pb2.UPSCALER_CATEGORY_PAISAGEM: "paisagem",
}


def request_from_header(header: tools_pb2.RunHeader, tool: str, input_json: str) -> RunRequest:
    """Read the header that all run calls share."""
    return RunRequest(
        request_id=header.request_id,
        caller=header.caller,
        user_id=header.user_id,
        tool=tool,
        input_json=input_json,
        sources=tuple(_source_from_proto(media) for media in header.media),
    )


def _source_from_proto(media: tools_pb2.MediaSource) -> Source:
    if media.WhichOneof("source") == "url":
        return Source(media.name, url=media.url)
    uploaded = media.HasField("upload_file_name")
    return Source(media.name, file_name=media.upload_file_name if uploaded else None)


def upscaler_input_json(header: tools_pb2.UpscalerHeader) -> str:
    """Return the typed parameters as the JSON that the tool reads; what is unset stays out.

    A category that this server does not know is passed on as its number, and refused there.
    """
    given: dict[str, object] = {}
    if header.category:
        given["category"] = CATEGORIES.get(header.category, str(header.category))
    for name in ("resolution", "denoise", "detail"):
        if header.HasField(name):
            given[name] = getattr(header, name)
    return msgspec.json.encode(given).decode()


def chunk_from_proto(chunk: tools_pb2.MediaChunk) -> Chunk:
    """Read one piece of an upload."""
    return Chunk(chunk.media, chunk.data, chunk.last)


def submission_to_proto(plan: RunPlan, media: list[PreparedMedia]) -> queue_pb2.Submission:
    """Return all that the provider needs."""
    return queue_pb2.Submission(**_submission(plan, media))


def creation_to_proto(
    request: RunRequest, plan: RunPlan, input_json: str, traceparent: str
) -> queue_pb2.CreateJobRequest:
    """Return what makes the job; complete, if there is no media to wait for."""
    fields: dict[str, Any] = {
        "request_id": request.request_id,
        "caller": request.caller,
        "user_id": request.user_id,
        "tool": request.tool,
        "variant": plan.variant,
        "input_json": input_json,
        "file_names": {source.name: display_name(source) for source in request.sources},
        "traceparent": traceparent,
    }
    if not request.sources:
        fields["ready"] = _submission(plan, [])
    return queue_pb2.CreateJobRequest(**fields)


def tool_to_proto(tool: AnyTool) -> tools_pb2.ToolInfo:
    """Return the tool as the console and the command line need it."""
    lowest, highest = tool.price_range()
    return tools_pb2.ToolInfo(
        name=tool.name,
        label_pt=tool.label.pt,
        label_en=tool.label.en,
        description_pt=tool.description.pt,
        description_en=tool.description.en,
        input_schema_json=msgspec.json.encode(json_schema(tool)).decode(),
        media=[_input_to_proto(media) for media in tool.media],
        credits_from=lowest,
        credits_to=highest,
        output_kind=tool.output.value,
        view=tool.view,
        variant_credits={variant.name: variant.price for variant in tool.variants},
    )


def announcement_to_proto(tool: AnyTool) -> operations_pb2.ToolAnnouncement:
    """Return what queue and observability need to know of the tool."""
    return operations_pb2.ToolAnnouncement(
        name=tool.name,
        view=tool.view,
        label_pt=tool.label.pt,
        label_en=tool.label.en,
        variants=[
            operations_pb2.VariantPrice(variant=variant.name, credits=variant.price)
            for variant in tool.variants
        ],
        time_limits=_limits_to_proto(tool.time_limits),
        output_kind=tool.output.value,
    )


# As fields, which protobuf fills in place; a message given to another one is copied.
def _submission(plan: RunPlan, media: Sequence[PreparedMedia]) -> dict[str, Any]:
    return {
        "webapp_id": plan.webapp_id,
        "nodes": [_node(node) for node in plan.nodes],
        "media": [_media(prepared) for prepared in media],
        "instance_type": plan.instance_type,
        "adjustments": [
            {"field": a.field, "given": a.given, "sent": a.sent, "why": a.why.en}
            for a in plan.adjustments
        ],
    }


def _node(node: Node) -> dict[str, str]:
    fields = {"node_id": node.node_id, "field_name": node.field_name}
    if not isinstance(node.value, MediaRef):
        return {**fields, "text": node.value}
    return {**fields, "media_url" if node.value.as_url else "media_file": node.value.name}


def _media(prepared: PreparedMedia) -> dict[str, Any]:
    return {
        "name": prepared.name,
        "sha256": prepared.sha256,
        "bytes": prepared.bytes,
        "content_type": prepared.content_type,
        "file_name": prepared.file_name,
        "width": prepared.width,
        "height": prepared.height,
        "duration_s": prepared.duration_s,
    }


def _input_to_proto(media: MediaInput) -> tools_pb2.MediaInput:
    return tools_pb2.MediaInput(
        name=media.name,
        kind=media.kind.value,
        label_pt=media.label.pt,
        label_en=media.label.en,
        max_bytes=media.max_bytes,
        content_types=ACCEPTED[media.kind],
        max_duration_s=media.max_s,
        max_side_px=media.max_side_px,
        help_pt=media.help.pt if media.help else "",
        help_en=media.help.en if media.help else "",
    )


def _limits_to_proto(limits: TimeLimits) -> operations_pb2.TimeLimits:
    made = operations_pb2.TimeLimits()
    made.upload.FromSeconds(limits.upload_s)
    made.queue_wait.FromSeconds(limits.queue_wait_s)
    made.start.FromSeconds(limits.start_s)
    made.run.FromSeconds(limits.run_s)
    made.finalise.FromSeconds(limits.finalise_s)
    return made
