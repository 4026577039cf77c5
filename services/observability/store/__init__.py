"""The only code of observability that runs queries; each function names one file of `sql/`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from services.runtime.sql import Statements

SQL: Final = Statements(Path(__file__).parents[1] / "sql")

# Every statement is written for one plan whatever its values; planning anew over all partitions
# costs more than most of them.
SESSION: Final = {"plan_cache_mode": "force_generic_plan"}
