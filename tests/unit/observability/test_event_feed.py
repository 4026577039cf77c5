"""What a process committed itself reaches its watchers without a query; the pool stays closed."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg

from etapa.observability.v1 import event_pb2, intake_pb2
from services.observability.chapter import stored
from services.observability.domain import Event
from services.observability.event_feed import EventFeed, Subscription
from services.observability.fold import Folded, Projection, fold
from services.observability.wire_intake import batch_from
from tests.support.history import History, running

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def unread_feed() -> EventFeed:
    return EventFeed(asyncpg.create_pool(min_size=0), poll_s=60, max_watchers=10)


def read(job: History) -> list[Event]:
    copies = [event_pb2.Event.FromString(each.SerializeToString()) for each in job.events]
    return batch_from(intake_pb2.RecordEventsRequest(events=copies), NOW).events


def commit(job: Projection, fresh: list[Event], *stored: Event) -> Folded:
    """Fold new events, and those that are stored behind them."""
    folded = Folded([job], fresh)
    fold(job, [*fresh, *stored], folded)
    return folded


async def seqs_of(live: Subscription) -> list[int]:
    """Return the numbers that wait for a watcher, none where there are none."""
    events = await live.next(0)
    assert events is not None
    return [event.seq for event in events]


async def test_a_commit_reaches_all_watchers_of_the_job_as_the_same_events() -> None:
    feed, events = unread_feed(), read(running())
    job = Projection(events[0].job_id)
    with feed.subscribe(job.job_id, 0) as one, feed.subscribe(job.job_id, 0) as other:
        feed.offer(commit(job, events[:3]))
        feed.offer(commit(job, events[3:5]))
        first, second = await one.next(0), await other.next(0)
    assert first is not None
    assert second is not None
    assert [event.seq for event in first] == [1, 2, 3, 4, 5]
    assert all(mine is theirs for mine, theirs in zip(first, second, strict=True))
    assert [event.message for event in first] == [stored(event).message for event in events[:5]]


async def test_what_lies_behind_a_gap_is_not_told() -> None:
    feed, events = unread_feed(), read(running())
    job = Projection(events[0].job_id)
    with feed.subscribe(job.job_id, 0) as live:
        feed.offer(commit(job, [*events[:2], *events[3:5]]))
        assert await seqs_of(live) == [1, 2]
        feed.offer(commit(job, [events[2]], *events[3:5]))
        assert job.through_seq == 5
        # Only what filled it was at hand; the rest is read.
        assert await seqs_of(live) == [3]


async def test_events_that_do_not_go_on_from_what_was_told_are_left_to_the_reading() -> None:
    """Another replica wrote what lies between, or what was told is still being read."""
    feed, events = unread_feed(), read(running())
    job = Projection(events[0].job_id, through_seq=4, max_seq=4)
    with feed.subscribe(job.job_id, 2) as live:
        feed.offer(commit(job, events[4:6]))
        assert await seqs_of(live) == []


async def test_a_commit_of_other_jobs_is_nobodys_business() -> None:
    feed, events, others = unread_feed(), read(running()), read(running())
    with feed.subscribe(events[0].job_id, 0) as live:
        feed.offer(commit(Projection(others[0].job_id), others))
        assert await seqs_of(live) == []
