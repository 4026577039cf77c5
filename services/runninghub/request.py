"""What we send to RunningHub, as typed values and as bytes.

Field names follow docs/runninghub-api.md §2 and §3.2, read 2026-11-24.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Account:
    """One account at the provider. Keys, files and apps of one site are unknown at the other."""

    name: str
    base_url: str
    api_key: str = field(repr=False)


class TargetKind(StrEnum):
    """What is run; the value is its part of the v2 path."""

    APP = "ai-app"
    WORKFLOW = "workflow"


@dataclass(frozen=True, slots=True)
class NodeValue:
    """One input of a run. All values are sent as texts, numbers included."""

    node_id: str
    field_name: str
    field_value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """One run."""

    target_id: str
    nodes: tuple[NodeValue, ...]
    kind: TargetKind = TargetKind.APP
    webhook_url: str | None = None
    instance_type: str = "default"

    @property
    def path(self) -> str:
        """The path of the start call."""
        return f"/openapi/v2/run/{self.kind}/{quote(self.target_id, safe='')}"

    @property
    def body(self) -> bytes:
        """The JSON body of the start call; the same request always gives the same bytes."""
        nodes = [
            {"nodeId": n.node_id, "fieldName": n.field_name, "fieldValue": n.field_value}
            for n in self.nodes
        ]
        fields: dict[str, object] = {
            "nodeInfoList": nodes,
            "instanceType": self.instance_type,
            "usePersonalQueue": False,  # who waits is settled by our own queue
        }
        if self.webhook_url is not None:
            fields["webhookUrl"] = self.webhook_url
        return json_body(fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """One file to upload. `open` starts a new pass over its bytes; `sha256` is in hex."""

    file_name: str
    content_type: str
    size_bytes: int
    sha256: str
    open: Callable[[], AsyncIterator[bytes]]


def json_body(fields: dict[str, object]) -> bytes:
    """Return compact UTF-8 JSON."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def multipart_edges(media: Media, boundary: str) -> tuple[bytes, bytes]:
    """Return what stands before and after the file's bytes in a one-file multipart body."""
    name = "".join(c if c.isprintable() and c not in '"\\' else "_" for c in media.file_name)
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {media.content_type}\r\n\r\n"
    )
    return head.encode(), f"\r\n--{boundary}--\r\n".encode()
