"""Tells the rows: a table on the terminal, and the results file."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.lineup import PEERS_PYTHON
from bench.places import ROOT
from bench.result import Row
from bench.server import SERVER_OPTIONS

_PACKAGES = ("asyncpg", "grpcio", "aiohttp", "uvloop", "protobuf", "lz4", "msgspec")


def show(rows: Sequence[Row]) -> None:
    """Print all rows as one table."""
    table = Table(title="Etapa's benchmark")
    for title in ("figure", "value", "unit", "goal", "holds", "min - max", "note"):
        right = title in ("value", "min - max")
        table.add_column(title, justify="right" if right else "left", overflow="fold")
    for row in rows:
        spread = f"{number(min(row.rounds))} - {number(max(row.rounds))}" if row.rounds else ""
        holds = {True: "[green]yes", False: "[red]no", None: ""}[row.holds]
        table.add_row(row.figure, number(row.value), row.unit, row.goal, holds, spread, row.note)
    Console(width=None if sys.stdout.isatty() else 180).print(table)


def number(value: float) -> str:
    """Return a figure with three digits that count.

    >>> number(1234.5), number(0.12345)
    ('1,234', '0.123')
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def write(rows: Sequence[Row], path: Path, *, seconds: float, is_quick: bool) -> None:
    """Write the results file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "took_s": round(seconds),
        "quick": is_quick,
        "machine": machine(),
        "versions": versions(),
        "postgres": dict(SERVER_OPTIONS),
        "rows": [row.as_json() for row in rows],
    }
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")


def draw(path: Path) -> None:
    """Draw the plot beside the results, where the peers' environment with matplotlib is."""
    if not PEERS_PYTHON.exists():
        print("no plot: `make bench-setup` makes the environment that draws it")
        return
    command = [str(PEERS_PYTHON), "-m", "bench.plot", str(path)]
    subprocess.run(command, cwd=ROOT, check=True)


def machine() -> dict[str, Any]:
    """Describe the machine, without its name or places."""
    return {
        "cpu": _first("/proc/cpuinfo", "model name"),
        "cores": len(_cores()),
        "memory_gib": round(int(_first("/proc/meminfo", "MemTotal").split()[0]) / 1024**2, 1),
        "kernel": platform.release(),
        "disk": _disk(),
    }


def versions() -> dict[str, str]:
    """Return the versions of what was measured."""
    from services.cli.postgres_binaries import find_binaries

    found = {"python": platform.python_version(), "postgresql": find_binaries().version}
    return {**found, **{name: version(name) for name in _PACKAGES}}


def _cores() -> set[int]:
    import os

    return os.sched_getaffinity(0)


def _first(path: str, key: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.partition(":")[2].strip()
    return "unknown"


def _disk() -> str:
    kinds = {
        "virtual" if block.name.startswith("vd") else block.name.rstrip("0123456789")
        for block in Path("/sys/block").iterdir()
        if (block / "device").exists()
    }
    return ", ".join(sorted(kinds)) or "unknown"
