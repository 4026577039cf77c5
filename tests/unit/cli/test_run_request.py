from __future__ import annotations

import json
from typing import Any

import pytest

from etapa.tools.v1 import tools_pb2
from etapa_client.words import Language
from services.cli.run_request import RunArgumentError, RunArguments, read_arguments

SCHEMA = {
    "properties": {
        "category": {"type": "string", "enum": ["logo", "comida"]},
        "resolution": {"type": "integer"},
        "denoise": {"type": "number"},
        "sharp": {"type": "boolean"},
    }
}


def tool(*media: str) -> tools_pb2.ToolInfo:
    return tools_pb2.ToolInfo(
        name="upscaler",
        input_schema_json=json.dumps(SCHEMA),
        media=[
            tools_pb2.MediaInput(name=name, label_pt=f"Foto {name}", label_en=f"Photo {name}")
            for name in media
        ],
    )


def read(*media: str, **given: Any) -> RunArguments:
    return read_arguments(tool(*media), Language.EN, **given)


def test_media_are_options_named_as_the_tool_names_them() -> None:
    found = read("person", "clothing", rest=["--person", "a.jpg", "--clothing=https://x/b.png"])
    assert found.media == {"person": "a.jpg", "clothing": "https://x/b.png"}


def test_media_can_be_given_by_name_and_source() -> None:
    assert read("image", media=["image=a=b.jpg"]).media == {"image": "a=b.jpg"}


def test_parameters_take_the_type_of_the_schema() -> None:
    given = ["resolution=1024", "denoise=0.35", "sharp=sim", "category=logo"]
    found = read("image", media=["image=a"], params=given)
    assert found.inputs == {
        "resolution": 1024,
        "denoise": 0.35,
        "sharp": True,
        "category": "logo",
    }


def test_a_large_whole_number_stays_exact() -> None:
    found = read("image", media=["image=a"], params=["resolution=9007199254740993"])
    assert found.inputs == {"resolution": 9007199254740993}


@pytest.mark.parametrize("value", ["huge", "true", "[1]", ""])
def test_what_is_no_number_goes_to_the_tool_as_typed(value: str) -> None:
    found = read("image", media=["image=a"], params=[f"resolution={value}"])
    assert found.inputs == {"resolution": value} or value == "true"
    assert not isinstance(found.inputs["resolution"], list)


def test_parameters_may_be_options_too() -> None:
    assert read("image", rest=["--resolution", "512", "--image", "a"]).inputs == {"resolution": 512}


def test_an_unknown_parameter_is_left_to_the_tool() -> None:
    assert read("image", media=["image=a"], params=["x=1"]).inputs == {"x": "1"}


def test_one_url_goes_to_the_only_media_that_is_missing() -> None:
    assert read("image", url="https://x/a.png").media == {"image": "https://x/a.png"}
    found = read("person", "clothing", url="https://x/a", rest=["--person", "p.jpg"])
    assert found.media["clothing"] == "https://x/a"


def test_a_url_for_one_of_two_is_refused() -> None:
    with pytest.raises(RunArgumentError, match="--person URL, --clothing URL"):
        read("person", "clothing", url="https://x/a")


def test_missing_media_are_named_with_the_way_to_give_them() -> None:
    with pytest.raises(RunArgumentError) as caught:
        read("person", "clothing", rest=["--person", "p.jpg"])
    assert str(caught.value) == (
        "upscaler needs --clothing (Photo clothing): give a file or a URL, as in "
        "`etapa run upscaler --person FILE|URL --clothing FILE|URL [--param category=…] "
        "[--param resolution=…] [--param denoise=…] [--param sharp=…]`"
    )


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (["--foto", "a.jpg"], "upscaler has no --foto; it is run as `etapa run upscaler --image"),
        (["a.jpg"], "'a.jpg' stands alone"),
        (["--image"], "--image needs a value"),
        (["--image", "--wat"], "--image needs a value"),
        (["--image="], "--image needs a file or a URL"),
        (["--image", "a", "--image", "b"], "--image is given twice"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(rest: list[str], said: str) -> None:
    with pytest.raises(RunArgumentError) as caught:
        read("image", rest=rest)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"params": ["resolution"]}, "--param 'resolution' is not --param name=value"),
        ({"params": ["a=1", "a=2"]}, "a is given twice"),
        ({"media": ["video=x"]}, "upscaler has no --media video"),
    ],
)
def test_wrong_pairs_are_told(given: dict[str, Any], said: str) -> None:
    with pytest.raises(RunArgumentError, match=said):
        read("image", **given)


def test_errors_are_in_the_language_of_the_session() -> None:
    with pytest.raises(RunArgumentError, match="precisa de --image"):
        read_arguments(tool("image"), Language.PT)
