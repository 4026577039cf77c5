"""Streams of the SDK: what is resumed, what is not, and how much is in flight."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc
import pytest

from etapa.observability.v1 import intake_pb2
from etapa_client import EtapaClient, Upload, Url, errors
from etapa_client.upload import CHUNK_BYTES
from services.runtime import errors as kinds
from tests.support.servicers import SmallIntake, SmallTools, SmallTrail, serving


def away_at(seqs: set[int]) -> Any:
    """Return an action that breaks the stream once before each of these events."""

    async def act(seq: int, context: Any) -> None:
        if seq in seqs:
            seqs.remove(seq)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    return act


async def test_watch_resumes_without_loss_or_repeat() -> None:
    trail = SmallTrail(last=9)
    trail.at_event = away_at({3, 4, 9})
    async with (
        serving(trail) as server,
        EtapaClient(observability=f"127.0.0.1:{server.port}") as etapa,
    ):
        seqs = [event.seq async for event in etapa.trail.watch("j")]
    assert seqs == list(range(1, 10))
    assert trail.asked == [0, 2, 3, 8]


async def test_watch_starts_after_the_number_given() -> None:
    async with (
        serving(SmallTrail(last=5)) as server,
        EtapaClient(observability=f"127.0.0.1:{server.port}") as etapa,
    ):
        assert [event.seq async for event in etapa.trail.watch("j", 3)] == [4, 5]


async def test_watch_drops_what_a_server_repeats() -> None:
    trail = SmallTrail(last=5)
    trail.at_event = away_at({4})
    trail.first_seq_of = lambda _after: 1
    async with (
        serving(trail) as server,
        EtapaClient(observability=f"127.0.0.1:{server.port}") as etapa,
    ):
        assert [event.seq async for event in etapa.trail.watch("j")] == [1, 2, 3, 4, 5]


async def test_watch_never_yields_over_a_gap() -> None:
    trail = SmallTrail(last=5)
    trail.first_seq_of = lambda after: after + 2 if len(trail.asked) == 1 else after + 1
    async with (
        serving(trail) as server,
        EtapaClient(observability=f"127.0.0.1:{server.port}") as etapa,
    ):
        assert [event.seq async for event in etapa.trail.watch("j")] == [1, 2, 3, 4, 5]
    assert trail.asked == [0, 0]


async def test_watch_survives_a_server_that_restarts_at_its_port() -> None:
    first = SmallTrail(last=2)
    first.hold_open = True
    async with (
        serving(first) as server,
        EtapaClient(observability=f"127.0.0.1:{server.port}") as etapa,
        aclosing(etapa.trail.watch("j")) as events,
    ):
        seqs = [(await anext(events)).seq, (await anext(events)).seq]
        await server.stop(0)
        async with serving(SmallTrail(last=4), listen=f"127.0.0.1:{server.port}"):
            seqs += [event.seq async for event in events]
    assert seqs == [1, 2, 3, 4]


async def test_watch_says_when_events_are_no_longer_kept() -> None:
    trail = SmallTrail(last=2)

    async def expired(_seq: int, _context: Any) -> None:
        raise type("SeqExpiredError", (kinds.ExpiredError,), {"reason": "SEQ_EXPIRED"})("Gone.")

    trail.at_event = expired
    async with (
        serving(trail) as server,
        EtapaClient(observability=f"127.0.0.1:{server.port}") as etapa,
    ):
        with pytest.raises(errors.SeqExpiredError):
            await anext(aiter(etapa.trail.watch("j")))
    assert trail.asked == [0]


async def test_watch_gives_up_when_its_patience_ends() -> None:
    async with EtapaClient(observability="127.0.0.1:1") as etapa:
        with pytest.raises(errors.UnavailableError, match=r"127\.0\.0\.1:1"):
            await asyncio.wait_for(anext(aiter(etapa.trail.watch("j", patience_s=0.3))), 5)


async def test_leaving_a_watch_closes_it_at_the_server() -> None:
    trail = SmallTrail(last=1)
    trail.hold_open = True
    async with (
        serving(trail) as server,
        EtapaClient(observability=f"127.0.0.1:{server.port}") as etapa,
    ):
        async with aclosing(etapa.trail.watch("j")) as events:
            await anext(events)
        await asyncio.wait_for(trail.closed.wait(), 5)
    assert trail.open_streams == 0


async def test_watch_jobs_resumes_at_its_cursor() -> None:
    trail = SmallTrail()
    async with (
        serving(trail) as server,
        EtapaClient(observability=f"127.0.0.1:{server.port}") as etapa,
    ):
        stream = etapa.trail.watch_jobs()
        cursors = [(await anext(aiter(stream))).cursor for _ in range(5)]
    assert cursors == ["1", "2", "3", "4", "5"]
    assert trail.cursors == ["", "2", "4"]


async def batches(count: int) -> AsyncIterator[intake_pb2.RecordEventsRequest]:
    """Number some batches."""
    for number in range(1, count + 1):
        yield intake_pb2.RecordEventsRequest(batch=number)


async def test_batches_in_flight_are_bounded() -> None:
    intake = SmallIntake()
    async with (
        serving(intake) as server,
        EtapaClient(observability=f"127.0.0.1:{server.port}") as etapa,
    ):

        async def send() -> list[int]:
            sent = etapa.intake.record_events(batches(20), in_flight=3)
            return [answer.batch async for answer in sent]

        task = asyncio.create_task(send())
        for _ in range(3):
            await asyncio.wait_for(intake.arrived.acquire(), 5)
        intake.gate.set()
        assert await asyncio.wait_for(task, 5) == list(range(1, 21))
    assert intake.most_open <= 3


async def test_an_error_of_the_sender_is_raised_to_it() -> None:
    async def broken() -> AsyncIterator[intake_pb2.RecordEventsRequest]:
        yield intake_pb2.RecordEventsRequest(batch=1)
        raise KeyError("mine")

    intake = SmallIntake()
    intake.gate.set()
    async with (
        serving(intake) as server,
        EtapaClient(observability=f"127.0.0.1:{server.port}") as etapa,
    ):
        answers = etapa.intake.record_events(broken())
        assert (await anext(answers)).batch == 1
        with pytest.raises(KeyError, match="mine"):
            await anext(answers)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
async def test_media_arrives_whole_in_bounded_chunks(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    path = tmp_path / "Foto é.png"
    path.write_bytes(content)
    tools = SmallTools()
    async with (
        serving(tools) as server,
        EtapaClient(tools=f"127.0.0.1:{server.port}", caller="shop") as etapa,
    ):
        job = await etapa.tools.run(
            "veste_ai",
            {"detail": 0.5},
            {"person": path, "clothing": Upload(content, "c.png"), "third": Url("https://x/y")},
            "u",
        )
    header = tools.headers[0]
    sources = {source.name: source for source in header.run.media}
    assert job.job_id == "run"
    assert tools.media == {"person": content, "clothing": content}
    assert tools.complete == {"person", "clothing"}
    assert tools.largest <= CHUNK_BYTES
    assert (header.tool, header.input_json, header.run.caller) == (
        "veste_ai",
        '{"detail": 0.5}',
        "shop",
    )
    assert sources["person"].upload_file_name == "Foto é.png"
    assert sources["third"].url == "https://x/y"


async def test_a_run_is_repeated_under_the_same_request_id_with_all_its_media() -> None:
    tools = SmallTools()

    async def fail_once(_header: Any, context: Any) -> None:
        if len(tools.headers) == 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    tools.before_read = fail_once
    async with serving(tools) as server, EtapaClient(tools=f"127.0.0.1:{server.port}") as etapa:
        await etapa.tools.run("upscaler", "{}", {"image": b"x" * 1_000_000}, "u")
    first, second = (header.run.request_id for header in tools.headers)
    assert first == second != ""
    assert len(tools.media["image"]) == 1_000_000


async def test_a_refused_header_ends_a_long_upload_early() -> None:
    tools = SmallTools()

    async def refuse(_header: Any, _context: Any) -> None:
        raise type("ToolNotFoundError", (kinds.NotFoundError,), {"reason": "TOOL_NOT_FOUND"})(
            "No such tool.", facts={"tool": "x"}
        )

    tools.before_read = refuse
    async with serving(tools) as server, EtapaClient(tools=f"127.0.0.1:{server.port}") as etapa:
        with pytest.raises(errors.ToolNotFoundError) as caught:
            await etapa.tools.run("x", {}, {"image": b"x" * 20_000_000}, "u")
    assert caught.value.tool == "x"
    assert tools.media == {}


async def test_a_file_that_is_not_there_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    async with EtapaClient(tools="127.0.0.1:1") as etapa:
        with pytest.raises(errors.InvalidInputError, match=r"no file .*nope\.png") as caught:
            await etapa.tools.run("upscaler", {}, {"image": str(tmp_path / "nope.png")}, "u")
    assert caught.value.field == "image"


async def test_a_run_without_media_arrives_as_a_stream_of_its_header_and_is_repeated() -> None:
    tools, tries = SmallTools(), 0

    async def fail_once(_header: Any, context: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    tools.before_read = fail_once
    async with (
        serving(tools) as server,
        EtapaClient(tools=f"127.0.0.1:{server.port}") as etapa,
    ):
        job = await etapa.tools.run("bench_text", {"ref": "a"}, {}, "u", "r")
    assert job.job_id == "run"
    assert [header.run.request_id for header in tools.headers] == ["r", "r"]
    assert tools.headers[0].input_json == '{"ref": "a"}'
    assert tools.media == {}
