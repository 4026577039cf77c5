"""Where the benchmark keeps things: all below `.etapa/bench` and `bench/results`."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".etapa" / "bench"
LOGS = HOME / "logs"
RESULTS = ROOT / "bench" / "results"
