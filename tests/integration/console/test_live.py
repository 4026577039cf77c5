from __future__ import annotations

import asyncio

from etapa.observability.v1 import trail_pb2
from tests.support import console_jobs as known
from tests.support.console_app import Browser, running_console, until, until_changed
from tests.support.console_jobs import fill, open_job, trail_of
from tests.support.console_world import World

EVENTS = f"/jobs/{known.RUNNING}/events"


async def advance(world: World, seq: int) -> None:
    """Let the running job's history reach a number."""
    trail = trail_pb2.GetTrailResponse()
    trail.CopyFrom(world.trails[known.RUNNING])
    trail.through_seq = seq
    await world.put(None, trail)


async def test_a_change_names_the_job_and_its_place(console: Browser) -> None:
    async with console.events(f"{EVENTS}?after=7") as events:
        await until(events, "state")
        await advance(console.world, 8)
        event = await until(events, "changed")
    assert event["data"] == {"jobs": {known.RUNNING: 8}}
    assert event["id"] == "8"


async def test_many_changes_at_once_are_told_once(console: Browser) -> None:
    async with console.events(f"{EVENTS}?after=0") as events:
        event = await until(events, "changed")
    assert event["data"]["jobs"] == {known.RUNNING: 7}
    assert event["id"] == "7"


async def test_a_stream_resumes_where_the_browser_left_it(console: Browser) -> None:
    async with console.events(f"{EVENTS}?after=3", last_id="7") as events:
        await until(events, "state")
        await advance(console.world, 9)
        event = await until_changed(events, "9")
        assert event["data"] == {"jobs": {known.RUNNING: 9}}
    assert console.world.watched[0] == 7


async def test_a_stream_resumes_at_another_console_process() -> None:
    world = World()
    await fill(world)
    async with running_console(world) as first, first.events(EVENTS) as events:
        last = (await until(events, "changed"))["id"]
    await advance(world, 12)
    async with running_console(world) as second, second.events(EVENTS, last) as events:
        assert (await until(events, "changed"))["data"]["jobs"] == {known.RUNNING: 12}


async def test_a_place_that_is_none_starts_from_the_beginning(console: Browser) -> None:
    for last_id in ("zzz", "-1", "9" * 30):
        async with console.events(EVENTS, last_id) as events:
            assert (await until(events, "changed"))["id"] == "7"


async def test_a_place_beyond_the_history_waits_for_no_number_in_vain(console: Browser) -> None:
    async with console.events(EVENTS, "999") as events:
        await until(events, "state")
        await advance(console.world, 8)
        assert (await until(events, "changed"))["id"] == "8"


async def test_the_page_learns_that_the_history_is_away_and_back(console: Browser) -> None:
    async with console.events(f"{EVENTS}?after=7") as events:
        assert (await until(events, "state"))["data"] == {"state": "live"}
        await console.world.set_away("observability")
        assert (await until(events, "state"))["data"] == {"state": "away"}
        await console.world.set_away()
        assert (await until(events, "state"))["data"] == {"state": "live"}
        await advance(console.world, 8)
        assert (await until(events, "changed"))["id"] == "8"


async def test_a_job_whose_history_has_not_begun_is_waited_for(console: Browser) -> None:
    job = open_job("019ab0c0-0000-7000-8000-0000000000ac", "queued", "queued")
    await console.world.put(job)
    async with console.events(f"/jobs/{job.job_id}/events") as events:
        await until(events, "state")
        await console.world.put(None, trail_of(job, known.IN_QUEUE))
        assert (await until(events, "changed"))["data"]["jobs"] == {job.job_id: 7}


async def test_the_feed_of_all_jobs_resumes_by_its_cursor(console: Browser) -> None:
    async with console.events("/events?user=demo") as events:
        event = await until(events, "changed")
    assert set(event["data"]["jobs"]) == set(console.world.jobs)
    async with console.events("/events?user=demo", event["id"]) as events:
        await advance(console.world, 8)
        assert (await until(events, "changed"))["data"]["jobs"] == {known.RUNNING: 8}
    assert console.world.cursors == ["", event["id"]]


async def test_a_cursor_that_is_too_old_starts_anew(console: Browser) -> None:
    async with console.events("/events", "old") as events:
        assert (await until(events, "changed"))["data"]["jobs"]
    assert console.world.cursors[:2] == ["old", ""]


async def test_stopping_the_console_ends_its_streams_at_once(console: Browser) -> None:
    async with console.events(EVENTS) as events:
        await until(events, "changed")
        async with asyncio.timeout(5):
            await console.server.stop(4)
            assert [event async for event in events] == []


async def test_a_closed_page_ends_its_watch(console: Browser) -> None:
    async with console.events(EVENTS) as events:
        await until(events, "changed")
    async with asyncio.timeout(20):
        while any(task.get_name() == "follow" for task in asyncio.all_tasks()):
            await advance(console.world, console.world.trails[known.RUNNING].through_seq + 1)
            await asyncio.sleep(0.05)


async def test_beyond_the_limit_a_page_is_told_to_poll() -> None:
    world = World()
    await fill(world)
    async with running_console(world, max_streams=1) as browser, browser.events(EVENTS) as events:
        await until(events, "changed")
        reply = await browser.get(EVENTS, Accept="text/event-stream")
        assert (reply.status, reply.json()["error"]["reason"]) == (503, "TOO_MANY_STREAMS")
