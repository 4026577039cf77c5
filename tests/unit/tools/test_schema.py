from __future__ import annotations

import json
from contextlib import suppress
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.errors import InvalidInputError
from services.tools.catalog import upscaler, veste_ai
from services.tools.domain import Text
from services.tools.schema import inputs_as_json, json_schema, parse_inputs
from services.tools.tool import Inputs, Kind, MediaInput, NoInputs, Tool, param, run_of

LABEL = Text("Rótulo", "Label")


class SeedInputs(Inputs, frozen=True):
    seed: Annotated[int, param(LABEL)]
    prompt: Annotated[str, param(LABEL), msgspec.Meta(max_length=5)] = ""


SEEDED = Tool(
    name="seeded",
    view="seeded_jobs",
    label=LABEL,
    description=LABEL,
    inputs=SeedInputs,
    media=(MediaInput(name="image", kind=Kind.IMAGE, label=LABEL),),
    variants=(veste_ai.STANDARD,),
    plan=lambda inputs: run_of(veste_ai.STANDARD),
    output=Kind.IMAGE,
)


@pytest.mark.parametrize(
    ("input_json", "reason", "field", "says"),
    [
        ('{"categry": "logo"}', "UNKNOWN_PARAMETER", "categry", "category, denoise, detail"),
        ('{"category": "cats"}', "BAD_PARAMETER", "category", "fotoAntiga"),
        ('{"category": null}', "BAD_PARAMETER", "category", "got null"),
        ('{"resolution": "2048"}', "BAD_PARAMETER", "resolution", 'got "2048"'),
        ('{"resolution": 2048.5}', "BAD_PARAMETER", "resolution", "a whole number"),
        ('{"resolution": 511}', "OUT_OF_RANGE", "resolution", "from 512 to 8192; got 511"),
        ('{"resolution": 8193}', "OUT_OF_RANGE", "resolution", "from 512 to 8192"),
        ('{"denoise": -0.1}', "OUT_OF_RANGE", "denoise", "from 0 to 1"),
        ('{"denoise": 1.01}', "OUT_OF_RANGE", "denoise", "got 1.01"),
        (
            '{"category": "comida", "detail": 0.69}',
            "OUT_OF_RANGE",
            "detail",
            "0.7 to 1 when category is comida; got 0.69",
        ),
        ('{"category": "logo", "detail": 0}', "OUT_OF_RANGE", "detail", "0.01"),
        (
            '{"category": "pessoas_perto", "denoise": 0.005}',
            "OUT_OF_RANGE",
            "denoise",
            "0 or 0.01 to 1",
        ),
        ('{"denoise": NaN}', "INPUT_NOT_JSON", "input_json", "JSON"),
        ('["logo"]', "INPUT_NOT_JSON", "input_json", "object"),
        ('{"category": "logo"', "INPUT_NOT_JSON", "input_json", "truncated"),
        ('{"denoise": 0.1, "denoise": 0.2}', "INPUT_NOT_JSON", "input_json", "twice"),
        ("\ud800", "INPUT_NOT_JSON", "input_json", "one JSON object"),
    ],
)
def test_bad_input_names_the_field_and_what_is_allowed(
    input_json: str, reason: str, field: str, says: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_inputs(upscaler.TOOL, input_json)
    assert caught.value.reason == reason
    assert caught.value.field == field
    assert says in caught.value.message


def test_tool_without_parameters_refuses_any() -> None:
    with pytest.raises(InvalidInputError, match="it takes none"):
        parse_inputs(veste_ai.TOOL, '{"strength": 1}')


def test_large_integers_stay_exact() -> None:
    inputs = parse_inputs(SEEDED, '{"seed": 9007199254740993}')
    assert inputs.seed == 9007199254740993
    assert inputs_as_json(inputs) == '{"seed":9007199254740993,"prompt":""}'


def test_missing_required_parameter_is_named() -> None:
    with pytest.raises(InvalidInputError, match="seed must be a whole number; it is missing"):
        parse_inputs(SEEDED, "{}")


def test_too_long_text_is_refused_with_its_limit() -> None:
    with pytest.raises(InvalidInputError, match="at most 5 characters"):
        parse_inputs(SEEDED, '{"seed": 1, "prompt": "abcdef"}')


def test_long_wrong_values_are_not_repeated_whole() -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_inputs(upscaler.TOOL, f'{{"category": "{"x" * 10_000}"}}')
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "text",
    [
        '{"category":' + "[" * 60_000,
        '{"x":' + "[" * 60_000,
        "[" * 70_000,
        '{"resolution": "x", and more',
    ],
)
def test_deep_or_long_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_inputs(upscaler.TOOL, text)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
_NAMES = st.sampled_from(["category", "denoise", "detail", "resolution"]) | st.text()


@given(st.dictionaries(_NAMES, _JSON | st.sampled_from(["comida", "logo", 0.5, 2048])) | _JSON)
def test_any_json_is_planned_or_refused(value: object) -> None:
    with suppress(InvalidInputError):
        inputs = parse_inputs(upscaler.TOOL, json.dumps(value))
        assert upscaler.TOOL.plan(inputs).variant


@given(st.text())
def test_any_text_is_accepted_or_refused(text: str) -> None:
    with suppress(InvalidInputError):
        assert parse_inputs(veste_ai.TOOL, text) == NoInputs()


def test_schema_tells_ranges_defaults_and_options() -> None:
    properties = json_schema(upscaler.TOOL)["properties"]
    assert list(properties) == ["category", "denoise", "detail", "resolution"]
    resolution = properties["resolution"]
    assert (resolution["minimum"], resolution["maximum"], resolution["default"]) == (
        512,
        8192,
        2048,
    )
    offered = [option["value"] for option in properties["category"]["x-choices"]]
    assert sorted(offered) == properties["category"]["enum"]
    assert offered[0] == "pessoas_perto"


def test_schema_tells_the_range_that_a_category_narrows() -> None:
    conditions = json_schema(upscaler.TOOL)["allOf"]
    food = next(c for c in conditions if c["if"]["properties"]["category"]["const"] == "comida")
    assert food["then"]["properties"]["detail"] == {
        "minimum": 0.7,
        "maximum": 1.0,
        "default": 0.85,
    }


def test_schema_is_plain_json() -> None:
    schema = json_schema(upscaler.TOOL)
    assert msgspec.json.decode(msgspec.json.encode(schema)) == schema
