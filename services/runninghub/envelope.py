"""The replies that come in a `{code, msg, data}` envelope: all of v1, and upload and queue of v2.

Same rules as `wire`: bytes in, never an exception, what is unknown is flagged. Shapes follow
runninghub-api.md §2 and §3.2, read 2026-11-24.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypedDict, TypeVar

from services.runninghub.json_shape import (
    JsonObject,
    as_code,
    as_count,
    as_list,
    as_object,
    as_text,
    as_words,
    decode,
    decode_nested,
)
from services.runninghub.report import Reply

_R = TypeVar("_R", bound=Reply)


@dataclass(frozen=True, slots=True, kw_only=True)
class AckReply(Reply):
    """A reply that only says yes or no. A cancel's yes means "asked": keep polling."""

    @property
    def is_ok(self) -> bool:
        """Whether the provider said yes, in a form that we know."""
        return self.is_json and not self.code and not self.strange and self.http_status < 400


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadReply(Reply):
    """An uploaded file. `file_name` goes into a node's value; `download_url` lives about a day."""

    file_name: str = ""
    download_url: str = ""
    size_bytes: int | None = None
    kind: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether the file can be used by its name."""
        return not self.code and self.file_name != "" and self.http_status < 400


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDetailReply(Reply):
    """The provider's own record of its attempts to call us back about one task.

    `exists` is False where the task was started without a webhook. Times are the provider's
    texts with zone. `event_data` is the body's eventData as text.
    """

    exists: bool = False
    webhook_id: str = ""
    task_id: str = ""
    webhook_url: str = ""
    event: str = ""
    event_data: str = ""
    callback_status: str = ""
    callback_response: str = ""
    retry_count: int | None = None
    create_time: str = ""
    update_time: str = ""


@dataclass(frozen=True, slots=True)
class AppNode:
    """One input that an app offers. `options` is the decoded fieldData of a LIST."""

    node_id: str
    field_name: str
    field_value: object
    field_type: str = ""
    node_name: str = ""
    options: object = None
    description: str = ""
    description_en: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppDemoReply(Reply):
    """What an app is called and which node fields it takes: the judge of a tool's mapping."""

    app_name: str = ""
    nodes: tuple[AppNode, ...] = ()


class _Head(TypedDict):
    http_status: int
    is_json: bool
    code: str
    message: str
    strange: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Envelope:
    reply: Reply
    data: object

    @property
    def fields(self) -> JsonObject:
        return as_object(self.data)


def parse_ack(body: bytes, http_status: int = 200) -> AckReply:
    """Read the reply to a call that returns nothing (cancel, retryWebhook)."""
    return AckReply(**_head(_open(body, http_status).reply))


def parse_upload(body: bytes, http_status: int = 200) -> UploadReply:
    """Read an upload reply of either generation."""
    envelope = _open(body, http_status)
    fields = envelope.fields
    name = as_text(fields.get("fileName")) or as_text(fields.get("filename"))
    reply = envelope.reply
    if reply.is_json and not reply.code and not name:
        reply = _flag(reply, "an upload without fileName")
    return UploadReply(
        **_head(reply),
        file_name=name,
        download_url=as_text(fields.get("download_url")) or as_text(fields.get("downloadUrl")),
        size_bytes=as_count(fields.get("size")),
        kind=as_text(fields.get("type")) or as_text(fields.get("fileType")),
    )


def parse_webhook_detail(body: bytes, http_status: int = 200) -> WebhookDetailReply:
    """Read a v1 getWebhookDetail reply."""
    envelope = _open(body, http_status)
    fields = envelope.fields
    return WebhookDetailReply(
        **_head(_needs_object(envelope)),
        exists=bool(as_text(fields.get("id"))),
        webhook_id=as_text(fields.get("id")),
        task_id=as_text(fields.get("taskId")),
        webhook_url=as_text(fields.get("webhookUrl")),
        event=as_text(fields.get("event")),
        event_data=as_words(fields.get("eventData")),
        callback_status=as_text(fields.get("callbackStatus")),
        callback_response=as_words(fields.get("callbackResponse")),
        retry_count=as_count(fields.get("retryCount")),
        create_time=as_text(fields.get("createTime")),
        update_time=as_text(fields.get("updateTime")),
    )


def parse_app_demo(body: bytes, http_status: int = 200) -> AppDemoReply:
    """Read a v1 apiCallDemo reply."""
    envelope = _open(body, http_status)
    nodes = tuple(map(_app_node, as_list(envelope.fields.get("nodeInfoList"))))
    reply = _needs_object(envelope)
    if not reply.code and not reply.strange and not nodes:
        reply = _flag(reply, "an app without nodeInfoList")
    return AppDemoReply(
        **_head(reply), app_name=as_text(envelope.fields.get("webappName")), nodes=nodes
    )


def _app_node(item: object) -> AppNode:
    fields = as_object(item)
    return AppNode(
        node_id=as_text(fields.get("nodeId")),
        field_name=as_text(fields.get("fieldName")),
        field_value=fields.get("fieldValue"),
        field_type=as_text(fields.get("fieldType")),
        node_name=as_text(fields.get("nodeName")),
        options=decode_nested(fields.get("fieldData")),
        description=as_text(fields.get("description")),
        description_en=as_text(fields.get("descriptionEn")),
    )


def _open(body: bytes, http_status: int) -> _Envelope:
    decoded = decode(body)
    if not decoded.is_json:
        strange: tuple[str, ...] = ("the body is not JSON",)
        return _Envelope(Reply(http_status=http_status, is_json=False, strange=strange), None)
    outer = as_object(decoded.value)
    code_key = "code" if "code" in outer else "errorCode"
    strange = () if code_key in outer else ("no envelope of code and data",)
    message = next(
        (text for key in ("msg", "message", "errorMessage") if (text := as_text(outer.get(key)))),
        "",
    )
    reply = Reply(
        http_status=http_status,
        code=as_code(outer.get(code_key)),
        message="" if message == "success" else message,
        strange=strange,
    )
    return _Envelope(reply, outer.get("data"))


def _needs_object(envelope: _Envelope) -> Reply:
    """Flag a reply that says all is well and yet holds no object."""
    if envelope.reply.code or envelope.reply.strange or envelope.fields:
        return envelope.reply
    return _flag(envelope.reply, "data holds no object")


def _flag(reply: _R, oddity: str) -> _R:
    return replace(reply, strange=(*reply.strange, oddity))


def _head(reply: Reply) -> _Head:
    return _Head(
        http_status=reply.http_status,
        is_json=reply.is_json,
        code=reply.code,
        message=reply.message,
        strange=reply.strange,
    )
