"""Finds the tools: every file of the catalogue holds one `TOOL`. There is no list to edit.

The catalogue is a package, by default `services.tools.catalog`; a deployment may name its own.
A wrong catalogue stops start-up with every problem named.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import get_args, get_origin

import msgspec

from services.tools import catalog
from services.tools.domain import CatalogError, ToolNotFoundError
from services.tools.tool import AnyTool, Inputs, Kind, MediaRef, RunPlan, Tool

_NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")
_VIEW = re.compile(r"[a-z][a-z0-9_]{1,39}_jobs")
# App ids seen are 19 digits that begin with 1 or 2 (docs/runninghub-api.md, read 2026-11-24).
_APP_ID = re.compile(r"[12][0-9]{18}")
_PLACEHOLDER = re.compile(r"([0-9])\1{6,}|12345678|98765432")


class Registry:
    """The tools by name, in order of name."""

    def __init__(self, tools: dict[str, AnyTool]) -> None:
        self._tools = dict(sorted(tools.items()))

    def __iter__(self) -> Iterator[AnyTool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def get(self, name: str) -> AnyTool:
        """Return the tool of that name. Raises `ToolNotFoundError`."""
        tool = self._tools.get(name)
        if tool is None:
            raise ToolNotFoundError(name, list(self._tools))
        return tool


def find_catalog(name: str) -> ModuleType:
    """Import the package of that name. Raises `CatalogError` where there is none."""
    try:
        package = importlib.import_module(name)
    except (ImportError, ValueError) as error:
        raise CatalogError([f"the package {name!r} cannot be imported: {error}"]) from error
    if not hasattr(package, "__path__"):
        raise CatalogError([f"{name!r} is a module, not a package with one file for each tool"])
    return package


def load_registry(package: ModuleType = catalog) -> Registry:
    """Import every module of the package and return its tools. Raises `CatalogError`."""
    problems: list[str] = []
    tools: dict[str, AnyTool] = {}
    views: dict[str, str] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda found: found.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        tool = getattr(module, "TOOL", None)
        if not isinstance(tool, Tool):
            problems.append(f"{module.__name__} has no `TOOL = Tool(…)`")
            continue
        where = module.__name__
        problems += [f"{where}: {problem}" for problem in tool_problems(tool)]
        if tool.name in tools:
            problems.append(f"{where}: the name {tool.name!r} is taken by another tool")
        if tool.view in views:
            problems.append(f"{where}: the view {tool.view!r} is taken by {views[tool.view]!r}")
        tools.setdefault(tool.name, tool)
        views.setdefault(tool.view, tool.name)
    if not tools and not problems:
        problems.append("it is empty")
    if problems:
        raise CatalogError(problems)
    return Registry(tools)


def tool_problems(tool: AnyTool) -> list[str]:
    """Say what is wrong with one tool; an empty list means that it may go live."""
    problems = []
    if not _NAME.fullmatch(tool.name):
        problems.append(f"name {tool.name!r} is not of small letters, digits and _")
    if not _VIEW.fullmatch(tool.view):
        problems.append(f"view {tool.view!r} is not small letters that end in _jobs")
    if not tool.variants:
        problems.append("it needs at least one variant")
    problems += [
        f"the media input {media.name!r} is text, which comes as a parameter"
        for media in tool.media
        if media.kind is Kind.TEXT
    ]
    for names in ([v.name for v in tool.variants], [m.name for m in tool.media]):
        problems += [f"{name!r} is there twice" for name in set(names) if names.count(name) > 1]
    for variant in tool.variants:
        if not _APP_ID.fullmatch(variant.webapp_id) or _PLACEHOLDER.search(variant.webapp_id):
            problems.append(
                f"variant {variant.name!r}: {variant.webapp_id!r} is a placeholder or no"
                " RunningHub app id (19 digits, from the app's page address)"
            )
        if variant.price <= 0:
            problems.append(f"variant {variant.name!r} has no price")
    return problems + _plan_problems(tool)


def sample_inputs(tool: AnyTool) -> list[Inputs]:
    """Return inputs that reach the tool's branches: the defaults, and each option in turn."""
    fields = msgspec.structs.fields(tool.inputs)
    if any(field.required for field in fields):
        return []
    samples: list[Inputs] = [tool.inputs()]
    for field in fields:
        for value in _literal_values(field.type):
            samples.append(tool.inputs(**{field.name: value}))
    return samples


def _literal_values(annotation: object) -> list[object]:
    parts = get_args(annotation)
    if str(get_origin(annotation)) == "typing.Literal":
        return list(parts)
    return [value for part in parts for value in _literal_values(part)]


def _plan_problems(tool: AnyTool) -> list[str]:
    problems: list[str] = []
    for inputs in sample_inputs(tool):
        for problem in _run_problems(tool, tool.plan(inputs)):
            if problem not in problems:
                problems.append(problem)
    return problems


def _run_problems(tool: AnyTool, run: RunPlan) -> Iterator[str]:
    app_ids = {variant.name: variant.webapp_id for variant in tool.variants}
    if app_ids.get(run.variant) != run.webapp_id:
        yield f"plan names {run.variant!r}/{run.webapp_id}, which is none of its variants"
    used = {node.value.name for node in run.nodes if isinstance(node.value, MediaRef)}
    known = {media.name for media in tool.media}
    required = {media.name for media in tool.media if media.required}
    for name in sorted(used - known):
        yield f"plan uses the media {name!r}, which is no input"
    for name in sorted(required - used):
        yield f"plan does not use its media {name!r}"
