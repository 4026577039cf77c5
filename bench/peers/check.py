"""Proves by SQL that every job has its eight steps in order and its four whole bodies."""

from __future__ import annotations

from typing import Any

import asyncpg

from bench.peers.work import BODIES, BODY_BYTES, SQL, STEPS

_MOST_BAD = 20


async def check(dsn: str, statement: str = "check_jobs") -> dict[str, Any]:
    """Return how many jobs there are and what is wrong with which (the first 20)."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(SQL[statement])
    finally:
        await connection.close()
    faults = [{"job_id": row["job_id"], "fault": fault} for row in rows if (fault := _fault(row))]
    return {
        "jobs": len(rows),
        "steps": len(STEPS),
        "payloads": len(BODIES),
        "bad": faults[:_MOST_BAD],
    }


def _fault(row: asyncpg.Record) -> str:
    if tuple(row["names"] or ()) != STEPS:
        return f"steps {row['names']}"
    if tuple(row["kinds"] or ()) != BODIES:
        return f"bodies {row['kinds']}"
    if row["shortest"] < BODY_BYTES:
        return f"a body of {row['shortest']} bytes"
    return "" if row["in_order"] else "a step is older than the one before it"
