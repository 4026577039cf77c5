"""New jobs go to the queue many a call, and each caller is answered as if alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from etapa.queue.v1 import queue_pb2
from etapa_client import EtapaClient
from etapa_client.errors import (
    DeadlineExceededError,
    EtapaError,
    TooManyActiveJobsError,
    UnavailableError,
)
from services.runtime import tracing
from services.runtime.errors import EtapaError as OwnError
from services.runtime.errors import QuotaError
from services.tools import creates as module
from services.tools.creates import Creates
from services.tools.domain import QueueSlowError
from tests.support.cut_line import Line, line_to
from tests.support.servicer_recorder import QueueRecorder, recorder_server
from tests.support.waiting import eventually

Answer = queue_pb2.CreateJobResponse
Calls = list[asyncio.Task[Answer]]


class Busy(QuotaError):  # noqa: N818
    reason = "TOO_MANY_ACTIVE_JOBS"


@dataclass
class Desk:
    """Something that creates jobs at a queue that records; `open` lets its calls go on."""

    creates: Creates
    queue: QueueRecorder
    open: asyncio.Event
    line: Line

    def send(self, *request_ids: str, timeout_s: float = 20, **fields: str) -> Calls:
        """Begin to create jobs."""
        create = self.creates.create
        wishes = [wish(each, **fields) for each in request_ids]
        return [asyncio.create_task(create(each, timeout_s=timeout_s)) for each in wishes]

    async def called(self, count: int) -> None:
        """Wait until so many calls have arrived."""
        await eventually(lambda: _holds(len(self.queue.batches) >= count))


@asynccontextmanager
async def opened(*, patience_s: float = 20.0, is_open: bool = False) -> AsyncIterator[Desk]:
    queue, gate = QueueRecorder(), asyncio.Event()
    queue.gate = gate.wait
    if is_open:
        gate.set()
    server = recorder_server(queue)
    port = await server.start()
    async with (
        line_to(port) as line,
        EtapaClient(queue=f"127.0.0.1:{line.port}", attempts=1) as client,
    ):
        creates = Creates(client.queue, patience_s=patience_s)
        yield Desk(creates, queue, gate, line)
        gate.set()
        await creates.drain()
    await server.stop(0)


def wish(request_id: str, **fields: str) -> queue_pb2.CreateJobRequest:
    fields = {"user_id": "ana", "tool": "words", "variant": f"v{request_id}", **fields}
    return queue_pb2.CreateJobRequest(request_id=request_id, **fields)  # type: ignore[arg-type]  # texts only


async def repeated(desk: Desk, request_id: str) -> Answer:
    """Create a job as often as it takes: a channel may notice late that its line was cut."""
    while True:
        with suppress(UnavailableError):
            return await desk.creates.create(wish(request_id))
        await asyncio.sleep(0.05)


async def always_open() -> None: ...


async def _holds(truth: bool) -> bool:
    return truth


def names(desk: Desk) -> list[str]:
    return [request.request_id for request in desk.queue.created]


async def test_what_comes_while_a_call_is_under_way_forms_the_next_in_order() -> None:
    async with opened() as desk:
        first = desk.send("0")
        await desk.called(1)
        rest = desk.send(*(str(n) for n in range(1, 60)))
        await asyncio.sleep(0)
        desk.open.set()
        answers = await asyncio.gather(*first, *rest)
    assert desk.queue.batches == [1, 59]
    assert names(desk) == [str(n) for n in range(60)]
    assert [answer.job.variant for answer in answers] == [f"v{n}" for n in range(60)]


async def test_one_after_the_other_each_goes_at_once() -> None:
    async with opened(is_open=True) as desk:
        for number in range(3):
            await asyncio.gather(*desk.send(str(number)))
    assert desk.queue.batches == [1, 1, 1]


async def test_a_refused_one_leaves_its_neighbours_alone() -> None:
    def refuse(request: queue_pb2.CreateJobRequest) -> OwnError | None:
        return Busy("wait", {"active_job_ids": "j1,j2"}) if request.request_id == "2" else None

    async with opened() as desk:
        desk.queue.refuses = refuse
        first = desk.send("0")
        await desk.called(1)
        one, two, three = desk.send("1", "2", "3")
        await asyncio.sleep(0)
        desk.open.set()
        results = await asyncio.gather(*first, one, two, three, return_exceptions=True)
    assert [type(each) for each in results] == [Answer, Answer, TooManyActiveJobsError, Answer]
    refused = results[2]
    assert isinstance(refused, TooManyActiveJobsError)
    assert (refused.message, refused.active_job_ids) == ("wait", ("j1", "j2"))


async def test_a_deadline_that_passes_is_its_callers_own() -> None:
    async with opened() as desk:
        first = desk.send("0")
        await desk.called(1)
        (late,) = desk.send("1", timeout_s=0.2)
        (patient,) = desk.send("2")
        with pytest.raises(DeadlineExceededError):
            await late
        desk.open.set()
        await asyncio.gather(*first, patient)
    assert names(desk) == ["0", "2"]


async def test_a_deadline_in_mid_call_leaves_the_call_and_its_neighbour_alone() -> None:
    async with opened() as desk:
        (late,) = desk.send("1", timeout_s=0.5)
        (patient,) = desk.send("2")
        await desk.called(1)
        with pytest.raises(DeadlineExceededError):
            await late
        desk.open.set()
        assert (await patient).created
    assert desk.queue.batches == [2]
    assert names(desk) == ["1", "2"]


async def test_a_caller_who_leaves_takes_back_what_was_not_sent_and_nothing_else() -> None:
    async with opened() as desk:
        sent, stays = desk.send("0", "1")
        await desk.called(1)
        waits, last = desk.send("2", "3")
        await asyncio.sleep(0)
        sent.cancel()
        waits.cancel()
        await asyncio.wait([sent, waits])
        desk.open.set()
        await asyncio.gather(stays, last)
    assert names(desk) == ["0", "1", "3"]


async def test_a_call_that_hangs_does_not_hold_up_those_who_come_later() -> None:
    async with opened(patience_s=0.05) as desk:
        hung = desk.send("0")
        await desk.called(1)
        desk.queue.gate = always_open
        answers = await asyncio.gather(*desk.send("1", "2"))
        assert [answer.created for answer in answers] == [True, True]
        assert not hung[0].done()
        desk.open.set()
        assert (await hung[0]).created


async def test_a_queue_lost_in_mid_call_is_told_to_all_and_their_repeats_find_the_jobs() -> None:
    async with opened(is_open=True) as desk:
        desk.queue.hold = asyncio.Event().wait
        asked = desk.send(*"abc")
        await desk.queue.wait(desk.queue.created, 3)
        desk.line.cut()
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(each) for each in results] == [UnavailableError] * 3
        assert len({id(each) for each in results}) == 3
        desk.queue.hold = always_open
        answers = await asyncio.gather(*(repeated(desk, each) for each in "abc"))
    assert [answer.created for answer in answers] == [False] * 3


async def test_large_requests_share_a_call_within_what_a_message_holds() -> None:
    large = "x" * 1_000_000
    async with opened() as desk:
        first = desk.send("0")
        await desk.called(1)
        rest = desk.send(*"abcdefg", input_json=large)
        await asyncio.sleep(0)
        desk.open.set()
        await asyncio.gather(*first, *rest)
    assert desk.queue.batches == [1, 3, 3, 1]


async def test_what_is_too_large_for_any_message_fails_alone() -> None:
    async with opened() as desk:
        first = desk.send("0")
        await desk.called(1)
        (huge,) = desk.send("h", input_json="x" * 5_000_000)
        (small,) = desk.send("s")
        await asyncio.sleep(0)
        desk.open.set()
        with pytest.raises(EtapaError, match="larger than max"):
            await huge
        await asyncio.gather(*first, small)
    assert names(desk) == ["0", "s"]


async def test_answers_too_large_together_are_asked_for_in_parts() -> None:
    async with opened() as desk:
        desk.queue.padding = "x" * 500_000
        first = desk.send("0")
        await desk.called(1)
        rest = desk.send(*(f"{n}" for n in range(1, 17)))
        await asyncio.sleep(0)
        desk.open.set()
        answers = await asyncio.gather(*first, *rest)
    assert {len(answer.job.input_json) for answer in answers} == {500_000}
    assert desk.queue.batches[:3] == [1, 16, 8]


async def test_more_than_may_wait_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OPEN", 3)
    async with opened() as desk:
        waiting = desk.send(*"abc")
        await desk.called(1)
        with pytest.raises(QueueSlowError):
            await desk.creates.create(wish("d"))
        desk.open.set()
        await asyncio.gather(*waiting)
        assert (await desk.creates.create(wish("d"))).created


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    stop = tracing.record_to(SimpleSpanProcessor(exporter), Resource.create({}))
    yield exporter
    stop()


async def test_a_call_is_a_trace_of_its_own_with_a_link_to_each_callers_span(
    spans: InMemorySpanExporter,
) -> None:
    async def ask(desk: Desk, request_id: str) -> str:
        with tracing.start_span(request_id) as span:
            await desk.creates.create(wish(request_id, traceparent=span.traceparent))
        return span.trace_id

    async with opened(is_open=True) as desk:
        asked = await asyncio.gather(*(ask(desk, each) for each in "abc"))
    calls = [span for span in spans.get_finished_spans() if span.name == "create jobs"]
    assert all(span.parent is None for span in calls)
    linked = [f"{link.context.trace_id:032x}" for span in calls for link in span.links]
    assert sorted(linked) == sorted(asked)
    assert [each.traceparent[3:35] for each in desk.queue.created] == asked
