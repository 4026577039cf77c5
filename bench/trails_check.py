"""Proves by SQL that the trails of Etapa's finished jobs are whole: every step, every body."""

from __future__ import annotations

from typing import Any

import asyncpg

from bench.bodies import BODY_BYTES

STEPS = [
    *("upload", "insert", "credits", "queue_check", "queued"),
    *("starting", "running", "webhook_received", "completed"),
]
# Start request and reply, callback, query request and reply: the query's request is small.
PAYLOADS = 4

_CHECK = """
WITH finished AS (
  SELECT id, seq FROM queue.jobs WHERE status = 'completed'
), steps AS (
  SELECT e.job_id, array_agg(e.step ORDER BY e.seq) AS steps
    FROM observability.events e JOIN finished f ON f.id = e.job_id
   WHERE e.kind = 'step' GROUP BY e.job_id
), bodies AS (
  SELECT p.job_id, count(*) FILTER (WHERE p.encoding = 'awaited') AS awaited, count(*) AS payloads
    FROM observability.payloads p JOIN finished f ON f.id = p.job_id GROUP BY p.job_id
)
SELECT f.id, f.seq, j.through_seq, j.status, s.steps, b.payloads, b.awaited
  FROM finished f
  LEFT JOIN observability.jobs j ON j.job_id = f.id
  LEFT JOIN steps s ON s.job_id = f.id
  LEFT JOIN bodies b ON b.job_id = f.id
"""
_OPEN = "SELECT count(*) FROM queue.jobs WHERE status <> 'completed'"
_BODY = "SELECT encoding, body FROM observability.payloads WHERE job_id = $1"


async def check_trails(conn: asyncpg.Connection[asyncpg.Record]) -> dict[str, Any]:
    """Return what the contract of contestants asks for; `bad` lists up to ten faults."""
    bad: list[str] = []
    rows = await conn.fetch(_CHECK)
    for row in rows:
        if problem := _problem(row):
            bad.append(f"{row['id']}: {problem}")
    if unfinished := await conn.fetchval(_OPEN):
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
    from zstandard import ZstdDecompressor

    sizes = []
    for row in await conn.fetch(_BODY, job_id):
        body = bytes(row["body"] or b"")
        sizes.append(
            len(ZstdDecompressor().decompress(body) if row["encoding"] == "zstd" else body)
        )
    whole = sum(size >= BODY_BYTES for size in sizes)
    return [] if whole >= PAYLOADS else [f"{job_id}: bodies of {sizes} bytes"]
