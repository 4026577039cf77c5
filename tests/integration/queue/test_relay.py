"""The outbox reaches observability whole, in order and once deleted, whatever happens between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from etapa.observability.v1 import event_pb2
from etapa.queue.v1 import job_pb2
from etapa_client.client import EtapaClient
from etapa_client.errors import UnavailableError
from services.queue import command as c
from services.queue import relay as relay_module
from services.queue.event_stream import EventStream
from services.queue.pack import MAX_PACK_BYTES
from services.queue.pruner import Pruner
from services.queue.relay import MAX_BYTES, Relay
from services.runtime.ids import new_id, token_hash
from tests.support import queue_play as play
from tests.support.event_recorder import EventRecorder, recording
from tests.support.outbox import put_events, waiting_events
from tests.support.postgres import MakeDatabase
from tests.support.queue_relay import emptied, is_empty, relaying, run_job
from tests.support.queue_world import QueueWorld, open_world
from tests.support.waiting import eventually


@pytest.fixture
async def world(make_database: MakeDatabase) -> AsyncIterator[QueueWorld]:
    async with open_world(await make_database(["queue"])) as opened:
        opened.now = datetime.now(UTC)
        yield opened


@pytest.fixture
async def recorder() -> EventRecorder:
    return EventRecorder()


async def test_every_event_arrives_in_order_and_leaves_the_outbox(
    world: QueueWorld, recorder: EventRecorder
) -> None:
    job_id = await run_job(world)
    job = await world.job(job_id)
    async with recording(recorder) as address, relaying(world, address):
        await recorder.until(job.seq)
        await emptied(world)
    assert [event.seq for event in recorder.events] == list(range(1, job.seq + 1))
    assert {event.trace_id for event in recorder.events} == {job.traceparent[3:35]}


async def test_every_kind_is_told_with_its_fields(
    world: QueueWorld, recorder: EventRecorder
) -> None:
    job_id = await run_job(world)
    async with recording(recorder) as address, relaying(world, address):
        await recorder.until((await world.job(job_id)).seq)
    kinds = {event.WhichOneof("kind") for event in recorder.events}
    assert kinds == {"step", "attempt_change", "ledger", "note", "payload", "repeat"}
    first, last = recorder.events[0].step, recorder.events[-1].step
    assert (first.facts.tool, first.facts.cost) == ("upscaler", 60)
    assert first.facts.input_json == '{"seed":9007199254740993}'
    assert last.status == job_pb2.JOB_STATUS_COMPLETED
    assert last.outputs[0].sha256 == play.OUTPUT.sha256


async def test_a_payload_keeps_its_bytes_and_its_description(
    world: QueueWorld, recorder: EventRecorder
) -> None:
    job_id = await run_job(world)
    async with recording(recorder) as address, relaying(world, address):
        await recorder.until((await world.job(job_id)).seq)
    payloads = [e.payload for e in recorder.events if e.HasField("payload")]
    sent = next(each for each in payloads if each.info.kind == event_pb2.PAYLOAD_KIND_REQUEST)
    assert sent.body == b"a***b\x00\xff"
    assert (sent.info.call, sent.info.bytes, sent.info.sha256) == ("start", 7, b"\xab" * 32)
    assert sent.info.occurred_at.ToDatetime(UTC) == datetime(2026, 11, 24, 12, 0, 0, 123456, UTC)
    assert sent.info.latency.ToMicroseconds() == 1_250_000
    assert [(each.start, each.end) for each in sent.info.masked] == [(2, 5)]
    assert [(each.name, each.value) for each in sent.info.headers] == [
        ("Authorization", "Bearer ***")
    ]
    callback = next(each for each in payloads if each.delivery_id)
    assert callback.info.payload_id == callback.delivery_id
    assert callback.info.kind == event_pb2.PAYLOAD_KIND_CALLBACK


async def test_a_failure_and_late_outputs_are_told(
    world: QueueWorld, recorder: EventRecorder
) -> None:
    job_id = await world.enqueue()
    (claimed,) = await world.claim(1)
    run = world.transitions.run
    await run(c.BeginStart(job_id, 1, claimed.work.token_sha256, "", ()))
    await run(c.LoseReply(job_id, 1, claimed.work.token_sha256, ()))
    world.later(10_000)
    await run(c.CheckDeadline(job_id))
    await run(play.callback(job_id, 1, world.now))
    await run(play.answer(job_id, 1, "success"))
    await run(c.SaveOutputs(job_id, 1, [play.OUTPUT]))
    async with recording(recorder) as address, relaying(world, address):
        await recorder.until((await world.job(job_id)).seq)
    (failed,) = [e.step for e in recorder.events if e.step.HasField("failure")]
    assert failed.failure.at_step == job_pb2.STEP_STARTING
    assert failed.failure.error_class == "submit_unknown"
    (late,) = [e.outputs for e in recorder.events if e.HasField("outputs")]
    assert late.outputs[0].url == play.OUTPUT.url


async def test_an_absence_loses_nothing_and_ends_by_itself(
    world: QueueWorld, recorder: EventRecorder
) -> None:
    recorder.is_away = True
    job_id = await run_job(world)
    async with recording(recorder) as address, relaying(world, address) as relay:

        async def has_failed() -> bool:
            return relay._failures > 1

        await eventually(has_failed)
        assert not await is_empty(world)
        recorder.is_away = False
        await recorder.until((await world.job(job_id)).seq)
        await emptied(world)


async def test_a_restart_of_observability_is_bridged(
    world: QueueWorld, recorder: EventRecorder
) -> None:
    first = await run_job(world)
    async with AsyncExitStack() as relays:
        async with recording(recorder) as address:
            await relays.enter_async_context(relaying(world, address))
            await recorder.until((await world.job(first)).seq)
        second = await run_job(world)
        async with recording(recorder, address):
            seqs = [(await world.job(job_id)).seq for job_id in (first, second)]
            await recorder.until(sum(seqs))
            await emptied(world)


async def test_nothing_is_deleted_without_an_acknowledgement(
    world: QueueWorld, recorder: EventRecorder
) -> None:
    recorder.is_silent = True
    await world.create()
    async with recording(recorder) as address, EtapaClient(observability=address) as client:
        relay = Relay(world.transitions, EventStream(client.intake, ack_timeout_s=0.2))
        with pytest.raises(UnavailableError):
            await relay.relay_batch()
    assert not await is_empty(world)


async def test_many_relays_share_the_work_without_a_loss(
    world: QueueWorld, recorder: EventRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "MAX_EVENTS", 20)
    jobs = [await run_job(world) for _ in range(20)]
    count = sum([(await world.job(job_id)).seq for job_id in jobs])
    async with recording(recorder) as address, relaying(world, address, processes=3):
        await recorder.until(count)
        await emptied(world)
    assert len(recorder.seen()) == count


async def test_a_rejected_event_is_dropped_and_kept_aside(
    world: QueueWorld, recorder: EventRecorder
) -> None:
    recorder.rejects = lambda event: "no such thing" if event.seq == 3 else ""
    await run_job(world)
    async with recording(recorder) as address, relaying(world, address):
        await emptied(world)
    (kept,) = await world.fetch("SELECT seq, why, body FROM queue.rejected_events")
    assert (kept["seq"], kept["why"]) == (3, "no such thing")


async def test_an_event_that_breaks_every_batch_is_found_and_stood_in_for(
    world: QueueWorld, recorder: EventRecorder
) -> None:
    job_id = await run_job(world)
    recorder.refuses = lambda e: "x" if e.seq == 3 and e.note.code != "EVENT_UNREADABLE" else ""
    async with recording(recorder) as address, relaying(world, address):
        await emptied(world)
    assert len(recorder.seen()) == (await world.job(job_id)).seq
    assert [row["seq"] for row in await world.fetch("SELECT * FROM queue.rejected_events")] == [3]


async def test_an_event_that_cannot_be_encoded_leaves_a_note_in_its_place(
    world: QueueWorld, recorder: EventRecorder
) -> None:
    job_id = await world.enqueue()
    (claimed,) = await world.claim(1)
    broken = c.Payload(new_id(), {"kind": "response", "sha256": "no digits \x00"}, b"")
    token = claimed.work.token_sha256
    change = await world.transitions.run(c.BeginStart(job_id, 1, token, "", [broken]))
    seq = change.after.seq - 1
    async with recording(recorder) as address, relaying(world, address):
        await recorder.until((await world.job(job_id)).seq)
        await emptied(world)
    (stands_in,) = [event for event in recorder.events if event.seq == seq]
    assert stands_in.note.code == "EVENT_UNREADABLE"
    (kept,) = await world.fetch("SELECT seq, kind, body FROM queue.rejected_events")
    assert (kept["seq"], kept["kind"]) == (seq, "payload")
    assert "no digits" in kept["body"]


async def test_batches_stay_below_the_contract_s_size(
    world: QueueWorld, recorder: EventRecorder
) -> None:
    job_id = await world.create()
    payload = event_pb2.PayloadEvent(body=b"a" * 65536)
    for seq in range(2, 151):
        event = event_pb2.Event(job_id=str(job_id), seq=seq, payload=payload)
        await put_events(world.pool, job_id, [event])
    async with recording(recorder) as address, relaying(world, address):
        await recorder.until(150)
    assert max(recorder.sizes) <= 3 * 1024 * 1024
    assert max(recorder.sizes) > MAX_BYTES * 0.9


async def test_a_change_with_very_much_to_tell_makes_several_packs(
    world: QueueWorld, recorder: EventRecorder
) -> None:
    job_id = await world.enqueue()
    (claimed,) = await world.claim(1)
    payloads = [c.Payload(new_id(), {"kind": "response"}, b"a" * 65536) for _ in range(60)]
    before = len(await waiting_events(world.pool))
    await world.transitions.run(c.BeginStart(job_id, 1, claimed.work.token_sha256, "", payloads))
    packs = await world.fetch("SELECT length(body) AS size FROM queue.outbox")
    assert max(pack["size"] for pack in packs) <= MAX_PACK_BYTES
    assert len(await waiting_events(world.pool)) == before + 61
    await world.check()
    async with recording(recorder) as address, relaying(world, address):
        await emptied(world)
    assert len(recorder.seen()) == (await world.job(job_id)).seq
    assert max(recorder.sizes) <= 3 * 1024 * 1024


async def test_finished_jobs_are_forgotten_once_told(
    world: QueueWorld, recorder: EventRecorder
) -> None:
    done, still_open = await run_job(world), await world.enqueue()
    pruner = Pruner(world.pool, lambda: world.now, keep_finished_s=60)
    world.later(61)
    assert (await pruner.prune())["jobs"] == 0
    async with recording(recorder) as address, relaying(world, address):
        await emptied(world)
    assert (await pruner.prune())["jobs"] == 1
    left = await world.fetch("SELECT id FROM queue.jobs")
    assert [row["id"] for row in left] == [still_open]
    for table in ("attempts", "requests", "submissions"):
        assert not await world.fetch(f"SELECT 1 FROM queue.{table} WHERE job_id = $1", done)
    assert await world.fetch("SELECT 1 FROM queue.ledger WHERE job_id = $1", done)


async def test_callbacks_without_a_job_and_old_uploads_are_forgotten(world: QueueWorld) -> None:
    await world.fetch(
        "INSERT INTO queue.callbacks VALUES ($1, $2, $2, $3, '', '', '', false, '')",
        new_id(),
        token_hash("x"),
        world.now,
    )
    await world.fetch("INSERT INTO queue.uploads VALUES ('primary', 'ab', 'f', '', $1)", world.now)
    pruner = Pruner(world.pool, lambda: world.now, keep_finished_s=60)
    kept = await pruner.prune()
    world.later(61)
    gone = await pruner.prune()
    assert (kept["callbacks"], kept["uploads"]) == (0, 0)
    assert (gone["callbacks"], gone["uploads"]) == (1, 1)
