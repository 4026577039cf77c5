"""Fills observability's schema with many jobs over many partitions, by SQL, and analyses it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg

from services.observability.partition import ensure_partitions
from services.observability.store.read import lowest_id
from services.runtime.db import Pool, open_pool

FIRST = datetime(2026, 1, 5, tzinfo=UTC)
_JOB_ID = """
CREATE FUNCTION pg_temp.job_id(n bigint, jobs bigint, span_ms bigint, first_ms bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(first_ms + n * span_ms / jobs), 12, '0') || '7000' || '8'
        || lpad(to_hex(n), 15, '0'))::uuid
$$
"""
_JOBS = """
INSERT INTO observability.jobs (job_id, revision, through_seq, max_seq, tool, variant, user_id,
    caller, request_id, retry_of, cost, input_json, trace_id, status, phase, current_step,
    failed_at_step, error_class, error_message, created_at, started_at, completed_at, attempt,
    account, task_id, step_count, note_count, payload_count)
SELECT pg_temp.job_id(n, $1, $2, $3), 1, 10, 10,
    (ARRAY['upscaler', 'pose_changer', 'veste_ai', 'video_upscaler'])[1 + n % 4], '',
    'user-' || n % ($1 / 40), '', 'request-' || n, '', 60, '{"resolution":2048}',
    decode(md5(n::text), 'hex'), status,
    CASE status WHEN 'queued' THEN 'waiting' WHEN 'running' THEN 'busy' ELSE status END,
    status, CASE WHEN status = 'failed' THEN 'running' END,
    CASE WHEN status = 'failed' THEN (ARRAY['gpu_oom', 'infra', 'timeout'])[1 + n % 3] END,
    CASE WHEN status = 'failed' THEN 'CUDA out of memory' END,
    at, at, CASE WHEN status IN ('completed', 'failed', 'cancelled') THEN at END, 1, 'main',
    'task-' || n, 8, 0, 2
FROM (
    SELECT n, to_timestamp(($3 + n * $2 / $1) / 1000.0) AS at,
        CASE WHEN n > $1 - 20 THEN 'running' WHEN n > $1 - 200 THEN 'queued'
            WHEN n % 10 = 0 THEN 'failed' WHEN n % 500 = 1 THEN 'cancelled'
            ELSE 'completed' END AS status
    FROM generate_series(1, $1::bigint) AS n
) AS made
"""
_CHAPTERS = """
INSERT INTO observability.chapters (job_id, seq, last_seq, trace_id, kinds, steps, body)
SELECT pg_temp.job_id(n, $1, $2, $3), last_seq - 1, last_seq, decode(md5(n::text), 'hex'),
    CASE WHEN last_seq <= 8 THEN 'ss' ELSE 'pp' END,
    CASE WHEN last_seq <= 8 THEN json_build_array(
        json_build_object('seq', last_seq - 1, 'step', 'running',
            'details', '{"taskId":"1"}'::jsonb, 'at', to_timestamp(($3 + n * $2 / $1) / 1000.0)),
        json_build_object('seq', last_seq, 'step', 'running', 'details', NULL,
            'at', to_timestamp(($3 + n * $2 / $1) / 1000.0))) END, ''
FROM generate_series(1, $1::bigint) AS n, generate_series(2, 10, 2) AS last_seq
"""
_PAYLOADS = """
INSERT INTO observability.payloads (job_id, seq, payload_id, shown_as, frame)
SELECT pg_temp.job_id(n, $1, $2, $3), seq, pg_temp.job_id(n * 2 + seq, $1, $2, $3),
    CASE seq WHEN 9 THEN 'reply' ELSE 'callback' END,
    '\\x00'::bytea || convert_to('{"status":"SUCCESS","text":"' || repeat('x', 300) || '"}', 'utf8')
FROM generate_series(1, $1::bigint) AS n, generate_series(9, 10) AS seq
"""
_DELIVERIES = """
INSERT INTO observability.deliveries (delivery_id, received_at, frame, info)
SELECT pg_temp.job_id(n * 2 + 11, $1, $2, $3), now(),
    '\\x00'::bytea || '{"event":"TASK_END"}', '\\x00'
FROM generate_series(1, $1::bigint) AS n
"""
_KEYS = """
INSERT INTO observability.keys (key, job_id, kind)
SELECT substr(sha256(convert_to(kind || n, 'utf8')), 1, 16), pg_temp.job_id(n, $1, $2, $3), kind
FROM generate_series(1, $1::bigint) AS n,
    unnest(ARRAY['task_id', 'trace_id', 'request_id', 'delivery_id', 'output_url']) AS kind
"""


async def fill(dsn: str, jobs: int, weeks: int) -> None:
    """Make `jobs` jobs with ten events and two payloads each, spread over `weeks` partitions."""
    pool = await open_pool(dsn, "fill", command_timeout_s=900)
    for week in range(0, weeks + 1, 2):
        await ensure_partitions(pool, FIRST + timedelta(weeks=week), 7)
    span_ms = weeks * 7 * 86_400_000
    first_ms = lowest_id(FIRST).int >> 80
    async with pool.acquire() as conn:
        await conn.execute(_JOB_ID)
        for statement in (_JOBS, _CHAPTERS, _PAYLOADS, _DELIVERIES, _KEYS):
            await conn.execute(statement, jobs, span_ms, first_ms)
    await _analyse(pool)
    await pool.close()


async def _analyse(pool: Pool) -> None:
    async with pool.acquire() as conn:
        for table in ("jobs", "chapters", "payloads", "keys", "deliveries"):
            await conn.execute(f"ANALYZE observability.{table}")


async def some_job(conn: asyncpg.Connection[asyncpg.Record], status: str) -> str:
    """Return the id of a job of that status."""
    return str(
        await conn.fetchval("SELECT job_id FROM observability.jobs WHERE status = $1", status)
    )
