"""Makes a form out of a tool's description, and the tool's inputs out of a posted form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from etapa.tools.v1 import tools_pb2
from etapa_client.words import Language
from services.console.errors import BadFieldError

INPUT, MEDIA, MEDIA_URL = "input.", "media.", "media_url."


@dataclass(frozen=True, slots=True)
class Choice:
    """One chip."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter. `kind` is choice, number, flag or text; numbers are text as in HTML."""

    name: str
    kind: str
    label: str
    help: str = ""
    default: str = ""
    required: bool = False
    choices: tuple[Choice, ...] = ()
    low: str = ""
    high: str = ""
    step: str = "any"
    max_length: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a choice means for another parameter."""

    when: str
    equals: Any
    field: str
    unused: bool = False
    low: float | None = None
    high: float | None = None
    default: float | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """A tool's form."""

    tool: tools_pb2.ToolInfo
    label: str
    description: str
    fields: tuple[Field, ...]
    rules: tuple[Rule, ...] = field(default=())

    @property
    def rules_json(self) -> str:
        """Return the rules for the page's script."""
        return json.dumps(
            [
                {
                    "when": rule.when,
                    "equals": _text(rule.equals),
                    "field": rule.field,
                    "unused": rule.unused,
                    "low": rule.low,
                    "high": rule.high,
                    "default": rule.default,
                }
                for rule in self.rules
            ]
        )


def form_of(tool: tools_pb2.ToolInfo, language: Language) -> Form:
    """Return the form of a tool."""
    schema = _schema(tool)
    required = set(schema.get("required", []))
    fields = tuple(
        _field(name, spec, name in required, language)
        for name, spec in schema.get("properties", {}).items()
    )
    return Form(
        tool,
        tool.label_pt if language is Language.PT else tool.label_en,
        tool.description_pt if language is Language.PT else tool.description_en,
        fields,
        rules_of(schema),
    )


def rules_of(schema: Mapping[str, Any]) -> tuple[Rule, ...]:
    """Return the schema's conditions; shapes that this form does not know are left out."""
    found: list[Rule] = []
    for condition in schema.get("allOf", []):
        tests = condition.get("if", {}).get("properties", {})
        for when, test in tests.items():
            for name, then in condition.get("then", {}).get("properties", {}).items():
                found.append(_rule(when, test.get("const"), name, then))
    return tuple(found)


def inputs_of(tool: tools_pb2.ToolInfo, posted: Mapping[str, str]) -> dict[str, Any]:
    """Return the inputs out of posted fields; what is empty or has no effect stays out.

    Raises BadFieldError for what is no number. Ranges are the tool's to judge.
    """
    schema = _schema(tool)
    inputs: dict[str, Any] = {}
    for name, spec in schema.get("properties", {}).items():
        raw = posted.get(INPUT + name, "").strip()
        if raw or spec.get("type") == "boolean":
            inputs[name] = _value(name, raw, spec)
    for rule in rules_of(schema):
        if rule.unused and inputs.get(rule.when) == rule.equals:
            inputs.pop(rule.field, None)
    return inputs


def _schema(tool: tools_pb2.ToolInfo) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(tool.input_schema_json or "{}")
    return schema


def _field(name: str, spec: Mapping[str, Any], required: bool, language: Language) -> Field:
    label = _label(spec.get("x-label"), name, language)
    help_ = _label(spec.get("x-help"), "", language)
    default = _text(spec["default"]) if spec.get("default") is not None else ""
    choices = _choices(spec, language)
    if choices:
        return Field(name, "choice", label, help_, default, required, choices)
    if spec.get("type") == "boolean":
        return Field(name, "flag", label, help_, default)
    if spec.get("type") in ("integer", "number"):
        whole = spec["type"] == "integer"
        return Field(
            name,
            "number",
            label,
            help_,
            default,
            required,
            low=_text(spec.get("minimum", "")),
            high=_text(spec.get("maximum", "")),
            step=_text(spec.get("x-step", 1 if whole else "any")),
        )
    most = _text(spec.get("maxLength", ""))
    return Field(name, "text", label, help_, default, required, max_length=most)


def _choices(spec: Mapping[str, Any], language: Language) -> tuple[Choice, ...]:
    listed = spec.get("x-choices") or [{"value": value} for value in spec.get("enum", [])]
    return tuple(
        Choice(
            _text(choice["value"]), _label(choice.get("x-label"), _text(choice["value"]), language)
        )
        for choice in listed
    )


def _rule(when: str, equals: Any, name: str, then: Mapping[str, Any]) -> Rule:
    spans = [part for part in then.get("anyOf", [then]) if "minimum" in part or "maximum" in part]
    also = [value for part in then.get("anyOf", []) for value in part.get("enum", [])]
    span = spans[0] if spans else {}
    # A slider has no hole: it reaches down to a value that is allowed beside the range.
    lows = [value for value in (span.get("minimum"), *also) if value is not None]
    return Rule(
        when,
        equals,
        name,
        unused=bool(then.get("x-unused")),
        low=min(lows) if lows else None,
        high=span.get("maximum"),
        default=then.get("default"),
    )


def _value(name: str, raw: str, spec: Mapping[str, Any]) -> Any:
    kind = spec.get("type")
    if kind == "boolean":
        return raw.lower() in ("1", "on", "true", "yes")
    whole = kind == "integer" or _enum_of(spec, int)
    if not whole and kind != "number" and not _enum_of(spec, float):
        return raw
    try:
        return int(raw) if whole else float(raw.replace(",", "."))
    except ValueError:
        raise BadFieldError(name, raw) from None


def _enum_of(spec: Mapping[str, Any], kind: type) -> bool:
    values = spec.get("enum", [])
    return bool(values) and all(isinstance(value, kind) for value in values)


def _label(texts: Any, otherwise: str, language: Language) -> str:
    if not isinstance(texts, dict):
        return otherwise
    return str(texts.get(language.value) or otherwise)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
