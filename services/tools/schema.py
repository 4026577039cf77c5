"""Reads a tool's JSON inputs strictly, and tells them as JSON Schema for callers and forms.

Beside the standard words, a property carries `x-label`, `x-help` (texts as {"pt", "en"}),
`x-step` and `x-choices` (a list of {"value", "x-label"}, in the order of a form). A `then`
of `{"x-unused": true}` says that the parameter has no effect beside that value. Media
travels beside the JSON and is not in the schema.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from services.tools.domain import (
    BadJsonError,
    BadParameterError,
    OutOfRangeError,
    UnknownParameterError,
)
from services.tools.tool import AnyTool, Inputs, InputsT, Narrowing, Tool

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SHOWN_CHARS = 60
MAX_INPUT_CHARS = 64 * 1024
# The three shapes of msgspec's ValidationError text (msgspec 0.22, read 2026-11-24).
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")
_AT = re.compile(r"^(?P<what>.*?) - at `\$\.(?P<name>[A-Za-z0-9_]+)")


def parse_inputs(tool: Tool[InputsT], input_json: str) -> InputsT:
    """Return the tool's inputs out of JSON text; an empty text means no parameter given.

    Raises `BadJsonError`, `UnknownParameterError`, `BadParameterError` or `OutOfRangeError`.
    """
    text = input_json.strip() or "{}"
    if len(text) > MAX_INPUT_CHARS:
        raise BadJsonError(f"it has more than {MAX_INPUT_CHARS} characters")
    try:
        inputs = msgspec.json.decode(text.encode(), type=tool.inputs)
    except msgspec.ValidationError as err:
        raise _explain(tool, str(err), text) from err
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as err:
        raise BadJsonError(str(err)) from err
    _NAMES.decode(text)
    check_narrowings(tool, inputs)
    return inputs


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadJsonError("it names a parameter twice")
    return found


# msgspec takes the last of two. Numbers stay text: they are none of this pass's business.
_NAMES = json.JSONDecoder(object_pairs_hook=_unique_names, parse_int=str, parse_float=str)


def check_narrowings(tool: AnyTool, inputs: Inputs) -> None:
    """Refuse a value that its neighbours do not allow. Raises `OutOfRangeError`."""
    for rule in tool.narrowings:
        value = getattr(inputs, rule.field)
        if getattr(inputs, rule.when) != rule.equals or value is msgspec.UNSET:
            continue
        if not rule.allows(value):
            allowed = f"{_range_text(rule)} when {rule.when} is {rule.equals}"
            raise OutOfRangeError(tool.name, rule.field, allowed, f"got {value:g}")


def inputs_as_json(inputs: Inputs) -> str:
    """Return the inputs as JSON text with every default filled in, keys in declared order."""
    return msgspec.json.encode(inputs).decode()


def json_schema(tool: AnyTool) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the tool's `input_json`, with form hints."""
    properties = _properties(tool)
    schema: dict[str, Any] = {
        "$schema": _DIALECT,
        "title": tool.label.en,
        "description": tool.description.en,
        "type": "object",
        "properties": properties,
        "required": [f.name for f in msgspec.structs.fields(tool.inputs) if f.required],
        "additionalProperties": False,
        "x-label": tool.label.as_json(),
        "x-description": tool.description.as_json(),
    }
    if tool.narrowings:
        schema["allOf"] = [_condition(rule) for rule in tool.narrowings]
    return schema


def parameter_names(tool: AnyTool) -> list[str]:
    """Return the names of the tool's parameters in declared order."""
    return [field.name for field in msgspec.structs.fields(tool.inputs)]


def _properties(tool: AnyTool) -> dict[str, Any]:
    _, components = msgspec.json.schema_components([tool.inputs])
    properties: dict[str, Any] = components[tool.inputs.__name__]["properties"]
    return properties


def _condition(rule: Narrowing) -> dict[str, Any]:
    then: dict[str, Any] = {"minimum": rule.low, "maximum": rule.high}
    if rule.also:
        then = {"anyOf": [then, {"enum": list(rule.also)}]}
    if rule.unused:
        then = {"x-unused": True}
    if rule.default is not None:
        then["default"] = rule.default
    return {
        "if": {"properties": {rule.when: {"const": rule.equals}}, "required": [rule.when]},
        "then": {"properties": {rule.field: then}},
    }


def _range_text(rule: Narrowing) -> str:
    extra = "".join(f"{value:g} or " for value in rule.also)
    return f"{extra}{rule.low:g} to {rule.high:g}"


def _explain(tool: AnyTool, message: str, text: str) -> Exception:
    if match := _UNKNOWN.search(message):
        return UnknownParameterError(tool.name, match["name"], parameter_names(tool))
    if match := _MISSING.search(message):
        allowed = _allowed(tool, match["name"])
        return BadParameterError(tool.name, match["name"], allowed, "it is missing")
    if match := _AT.search(message):
        beyond = re.search("[<>]=? ?-?[0-9]", match["what"])
        kind = OutOfRangeError if beyond else BadParameterError
        name = match["name"]
        return kind(tool.name, name, _allowed(tool, name), f"got {_given(text, name)}")
    return BadJsonError(message)


def _given(text: str, name: str) -> str:
    try:
        raw = msgspec.json.decode(text.encode(), type=dict[str, msgspec.Raw])[name]
    except (msgspec.DecodeError, RecursionError):
        return "something else"  # what follows the wrong value is no JSON
    shown = bytes(raw).decode()
    return shown if len(shown) <= _SHOWN_CHARS else shown[:_SHOWN_CHARS] + "…"


def _allowed(tool: AnyTool, name: str) -> str:
    found = _properties(tool).get(name, {})
    if "enum" in found:
        return "one of " + ", ".join(str(value) for value in found["enum"])
    words = {"integer": "a whole number", "number": "a number", "string": "a text"}
    text = words.get(found.get("type", ""), str(found.get("type", "another value")))
    if "minimum" in found and "maximum" in found:
        text += f" from {found['minimum']:g} to {found['maximum']:g}"
    if "maxLength" in found:
        text += f" of at most {found['maxLength']} characters"
    return text
