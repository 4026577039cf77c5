"""Finds out which environment variables the services read, by letting them read."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OURS = re.compile(r"(ETAPA|RUNNINGHUB)_[A-Z0-9_]*[A-Z0-9]")
# What must be set for every reader to come to its end.
REQUIRED = {
    "ETAPA_DATABASE_URL": "postgresql://etapa@127.0.0.1/etapa",
    "ETAPA_MEDIA_KEY": "k" * 32,
    "RUNNINGHUB_API_KEY": "0" * 32,
}


class Recorder(Mapping[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@cache
def readers() -> dict[str, Callable[[Mapping[str, str]], Any]]:
    """Return every `from_env` of the services by its class, as a function of an environment."""
    found: dict[str, Callable[[Mapping[str, str]], Any]] = {}
    for path in sorted((ROOT / "services").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and any(
                isinstance(item, ast.FunctionDef) and item.name == "from_env" for item in node.body
            ):
                module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                cls = getattr(importlib.import_module(module), node.name)
                found[f"{module}.{node.name}"] = _reader(cls)
    return found


def _reader(cls: Any) -> Callable[[Mapping[str, str]], Any]:
    parameters = list(inspect.signature(cls.from_env).parameters.values())
    needed = [p.name for p in parameters[1:] if p.default is inspect.Parameter.empty]
    more = {"home": Path(".etapa").absolute()} if needed == ["home"] else {}
    if needed and not more:
        raise AssertionError(f"{cls} wants {needed}; teach tests.support.settings_read about it")

    def read(env: Mapping[str, str]) -> Any:
        return cls.from_env(env, **more)

    return read


def variables_asked_for() -> set[str]:
    """Return the variables that any `from_env` asks for."""
    asked: set[str] = set()
    for read in readers().values():
        for values in (REQUIRED, {**REQUIRED, "RUNNINGHUB_API_KEY": ""}):
            recorder = Recorder(values)
            read(recorder)
            asked |= recorder.asked
    return asked


@cache
def variables_named() -> set[str]:
    """Return the variables of ours that stand whole in the services' code."""
    names: set[str] = set()
    for path in (ROOT / "services").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and OURS.fullmatch(node.value)
            ):
                names.add(node.value)
    return names


def reads_alike(default: str, name: str) -> list[str]:
    """Return the readers for which setting `name` to `default` changes what is read."""
    different = []
    for where, read in readers().items():
        for base in (REQUIRED, {**REQUIRED, "RUNNINGHUB_API_KEY": ""}):
            without = {key: value for key, value in base.items() if key != name or not default}
            if _plain(read(without)) != _plain(read({**without, name: default})):
                different.append(where)
    return sorted(set(different))


def _plain(settings: Any) -> Any:
    # A stack's settings also hold the environment that they were read from.
    return replace(settings, env={}) if hasattr(settings, "env") else settings
