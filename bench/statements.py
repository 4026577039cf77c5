"""The benchmark's own SQL, by file name."""

from __future__ import annotations

from services.runtime.sql import load_statements

SQL = load_statements(__file__)
