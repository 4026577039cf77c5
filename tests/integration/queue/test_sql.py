"""Every statement of the queue fits the schema, has one owner, and is served by an index."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

import services.queue
from services.queue import store_reads
from services.runtime.page import NEWEST
from services.runtime.sql import Statements
from tests.support.postgres import MakeDatabase
from tests.support.queue_world import START, QueueWorld, open_world

FOLDER = Path(services.queue.__path__[0])
STATEMENTS = Statements(FOLDER / "sql")
JOBS = 20_000
WAITING = 2_000
FILL = """
WITH filled AS (
  INSERT INTO queue.jobs (id, user_id, tool, variant, cost, traceparent, created_at,
                          submission_sha256, charge, status, current_step, enqueue_seq, deadline_at,
                          check_at, queued_at, completed_at, outputs, seq)
  SELECT gen_random_uuid(), 'ana', CASE WHEN n % 9 = 0 THEN 'veste_ai' ELSE 'upscaler' END, '', 1,
         '', now(), decode(repeat('00', 32), 'hex'), '{}', s, s, n,
         CASE WHEN s = 'queued' THEN now() END, CASE WHEN s = 'queued' THEN now() END, now(),
         CASE WHEN s <> 'queued' THEN now() END,
         CASE WHEN s = 'queued' THEN '[]'::jsonb ELSE '[{}]' END, 1
    FROM (SELECT n, CASE WHEN n <= $1 THEN 'completed' ELSE 'queued' END AS s
            FROM generate_series(1, $2::int) n) j
  RETURNING id, enqueue_seq
), submissions AS (
  INSERT INTO queue.submissions (job_id, webapp_id, body) SELECT id, '1', '{}' FROM filled
)
INSERT INTO queue.requests (job_id, caller, user_id, request_id, params_sha256, input_json)
SELECT id, 't', 'ana', enqueue_seq::text, decode(repeat('00', 32), 'hex'), '{}' FROM filled
"""


@pytest.fixture
async def world(make_database: MakeDatabase) -> AsyncIterator[QueueWorld]:
    async with open_world(await make_database(["queue"])) as opened:
        yield opened


@pytest.fixture
async def full_world(world: QueueWorld) -> QueueWorld:
    """A world with many finished jobs, many waiting ones and a few running ones."""
    await world.fetch(FILL, JOBS - WAITING, JOBS)
    await world.fetch("VACUUM ANALYZE queue.jobs, queue.requests, queue.submissions")
    return world


async def test_every_statement_fits_the_schema(world: QueueWorld) -> None:
    async with world.pool.acquire() as conn:
        for name in STATEMENTS:
            try:
                await conn.prepare(STATEMENTS[name])
            except asyncpg.PostgresError as error:
                pytest.fail(f"{name}.sql: {error}")


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_statement_is_named_by_exactly_one_store_function(name: str) -> None:
    uses = [
        path.name
        for path in FOLDER.glob("store*.py")
        for _ in re.findall(rf'_SQL\["{name}"\]', path.read_text())
    ]
    assert len(uses) == 1


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_statement_says_what_it_does(name: str) -> None:
    comments = [line for line in STATEMENTS[name].splitlines() if line.startswith("--")]
    highest = max((int(n) for n in re.findall(r"\$(\d+)", _code_of(STATEMENTS[name]))), default=0)
    assert comments
    assert all(f"${number}" in "\n".join(comments) for number in range(1, highest + 1))


async def test_a_claim_reads_the_head_of_the_line_only(full_world: QueueWorld) -> None:
    nodes = await explain(full_world, "find_claims", START, 3, 0)
    (scan,) = [node for node in nodes if node.get("Index Name") == "jobs_waiting"]
    assert scan["Actual Rows"] <= 3
    assert not _full_scans(nodes, "jobs")


async def test_locking_and_reading_jobs_goes_by_primary_key(full_world: QueueWorld) -> None:
    ids = await some_ids(full_world, 50)
    for name in ("lock_jobs", "read_jobs"):
        nodes = await explain(full_world, name, ids)
        assert not _full_scans(nodes, "jobs"), name


async def test_views_rank_no_more_than_the_exact_places(full_world: QueueWorld) -> None:
    ids = await some_ids(full_world, 50, "queued")
    nodes = await explain(full_world, "read_views", ids, 1000)
    assert not _full_scans(nodes, "jobs")
    ranked = [node for node in nodes if node.get("Index Name") == "jobs_waiting"]
    assert [node["Actual Rows"] for node in ranked] == [1000]


async def test_views_rank_nothing_where_nothing_waits(full_world: QueueWorld) -> None:
    ids = await some_ids(full_world, 50, "completed")
    nodes = await explain(full_world, "read_views", ids, 1000)
    ranked = [node for node in nodes if node.get("Index Name") == "jobs_waiting"]
    assert [node["Actual Rows"] for node in ranked] in ([], [0])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("list_jobs", (NEWEST, None, None, 51)),
        ("list_jobs", (NEWEST, "upscaler", ["completed"], 51)),
        ("list_jobs_of_user", (NEWEST, None, None, 51, "ana")),
        ("list_open_jobs", (NEWEST, None, ["starting", "running"], 51)),
    ],
)
async def test_lists_are_served_by_an_index(
    full_world: QueueWorld, name: str, arguments: tuple[Any, ...]
) -> None:
    assert not _full_scans(await explain(full_world, name, *arguments), "jobs")


async def test_a_look_reads_the_first_entry_of_each_index_only(full_world: QueueWorld) -> None:
    nodes = await explain(full_world, "look", START)
    assert not _full_scans(nodes, "jobs")
    used = {n["Index Name"]: n["Actual Rows"] for n in nodes if "Index Name" in n}
    assert (used["jobs_waiting"], used["jobs_to_check"]) == (1, 1)


async def test_who_joins_the_line_counts_no_further_than_asked(full_world: QueueWorld) -> None:
    nodes = await explain(full_world, "read_entrance", START, 0, 1001, 3, ["ana"])
    assert not _full_scans(nodes, "jobs")
    counted = [n["Actual Rows"] for n in nodes if n.get("Index Name") == "jobs_waiting"]
    # And whether anybody waits, by one entry.
    assert counted == [1001, 1]


@pytest.mark.parametrize("global_limit", [0, 1, 4, 100])
async def test_a_claim_is_offered_the_first_of_all_open_slots(
    world: QueueWorld, global_limit: int
) -> None:
    await world.fetch(
        "INSERT INTO queue.accounts (name, base_url, api_key, slots, paused, health, rests_until) "
        "VALUES ('third', '', '', 5, false, 'full', $1), ('fourth', '', '', 5, true, 'ok', NULL), "
        "('fifth', '', '', 2, false, 'ok', NULL), ('sixth', '', '', 4, false, 'full', $2)",
        START,
        START + timedelta(seconds=1),
    )
    await world.fetch(
        "INSERT INTO queue.slots (account, slot) SELECT a, generate_series(1, 5) "
        "FROM unnest(ARRAY['third', 'fourth', 'fifth', 'sixth']) a"
    )
    # Two jobs hold slots, one of them beyond what its account has by now.
    await world.enqueue()
    await world.enqueue()
    first, second = await world.claim(2)
    await world.fetch("UPDATE queue.slots SET job_id = NULL, attempt = NULL")
    for account, slot, held in (("primary", 1, first), ("fifth", 5, second)):
        await world.fetch(
            "UPDATE queue.slots SET job_id = $3, attempt = 1 WHERE account = $1 AND slot = $2",
            account,
            slot,
            held.work.job_id,
        )
    every = await world.fetch(
        "SELECT account, slot FROM queue.open_slots($1, $2, NULL) ORDER BY place",
        START,
        global_limit,
    )
    # The emptiest account first; of those with one slot left, by name.
    expected = [("third", 1), ("fifth", 1), ("primary", 2), ("second", 1)]
    if global_limit:
        expected = expected[: max(global_limit - 2, 0)]
    assert list(map(tuple, every)) == expected
    (total,) = await world.fetch("SELECT * FROM queue.total_load($1, $2)", START, global_limit)
    assert dict(total) == {"held": 2, "open": len(every)}
    for most in range(1, 6):
        some = await world.fetch(
            "SELECT account, slot FROM queue.open_slots($1, $2, $3) ORDER BY place LIMIT $3",
            START,
            global_limit,
            most,
        )
        assert list(map(tuple, some)) == list(map(tuple, every))[:most]


async def test_why_waiting_counts_no_further_than_asked(full_world: QueueWorld) -> None:
    (last,) = await full_world.fetch("SELECT id FROM queue.jobs ORDER BY enqueue_seq DESC LIMIT 1")
    nodes = await explain(full_world, "read_wait", last["id"], START, 0, 1001)
    counted = [node["Actual Rows"] for node in nodes if node.get("Index Name") == "jobs_waiting"]
    assert counted
    assert max(counted) <= 1001
    assert not _full_scans(nodes, "jobs")


async def test_the_relay_reads_the_head_of_the_outbox_only(full_world: QueueWorld) -> None:
    await full_world.fetch(
        "INSERT INTO queue.outbox (job_id, first_seq, events, body) "
        "SELECT gen_random_uuid(), 1, 1, '' FROM generate_series(1, 5000)"
    )
    await full_world.fetch("VACUUM ANALYZE queue.outbox")
    nodes = await explain(full_world, "take_packs", 100, 1_000_000)
    assert not _full_scans(nodes, "outbox")
    assert not _full_scans(nodes, "jobs")


async def test_a_place_beyond_the_exact_ones_is_said_to_be_more(full_world: QueueWorld) -> None:
    (last,) = await full_world.fetch("SELECT id FROM queue.jobs ORDER BY enqueue_seq DESC LIMIT 1")
    async with full_world.pool.acquire() as conn:
        views = await store_reads.read_views(conn, [last["id"]])
    assert views[last["id"]].position == 1001


async def test_callback_loss_reads_its_span_of_time_and_counts_no_callback_of_it(
    full_world: QueueWorld,
) -> None:
    await full_world.fetch(
        "INSERT INTO queue.attempts (job_id, number, account, slot, phase, token_sha256, task_id, "
        "outcome, claimed_at, ended_at, callback_asked, callbacks) "
        "SELECT id, 1, 'primary', 1, 'ended', sha256(id::text::bytea), id::text, 'succeeded', "
        "$1, $1::timestamptz - make_interval(mins => enqueue_seq::int), true, "
        "(enqueue_seq % 20 <> 0)::int "
        "FROM queue.jobs WHERE status = 'completed'",
        START,
    )
    await full_world.fetch("VACUUM ANALYZE queue.attempts")
    since, until = START - timedelta(minutes=105), START - timedelta(minutes=5)
    nodes = await explain(full_world, "read_callback_loss", since, until)
    assert not _full_scans(nodes, "attempts")
    read = [n["Actual Rows"] for n in nodes if n.get("Index Name") == "attempts_ended"]
    assert read == [100]
    # Only those whose own count says that none came.
    asked = [n["Actual Loops"] for n in nodes if n.get("Relation Name") == "callbacks"]
    assert sum(asked) <= 5


async def some_ids(world: QueueWorld, count: int, status: str = "queued") -> list[UUID]:
    rows = await world.fetch(
        "SELECT id FROM queue.jobs WHERE status = $1 ORDER BY id LIMIT $2", status, count
    )
    return [row["id"] for row in rows]


async def explain(world: QueueWorld, name: str, *arguments: Any) -> list[dict[str, Any]]:
    """Run a statement's one plan under EXPLAIN ANALYZE, undo it, and return the plan's nodes."""
    async with world.pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        try:
            await conn.execute(f"PREPARE explained AS {STATEMENTS[name]}")
            values = ", ".join(map(_literal, arguments))
            text = await conn.fetchval(
                f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE explained({values})"
            )
            await conn.execute("DEALLOCATE explained")
        finally:
            await transaction.rollback()
    return list(_nodes(json.loads(text)[0]["Plan"]))


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return "'{" + ",".join(map(str, value)) + "}'"
    return f"'{value}'"


def _nodes(plan: dict[str, Any]) -> Any:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _full_scans(nodes: list[dict[str, Any]], table: str) -> list[dict[str, Any]]:
    return [
        node
        for node in nodes
        if node["Node Type"] == "Seq Scan" and node.get("Relation Name") == table
    ]


def _code_of(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))


def test_the_store_functions_are_the_only_ones_to_hold_statements() -> None:
    others = [
        path.name
        for path in FOLDER.glob("*.py")
        if "_SQL[" in path.read_text() and not path.name.startswith("store")
    ]
    assert not others


async def test_a_claim_reads_the_head_of_a_long_line_of_one_tool(full_world: QueueWorld) -> None:
    """The planner must not take a tool that is not paused to leave nobody in the line."""
    await full_world.fetch("UPDATE queue.jobs SET tool = 'upscaler' WHERE tool <> 'upscaler'")
    await full_world.fetch("DELETE FROM queue.prices WHERE tool <> 'upscaler'")
    await full_world.fetch("DELETE FROM queue.tools WHERE name <> 'upscaler'")
    await full_world.fetch(
        "UPDATE queue.jobs SET status = 'queued', completed_at = NULL, deadline_at = now(), "
        "check_at = now() WHERE status = 'completed'"
    )
    await full_world.fetch("VACUUM (FULL, ANALYZE) queue.jobs, queue.tools")
    nodes = await explain(full_world, "find_claims", START, 3, 0)
    (scan,) = [node for node in nodes if node.get("Index Name") == "jobs_waiting"]
    assert scan["Actual Rows"] <= 3
    assert not _full_scans(nodes, "jobs")
