from __future__ import annotations

import json

import pytest

from etapa.tools.v1 import tools_pb2
from etapa_client.words import Language
from services.console.errors import BadFieldError
from services.console.form import form_of, inputs_of
from services.tools.registry import load_registry
from services.tools.schema import parse_inputs
from services.tools.wire import tool_to_proto

TOOLS = {tool.name: tool for tool in load_registry()}
UPSCALER = tool_to_proto(TOOLS["upscaler"])


def tool_with(schema: dict[str, object]) -> tools_pb2.ToolInfo:
    return tools_pb2.ToolInfo(name="t", input_schema_json=json.dumps(schema))


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("language", list(Language))
def test_every_tool_of_the_catalogue_has_a_form_whose_defaults_it_accepts(
    name: str, language: Language
) -> None:
    info = tool_to_proto(TOOLS[name])
    form = form_of(info, language)
    posted = {f"input.{field.name}": field.default for field in form.fields}
    parse_inputs(TOOLS[name], json.dumps(inputs_of(info, posted)))
    assert form.label
    assert all(field.label for field in form.fields)


def test_an_enum_is_a_row_of_chips_with_its_labels() -> None:
    category = form_of(UPSCALER, Language.PT).fields[0]
    assert category.kind == "choice"
    assert [choice.label for choice in category.choices][:2] == [
        "Pessoas de perto",
        "Pessoas de longe",
    ]


def test_a_range_is_a_slider_with_its_ends() -> None:
    fields = {field.name: field for field in form_of(UPSCALER, Language.EN).fields}
    denoise = fields["denoise"]
    assert (denoise.kind, denoise.low, denoise.high, denoise.label) == (
        "number",
        "0",
        "1",
        "Face detail",
    )


def test_numbers_arrive_as_the_schema_wants_them() -> None:
    posted = {
        "input.category": "pessoas_perto",
        "input.denoise": "0,6",
        "input.resolution": "1024",
    }
    assert inputs_of(UPSCALER, posted) == {
        "category": "pessoas_perto",
        "denoise": 0.6,
        "resolution": 1024,
    }


def test_what_is_empty_or_has_no_effect_stays_out() -> None:
    posted = {"input.category": "logo", "input.denoise": "0.6", "input.detail": ""}
    assert inputs_of(UPSCALER, posted) == {"category": "logo"}


def test_what_is_no_number_is_refused_by_name() -> None:
    with pytest.raises(BadFieldError) as caught:
        inputs_of(UPSCALER, {"input.denoise": "much"})
    assert caught.value.facts == {"field": "denoise"}


def test_a_field_that_the_schema_lacks_is_not_sent() -> None:
    assert inputs_of(UPSCALER, {"input.evil": "1", "evil": "2"}) == {}


def test_a_flag_that_is_not_ticked_is_false() -> None:
    tool = tool_with({"properties": {"fast": {"type": "boolean"}}})
    assert inputs_of(tool, {}) == {"fast": False}
    assert inputs_of(tool, {"input.fast": "true"}) == {"fast": True}


def test_rules_tell_the_page_what_a_choice_means() -> None:
    rules = json.loads(form_of(UPSCALER, Language.PT).rules_json)
    food = next(rule for rule in rules if rule["equals"] == "comida" and rule["field"] == "detail")
    assert (food["low"], food["high"], food["default"]) == (0.7, 1.0, 0.85)
    assert {
        key: value
        for key, value in next(
            rule for rule in rules if rule["unused"] and rule["equals"] == "comida"
        ).items()
        if key in ("when", "equals", "field", "unused")
    } == {"when": "category", "equals": "comida", "field": "denoise", "unused": True}


def test_a_schema_of_unknown_shapes_is_still_a_form() -> None:
    tool = tool_with(
        {"properties": {"x": {}}, "allOf": [{"if": {}, "then": {}}, {"not": {"type": "null"}}]}
    )
    form = form_of(tool, Language.PT)
    assert [(field.name, field.kind) for field in form.fields] == [("x", "text")]
    assert form.rules == ()
