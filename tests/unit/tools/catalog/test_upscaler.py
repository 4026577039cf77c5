from __future__ import annotations

import pytest

from services.tools.catalog.upscaler import TOOL
from services.tools.schema import parse_inputs
from services.tools.tool import MediaRef, Node, RunPlan

FACE = "2037184937371115522"
NO_FACE = "2037188547966406658"
IMAGE = MediaRef("image")


def run(input_json: str) -> RunPlan:
    return TOOL.plan(parse_inputs(TOOL, input_json))


def fields(plan: RunPlan) -> dict[str, str | MediaRef]:
    return {f"{node.node_id}.{node.field_name}": node.value for node in plan.nodes}


@pytest.mark.parametrize("category", ["pessoas_perto", "pessoas_longe"])
@pytest.mark.parametrize("denoise", ["", ', "denoise": 0', ', "denoise": 0.0'])
def test_people_without_denoise_take_the_app_without_face(category: str, denoise: str) -> None:
    plan = run(f'{{"category": "{category}"{denoise}}}')
    assert plan.webapp_id == NO_FACE
    assert fields(plan) == {"1.image": IMAGE, "548.value": "2048"}


@pytest.mark.parametrize("category", ["pessoas_perto", "pessoas_longe"])
@pytest.mark.parametrize(("given", "sent"), [("0.01", "0.01"), ("0.6", "0.6"), ("1", "1")])
def test_people_with_denoise_take_the_app_with_face(category: str, given: str, sent: str) -> None:
    plan = run(f'{{"category": "{category}", "denoise": {given}}}')
    assert plan.webapp_id == FACE
    assert fields(plan) == {"1.image": IMAGE, "102.value": sent, "547.value": "2048"}


@pytest.mark.parametrize(
    "input_json",
    [
        "",
        "{}",
        '{"category": "paisagem"}',
        '{"category": "paisagem", "denoise": 0.5}',
        '{"denoise": 0.5}',
    ],
)
def test_landscape_or_no_category_takes_the_app_without_face(input_json: str) -> None:
    plan = run(input_json)
    assert plan.webapp_id == NO_FACE
    assert fields(plan) == {"1.image": IMAGE, "548.value": "2048"}


@pytest.mark.parametrize(
    ("input_json", "webapp_id", "nodes"),
    [
        ('{"category": "fotoAntiga"}', "2018913880214343681", {"139.image": IMAGE}),
        ('{"category": "comida"}', "2015855359243587585", {"50.image": IMAGE, "48.value": "0.85"}),
        (
            '{"category": "comida", "detail": 0.7}',
            "2015855359243587585",
            {"50.image": IMAGE, "48.value": "0.7"},
        ),
        ('{"category": "logo"}', "2019239272464785409", {"39.image": IMAGE, "33.value": "0.4"}),
        (
            '{"category": "logo", "detail": 0.01}',
            "2019239272464785409",
            {"39.image": IMAGE, "33.value": "0.01"},
        ),
        (
            '{"category": "render3d"}',
            "2019234965992509442",
            {"301.image": IMAGE, "300.value": "0.8"},
        ),
    ],
)
def test_category_maps_to_its_own_app_and_nodes(
    input_json: str, webapp_id: str, nodes: dict[str, str | MediaRef]
) -> None:
    plan = run(input_json)
    assert plan.webapp_id == webapp_id
    assert fields(plan) == nodes


@pytest.mark.parametrize(
    ("given", "sent"),
    [(512, "512"), (1024, "1024"), (2048, "2048"), (2049, "2048"), (4096, "2048"), (8192, "2048")],
)
@pytest.mark.parametrize("denoise", [0, 0.5])
def test_resolution_is_never_sent_above_the_memory_cap(
    given: int, sent: str, denoise: float
) -> None:
    plan = run(f'{{"category": "pessoas_perto", "resolution": {given}, "denoise": {denoise}}}')
    assert plan.nodes[-1] == Node("547" if denoise else "548", "value", sent)


def test_capped_resolution_is_told_as_an_adjustment() -> None:
    (adjustment,) = run('{"resolution": 4096}').adjustments
    assert (adjustment.field, adjustment.given, adjustment.sent) == ("resolution", "4096", "2048")


def test_parameters_without_effect_are_told_as_adjustments() -> None:
    plan = run('{"category": "fotoAntiga", "denoise": 0.5, "resolution": 1024}')
    assert [(a.field, a.given, a.sent) for a in plan.adjustments] == [
        ("resolution", "1024", ""),
        ("denoise", "0.5", ""),
    ]


def test_the_wrong_kind_of_detail_is_told_as_an_adjustment() -> None:
    plan = run('{"category": "pessoas_perto", "detail": 0.5}')
    assert [adjustment.field for adjustment in plan.adjustments] == ["detail"]


def test_nothing_is_adjusted_when_all_is_sent_as_given() -> None:
    assert run('{"category": "comida", "detail": 0.9}').adjustments == ()


def test_prices_are_60_and_50_for_logo() -> None:
    prices = {variant.name: variant.price for variant in TOOL.variants}
    assert prices.pop("logo") == 50
    assert set(prices.values()) == {60}


def test_all_values_are_strings_on_the_small_machine() -> None:
    plan = run('{"category": "pessoas_perto", "denoise": 1}')
    assert all(isinstance(node.value, str | MediaRef) for node in plan.nodes)
    assert plan.instance_type == "default"
