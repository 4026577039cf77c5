"""Channels over real sockets whose other ends read when the test says so, in both event loops."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest
import uvloop

from services.console.browser import SEND_BUFFER_BYTES, Browser
from services.console.changes import MAX_JOBS, Flush
from services.console.channel import Channel

Check = Callable[[], Coroutine[None, None, None]]


class Subject(Channel):
    """Follows nothing: tests say what happens."""

    seq = 0

    async def follow(self) -> None:
        await asyncio.Event().wait()

    def since(self, place: str) -> Flush:
        return Flush({"job": self.seq}, str(self.seq)) if int(place) < self.seq else Flush()

    def reach(self, seq: int) -> None:
        """Let the job reach a number."""
        self.seq = seq
        self.note({"job": seq}, str(seq))


class Peer:
    """The browser's end of a connection, read by hand."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._text = ""

    def read_now(self) -> list[dict[str, str]]:
        """Return the events that are here already."""
        try:
            while data := self._end.recv(1 << 20):
                self._text += data.decode()
        except BlockingIOError:
            pass
        *blocks, self._text = self._text.split("\n\n")
        return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]

    async def read_until(self, event_id: str) -> list[dict[str, str]]:
        """Return the events up to one of an id."""
        events = self.read_now()
        async with asyncio.timeout(20):
            while not any(event.get("id") == event_id for event in events):
                await asyncio.sleep(0.01)
                events += self.read_now()
        return events

    async def read_to_the_end(self) -> None:
        """Read until the connection is ended."""
        async with asyncio.timeout(20):
            try:
                while await asyncio.get_running_loop().sock_recv(self._end, 1 << 20):
                    pass
            except ConnectionResetError:
                return


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Browser, asyncio.Transport, Peer]]:
    """Yield a browser's stream, its transport, and the end that the browser holds."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        end.connect(server.getsockname())
        end.setblocking(False)
        accepted, _ = server.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, accepted)
        browser = Browser(transport, is_chunked=False)
        try:
            yield browser, transport, Peer(end)
        finally:
            browser.end()
            transport.abort()
            await asyncio.sleep(0)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Check], None]:
    """Run a check in each of the loops."""

    def run_check(check: Check) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(check())

    return run_check


def test_the_first_change_is_told_at_once_and_a_burst_only_by_its_last(
    run: Callable[[Check], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than this process may be kept waiting by others in the middle of the turn.
    monkeypatch.setattr("services.console.channel.PAUSE_S", 1.0)

    async def check() -> None:
        async with connected() as (browser, _, peer):
            subject = Subject()
            subject.settle()
            subject.join(browser, "0")
            peer.read_now()
            for seq in range(1, 50):
                subject.reach(seq)
            # All of this was one turn of the loop: nothing but the first has been written.
            assert [event["id"] for event in peer.read_now()] == ["1"]
            events = await peer.read_until("49")
            assert [json.loads(event["data"]) for event in events] == [{"jobs": {"job": 49}}]

    run(check)


def test_a_browser_that_does_not_read_costs_little_and_is_told_the_newest_in_the_end(
    run: Callable[[Check], None],
) -> None:
    async def check() -> None:
        async with connected() as (slow, transport, peer), connected() as (quick, _, reading):
            subject = Subject()
            subject.settle()
            for browser in (slow, quick):
                subject.join(browser, "0")
            large = {f"job-{number}": 1 for number in range(MAX_JOBS - 1)}
            for seq in range(1, 41):
                subject.note(large | {"job": seq}, str(seq))
                assert (await reading.read_until(str(seq)))[-1]["id"] == str(seq)
                # Never more than the message that filled the connection.
                assert transport.get_write_buffer_size() < 20_000
            events = await peer.read_until("40")
            told = [event for event in events if event["event"] == "changed"]
            assert len(told) < 40
            places = [int(event["id"]) for event in told]
            assert places == sorted(set(places))
            assert json.loads(told[-1]["data"])["jobs"] == large | {"job": 40}
            # From then on it is like any other.
            subject.reach(41)
            assert (await peer.read_until("41"))[-1]["id"] == "41"

    run(check)


def test_a_browser_that_takes_nothing_for_long_is_let_go(
    run: Callable[[Check], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.console.browser.STALL_S", 0.05)

    async def check() -> None:
        async with connected() as (browser, _, peer):
            subject = Subject()
            subject.settle()
            subject.join(browser, "0")
            seq = 0
            while not browser.gone.is_set():
                seq += 1
                subject.note({f"job-{number}": seq for number in range(MAX_JOBS)}, str(seq))
                await asyncio.sleep(0.01)
            await peer.read_to_the_end()

    run(check)


def test_a_state_is_told_to_who_is_behind_once_there_is_room(
    run: Callable[[Check], None],
) -> None:
    async def check() -> None:
        async with connected() as (browser, transport, peer):
            subject = Subject()
            subject.settle()
            subject.join(browser, "0")
            jobs = {f"job-{number}": 1 for number in range(MAX_JOBS - 1)}
            seq = 0
            while not transport.get_write_buffer_size():
                seq += 1
                subject.note(jobs, str(seq))
                await asyncio.sleep(0.01)
            subject.say("away")
            subject.reach(seq + 1)
            events = await peer.read_until(str(seq + 1))
            data = [json.loads(event["data"]) for event in events if event["event"] != "hello"]
            assert {"state": "away"} in data
            assert data[-1]["jobs"]["job"] == seq + 1

    run(check)
