"""However many browsers watch the same, the history is asked once, and each is told all of it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from etapa.observability.v1 import trail_pb2
from tests.support import console_jobs as known
from tests.support.console_app import Browser, running_console, until, until_changed
from tests.support.console_jobs import fill
from tests.support.console_world import World
from tests.support.waiting import eventually

EVENTS = f"/jobs/{known.RUNNING}/events"
FEED = "/events?user=demo"


async def advance(world: World, seq: int) -> None:
    """Let the running job's history reach a number."""
    trail = trail_pb2.GetTrailResponse()
    trail.CopyFrom(world.trails[known.RUNNING])
    trail.through_seq = seq
    await world.put(None, trail)


async def nothing_is_followed() -> bool:
    return not any(task.get_name() == "follow" for task in asyncio.all_tasks())


async def test_all_browsers_of_a_job_share_one_watch(console: Browser) -> None:
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(console.events(EVENTS)) for _ in range(5)]
        for events in streams:
            assert (await until(events, "changed"))["id"] == "7"
        await advance(console.world, 8)
        for events in streams:
            assert (await until(events, "changed"))["data"] == {"jobs": {known.RUNNING: 8}}
    assert console.world.watched == [7]


async def test_the_watch_goes_on_until_the_last_browser_has_left(console: Browser) -> None:
    async with console.events(EVENTS) as staying:
        async with console.events(EVENTS) as leaving:
            await until(leaving, "changed")
        await until(staying, "changed")
        await advance(console.world, 8)
        assert (await until(staying, "changed"))["id"] == "8"
    await eventually(nothing_is_followed)
    async with console.events(EVENTS) as events:
        assert (await until(events, "changed"))["id"] == "8"
        await advance(console.world, 9)
        assert (await until(events, "changed"))["id"] == "9"
    # The second may have found the ninth in the history when it began.
    assert len(console.world.watched) == 2


async def test_a_browser_from_an_older_place_is_told_at_once_what_the_others_know(
    console: Browser,
) -> None:
    async with console.events(f"{EVENTS}?after=7") as first:
        await until(first, "state")
        await advance(console.world, 9)
        await until_changed(first, "9")
        async with console.events(EVENTS, "7") as older, console.events(EVENTS, "9") as equal:
            assert (await until(older, "changed"))["data"] == {"jobs": {known.RUNNING: 9}}
            await until(equal, "state")
            await advance(console.world, 10)
            assert (await until(equal, "changed"))["id"] == "10"
    assert console.world.watched == [7]


async def test_each_query_of_the_feed_is_followed_once(console: Browser) -> None:
    async with AsyncExitStack() as stack:
        for path in (FEED, FEED, "/events?user=demo&tool=upscaler", FEED):
            events = await stack.enter_async_context(console.events(path))
            assert (await until(events, "changed"))["data"]["jobs"]
    assert console.world.cursors == ["", ""]


async def test_a_browser_resumes_in_a_feed_that_others_already_follow(console: Browser) -> None:
    async with console.events(FEED) as staying:
        place = (await until(staying, "changed"))["id"]
        await advance(console.world, 8)
        later = (await until(staying, "changed"))["id"]
        async with console.events(FEED, place) as back, console.events(FEED, later) as near:
            event = await until(back, "changed")
            assert (event["data"]["jobs"], event["id"]) == ({known.RUNNING: 8}, later)
            await until(near, "state")
            await advance(console.world, 9)
            assert (await until(near, "changed"))["data"]["jobs"] == {known.RUNNING: 9}
    assert console.world.cursors == [""]


async def test_a_browser_from_a_place_that_is_not_known_here_reads_all_anew(
    console: Browser,
) -> None:
    async with console.events(FEED) as staying:
        here = (await until(staying, "changed"))["id"]
        async with console.events(FEED, "of-another-process") as strange:
            assert (await until(strange, "refresh"))["id"] == here
            assert set((await until(strange, "changed"))["data"]["jobs"]) == set(console.world.jobs)


async def test_when_the_feed_has_forgotten_its_place_all_browsers_read_anew(
    console: Browser,
) -> None:
    async with console.events(FEED, "old") as one, console.events(FEED, "old") as other:
        for events in (one, other):
            await until(events, "refresh")
            assert set((await until(events, "changed"))["data"]["jobs"]) == set(console.world.jobs)


async def test_a_new_browser_beside_one_that_resumed_learns_where_all_jobs_are(
    console: Browser,
) -> None:
    place = str(len(console.world.changes))
    async with console.events(FEED, place) as resumed:
        await until(resumed, "state")
        async with console.events(FEED) as new:
            jobs = (await until(new, "changed"))["data"]["jobs"]
            assert set(jobs) == set(console.world.trails)
        await advance(console.world, 8)
        assert (await until(resumed, "changed"))["data"]["jobs"] == {known.RUNNING: 8}


async def test_a_browser_that_leaves_makes_room_for_the_next() -> None:
    world = World()
    await fill(world)
    async with running_console(world, max_streams=1) as browser:
        async with browser.events(EVENTS) as events:
            await until(events, "changed")

        async def has_room() -> bool:
            return (await browser.session.get(browser.base + EVENTS)).status == 200

        await eventually(has_room)


async def test_a_browser_behind_an_old_proxy_gets_plain_events(console: Browser) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", console.server.port)
    writer.write(f"GET {EVENTS} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        events = await reader.readuntil(b'"jobs": ')
    writer.close()
    assert b"chunked" not in head
    assert events.startswith(b"event: hello\nretry: 1000\ndata: {}\n\n")


async def test_only_a_get_opens_a_stream(console: Browser) -> None:
    async with console.session.head(console.base + EVENTS) as reply:
        assert reply.status == 405
