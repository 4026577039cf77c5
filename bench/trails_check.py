"""Proves by SQL that the trails of Etapa's finished jobs are whole: every step, every body."""

from __future__ import annotations

from typing import Any

import asyncpg

from bench.bodies import BODY_BYTES
from bench.statements import SQL

STEPS = [
    *("upload", "insert", "credits", "queue_check", "queued"),
    *("starting", "running", "webhook_received", "completed"),
]
# Start request and reply, callback, query request and reply: the query's request is small.
PAYLOADS = 4


async def check_trails(conn: asyncpg.Connection[asyncpg.Record]) -> dict[str, Any]:
    """Return what the contract of contestants asks for; `bad` lists up to ten faults."""
    bad: list[str] = []
    rows = await conn.fetch(SQL["read_trails"])
    for row in rows:
        if problem := _problem(row):
            bad.append(f"{row['id']}: {problem}")
    if unfinished := await conn.fetchval(SQL["count_open"]):
        bad.append(f"{unfinished} jobs are not completed")
    for row in rows[:: max(len(rows) // 50, 1)]:
        bad += await _body_problems(conn, row["id"])
    return {"jobs": len(rows), "steps": len(STEPS), "payloads": PAYLOADS, "bad": bad[:10]}


def _problem(row: asyncpg.Record) -> str:
    if row["seq"] != row["through_seq"] or row["status"] != "completed":
        return f"the trail ends at {row['through_seq']} of {row['seq']}, {row['status']}"
    if row["steps"] != STEPS:
        return f"steps are {row['steps']}"
    if (row["payloads"] or 0) < PAYLOADS or row["awaited"]:
        return f"{row['payloads']} payloads, {row['awaited']} still awaited"
    return ""


async def _body_problems(conn: asyncpg.Connection[asyncpg.Record], job_id: Any) -> list[str]:
    sizes = [row["size"] or 0 for row in await conn.fetch(SQL["read_bodies"], job_id)]
    whole = sum(size >= BODY_BYTES for size in sizes)
    return [] if whole >= PAYLOADS else [f"{job_id}: bodies of {sizes} bytes"]
