"""Checks a nodeInfoList against an app, as the provider does before it accepts a task."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from services.emulator.catalog import App, Field
from services.emulator.codes import Refusal


@dataclass(frozen=True, slots=True)
class NodeValue:
    """One accepted override: which input gets which value, as text."""

    node_id: str
    name: str
    value: str


def check_nodes(app: App, raw: Any) -> tuple[NodeValue, ...]:
    """Return the overrides of a request, or raise the `Refusal` that the provider answers.

    301: not a list of objects. 803: no such node or input, or the value's key is missing
    (`value` instead of `fieldValue` counts as missing). 433: the graph does not take the value.
    """
    if not isinstance(raw, list):
        raise Refusal(301)
    return tuple(_check_one(app, item) for item in raw)


def _check_one(app: App, item: Any) -> NodeValue:
    if not isinstance(item, dict):
        raise Refusal(301)
    node_id, name = str(item.get("nodeId", "")), str(item.get("fieldName", ""))
    if node_id not in app.nodes:
        raise _mismatch(node_id, name, "node_not_found_in_workflow")
    target = app.find(node_id, name)
    if target is None:
        raise _mismatch(node_id, name, "field_not_found_in_node_inputs")
    if item.get("fieldValue") is None:
        raise _mismatch(node_id, name, "field_value_missing")
    value = _as_text(item["fieldValue"])
    _check_value(target, value)
    return NodeValue(node_id, name, value)


def _mismatch(node_id: str, name: str, reason: str) -> Refusal:
    return Refusal(803, f"NODE_INFO_MISMATCH(nodeId={node_id}, fieldName={name}, reason={reason})")


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _check_value(target: Field, value: str) -> None:
    """Apply ComfyUI's own validation of numbers: type first, then bounds."""
    if target.kind not in {"INT", "FLOAT"}:
        return
    where = f"VALIDATE_PROMPT_FAILED: {target.node_name} {target.node_id}"
    try:
        number: float = int(value) if target.kind == "INT" else float(value)
    except ValueError:
        raise Refusal(
            433,
            f"{where}: Failed to convert an input value to a {target.kind} value: "
            f"{target.name}, {value}",
        ) from None
    if not math.isfinite(number):
        raise Refusal(433, f"{where}: {target.name} is {value}")
    if target.low is not None and number < target.low:
        raise Refusal(433, f"{where}: Value {value} smaller than min of {target.low}")
    if target.high is not None and number > target.high:
        raise Refusal(433, f"{where}: Value {value} bigger than max of {target.high}")
