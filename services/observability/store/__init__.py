"""The only code of observability that runs queries; each function names one file of `sql/`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from services.runtime.sql import Statements

SQL: Final = Statements(Path(__file__).parents[1] / "sql")
