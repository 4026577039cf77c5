from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from services.tools.catalog import veste_ai
from services.tools.domain import CatalogError, ToolNotFoundError
from services.tools.registry import find_catalog, load_registry, sample_inputs, tool_problems
from services.tools.schema import json_schema
from services.tools.tool import AnyTool, Kind, MediaInput, MediaRef, NoInputs, RunPlan, Variant

REGISTRY = load_registry()
MakePackage = Callable[[dict[str, str]], ModuleType]


@pytest.fixture
def make_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePackage]:
    name = f"catalog_{tmp_path.name}"

    def make(files: dict[str, str]) -> ModuleType:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").touch()
        for file, text in files.items():
            (folder / file).write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield make
    for module in [found for found in sys.modules if found.startswith(name)]:
        del sys.modules[module]


@pytest.mark.parametrize("tool", list(REGISTRY), ids=lambda tool: str(tool.name))
def test_tool_has_no_problem(tool: AnyTool) -> None:
    assert tool_problems(tool) == []


@pytest.mark.parametrize("tool", list(REGISTRY), ids=lambda tool: str(tool.name))
def test_tool_sends_strings_and_media_only(tool: AnyTool) -> None:
    for inputs in sample_inputs(tool):
        plan = tool.plan(inputs)
        assert all(isinstance(node.value, str | MediaRef) for node in plan.nodes)
        assert all(node.node_id.isdecimal() and node.field_name for node in plan.nodes)
        assert plan.instance_type == "default"


@pytest.mark.parametrize("tool", list(REGISTRY), ids=lambda tool: str(tool.name))
def test_tool_labels_every_parameter_in_both_languages(tool: AnyTool) -> None:
    schema = json_schema(tool)
    labelled = [*schema["properties"].values(), schema]
    assert all(set(entry["x-label"]) == {"pt", "en"} for entry in labelled)


def test_first_tools_have_the_names_and_views_of_the_plan() -> None:
    views = {tool.name: tool.view for tool in REGISTRY}
    assert views["upscaler"] == "upscaler_jobs"
    assert views["pose_changer"] == "pose_changer_jobs"
    assert views["veste_ai"] == "veste_ai_jobs"
    assert views["video_upscaler"] == "video_upscaler_jobs"


def test_unknown_tool_names_the_known_ones() -> None:
    with pytest.raises(ToolNotFoundError, match="veste_ai, video_upscaler"):
        REGISTRY.get("upscalr")


def test_file_without_a_tool_stops_start_up(make_package: MakePackage) -> None:
    package = make_package({"lost.py": "TOOL = 'no tool'\n"})
    with pytest.raises(CatalogError, match=r"\.lost has no `TOOL"):
        load_registry(package)


def test_duplicate_name_and_view_stop_start_up(make_package: MakePackage) -> None:
    again = "from services.tools.catalog.veste_ai import TOOL\n"
    package = make_package({"one.py": again, "two.py": again})
    with pytest.raises(CatalogError) as caught:
        load_registry(package)
    assert caught.value.problems == [
        f"{package.__name__}.two: the name 'veste_ai' is taken by another tool",
        f"{package.__name__}.two: the view 'veste_ai_jobs' is taken by 'veste_ai'",
    ]


def test_empty_catalogue_stops_start_up(make_package: MakePackage) -> None:
    with pytest.raises(CatalogError, match="empty"):
        load_registry(make_package({}))


def test_a_deployment_may_bring_its_own_catalogue(make_package: MakePackage) -> None:
    package = make_package({"mine.py": "from services.tools.catalog.veste_ai import TOOL\n"})
    assert [tool.name for tool in load_registry(find_catalog(package.__name__))] == ["veste_ai"]


@pytest.mark.parametrize("name", ["no_such_package_of_tools", "services.tools.tool", ""])
def test_a_catalogue_that_is_no_package_stops_start_up(name: str) -> None:
    with pytest.raises(CatalogError, match="package"):
        find_catalog(name)


def test_a_tool_may_take_no_media_and_make_text() -> None:
    def plan(inputs: NoInputs) -> RunPlan:
        return dataclasses.replace(veste_ai.plan(inputs), nodes=())

    tool = dataclasses.replace(veste_ai.TOOL, media=(), plan=plan, output=Kind.TEXT)
    assert tool_problems(tool) == []


def test_text_as_a_media_input_is_a_problem() -> None:
    note = MediaInput(name="note", kind=Kind.TEXT, label=veste_ai.TOOL.label, required=False)
    tool = dataclasses.replace(veste_ai.TOOL, media=(*veste_ai.TOOL.media, note))
    assert tool_problems(tool) == ["the media input 'note' is text, which comes as a parameter"]


@pytest.mark.parametrize(
    "webapp_id",
    ["", "TODO", "0000000000000000000", "1234567890123456789", "2222222222222222222", "123"],
)
def test_placeholder_app_id_is_a_problem(webapp_id: str) -> None:
    variant = dataclasses.replace(veste_ai.STANDARD, webapp_id=webapp_id)
    tool = dataclasses.replace(veste_ai.TOOL, variants=(variant,))
    assert any("placeholder" in problem for problem in tool_problems(tool))


def test_plan_that_drops_a_media_input_is_a_problem() -> None:
    def plan(inputs: NoInputs) -> RunPlan:
        whole = veste_ai.plan(inputs)
        return dataclasses.replace(whole, nodes=whole.nodes[:1])

    tool = dataclasses.replace(veste_ai.TOOL, plan=plan)
    assert tool_problems(tool) == ["plan does not use its media 'clothing'"]


def test_plan_of_a_foreign_variant_is_a_problem() -> None:
    other = Variant(name="other", webapp_id="2031815099811368962", price=1)
    tool = dataclasses.replace(veste_ai.TOOL, variants=(other,))
    (problem,) = tool_problems(tool)
    assert "none of its variants" in problem
