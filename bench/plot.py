"""Draws the results: `python -m bench.plot RESULTS.json`, run by the peers' Python.

That environment has matplotlib. Writes a PNG and an SVG beside the file: rates of the full work,
and how far each goal is reached.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

_OURS, _THEIRS, _CEILING, _BAD = "#2563eb", "#94a3b8", "#0f766e", "#dc2626"
_PREFIX = "full work, "
_AT = ", 256 in flight"


def main(path: Path) -> None:
    """Draw one results file."""
    found = json.loads(path.read_text("utf-8"))
    rows = found["rows"]
    mpl.rcParams["svg.hashsalt"] = "etapa"
    figure, (left, right) = plt.subplots(1, 2, figsize=(14, 6.5), width_ratios=(1, 1.3))
    _draw_rates(left, rows)
    _draw_goals(right, [row for row in rows if row["goal"]])
    machine = found["machine"]
    figure.suptitle("Etapa's benchmark: the same full work for everybody, every step durable")
    figure.text(0.01, 0.01, f"{machine['cpu']}, {machine['cores']} cores", fontsize=8)
    figure.tight_layout(rect=(0, 0.02, 1, 1))
    for ending in (".png", ".svg"):
        figure.savefig(path.with_suffix(ending), dpi=110)


def _draw_rates(axes: Any, rows: list[dict[str, Any]]) -> None:
    rates = {
        row["figure"].removeprefix(_PREFIX).removesuffix(_AT): row
        for row in rows
        if row["figure"].startswith(_PREFIX) and row["figure"].endswith(_AT)
    }
    ordered = sorted(rates, key=lambda name: rates[name]["value"])
    values = [rates[name]["value"] for name in ordered]
    colours = [{"etapa": _OURS, "ceiling": _CEILING}.get(name, _THEIRS) for name in ordered]
    low = [rates[name]["value"] - min(rates[name]["rounds"]) for name in ordered]
    high = [max(rates[name]["rounds"]) - rates[name]["value"] for name in ordered]
    axes.barh(ordered, values, color=colours, xerr=(low, high), error_kw={"lw": 1})
    for name, value in zip(ordered, values, strict=True):
        axes.text(value, name, f" {value:,.0f}", va="center", fontsize=9)
    axes.set_xscale("log")
    axes.set_title("jobs/s, 256 submits in flight (log scale)")


def _draw_goals(axes: Any, rows: list[dict[str, Any]]) -> None:
    """Draw how often each goal is reached: 1 is just so, more is better."""
    names = [row["figure"] for row in reversed(rows)]
    shares = [_share(row) for row in reversed(rows)]
    axes.barh(names, shares, color=[_OURS if share >= 1 else _BAD for share in shares])
    axes.axvline(1, color="black", lw=1)
    axes.set_xscale("log")
    axes.tick_params(axis="y", labelsize=7)
    axes.set_title("goals: right of the line is reached")


def _share(row: dict[str, Any]) -> float:
    sign, wanted = row["goal"].split()
    value, goal = max(float(row["value"]), 1e-3), float(wanted)
    return value / goal if sign == ">=" else goal / value


if __name__ == "__main__":
    main(Path(sys.argv[1]))
