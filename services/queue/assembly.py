"""Puts the parts of a queue process together, runs its loops, and drains them at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from etapa_client import EtapaClient
from services.queue.alerts import alert
from services.queue.callbacks import Callbacks
from services.queue.claim import Claims
from services.queue.dispatcher import Dispatcher
from services.queue.event_stream import EventStream
from services.queue.finisher import Finisher
from services.queue.intake import Intake
from services.queue.launch import Launcher
from services.queue.lease import LeaseKeeper
from services.queue.ledger import Ledger
from services.queue.lookout import Lookout, Sleepers
from services.queue.operations import Operations
from services.queue.overview import Overview
from services.queue.placement import Placement
from services.queue.pruner import Pruner
from services.queue.reader import Reader
from services.queue.reconciler import Reconciler
from services.queue.recorder import Recorder
from services.queue.relay import Relay
from services.queue.run_time import RunTimes
from services.queue.settings import Settings
from services.queue.starter import Starter
from services.queue.sweeper import Sweeper
from services.queue.transitions import Transitions
from services.queue.waiters import Waiters
from services.queue.waits import record_waits
from services.runninghub.client import Limits, RunningHubClient
from services.runtime.blobs import BlobStore
from services.runtime.db import AWAY_ERRORS, Pool, migrate
from services.runtime.log import get_log

_log = get_log(__name__)
_MIGRATIONS = Path(__file__).parent / "migrations"
_FLUSH_S = 3.0
# A loop that nobody wakes, not even the lookout, looks for itself after this time.
_ALONE_S = 30.0
_CUT_SHORT: tuple[type[BaseException], ...] = (TimeoutError, *AWAY_ERRORS)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Workers:
    """The loops that talk to the provider."""

    dispatcher: Dispatcher
    reconciler: Reconciler
    finisher: Finisher

    def wake(self) -> None:
        """Let each look around now, or notice that it is to stop."""
        for worker in (self.dispatcher, self.reconciler, self.finisher):
            worker.wake()


@dataclass(slots=True)
class Assembly:
    """All parts of one queue process, wired."""

    settings: Settings
    pool: Pool
    transitions: Transitions
    intake: Intake
    callbacks: Callbacks
    reader: Reader
    waiters: Waiters
    overview: Overview
    operations: Operations
    ledger: Ledger
    workers: Workers
    leases: LeaseKeeper
    sweeper: Sweeper
    relay: Relay
    lookout: Lookout
    run_times: RunTimes
    pruner: Pruner

    async def prepare(self, stop: asyncio.Event) -> bool:
        """Migrate the schema and load the accounts, however long Postgres is away.

        Returns False if `stop` was set first.
        """
        while not stop.is_set():
            try:
                await migrate(self.settings.database_url, "queue", _MIGRATIONS)
                await self.operations.load_accounts(self.settings.accounts)
            except AWAY_ERRORS as error:
                _log.warning("database_awaited", error=type(error).__name__)
                await asyncio.sleep(0.2)
            else:
                return True
        return False

    async def run(self, stop: asyncio.Event) -> None:
        """Run all loops until `stop` is set and what is under way has ended."""
        workers = self.workers
        async with asyncio.TaskGroup() as group:
            forever = [
                group.create_task(loop)
                for loop in (
                    self.leases.run(),
                    self.sweeper.run(),
                    self.relay.run(),
                    self.lookout.run(),
                    self.run_times.run(),
                    self.pruner.run(),
                    self.waiters.run(),
                )
            ]
            working = [
                group.create_task(workers.dispatcher.run(stop)),
                group.create_task(workers.reconciler.run(stop)),
                group.create_task(workers.finisher.run(stop)),
            ]
            await stop.wait()
            self.waiters.close()
            workers.wake()
            await self._within(self.settings.drain_s, asyncio.wait(working))
            for task in working:
                task.cancel()
            await self.intake.drain()
            await self.transitions.drain()
            # What is still in the outbox is told by whoever runs next.
            await self._within(_FLUSH_S, self.run_times.flush())
            for task in forever:
                task.cancel()

    async def _within(self, seconds: float, work: Coroutine[Any, Any, Any]) -> None:
        try:
            async with asyncio.timeout(seconds):
                await work
        except _CUT_SHORT as error:
            _log.warning("drain_cut_short", error=type(error).__name__)


def call_limits(settings: Settings) -> Limits:
    """Return how long and how many calls to the provider may be; never below two seconds."""
    policy = settings.policy
    return Limits(
        start_reply_timeout_s=max(policy.scaled(policy.start_call_s), 2.0),
        reply_timeout_s=max(policy.scaled(policy.query_call_s), 2.0),
        max_starts=settings.max_starts,
        max_calls=settings.max_queries,
    )


def assemble(
    settings: Settings, pool: Pool, provider: RunningHubClient, client: EtapaClient
) -> Assembly:
    """Wire the parts; starts nothing."""
    transitions = Transitions(pool, settings.policy, _now)
    transitions.listen(record_waits)
    transitions.listen(alert)
    callbacks, reader, leases = Callbacks(transitions), Reader(pool), LeaseKeeper(transitions)
    workers = _make_workers(settings, transitions, provider, leases)
    sweeper = Sweeper(transitions, callbacks, every_s=_ALONE_S)
    relay = Relay(transitions, EventStream(client.intake), poll_s=_ALONE_S)
    return Assembly(
        settings=settings,
        pool=pool,
        transitions=transitions,
        intake=Intake(
            transitions,
            settings.user_active_limit,
            settings.global_limit,
            workers.dispatcher.entrances,
        ),
        callbacks=callbacks,
        reader=reader,
        waiters=Waiters(transitions, reader),
        overview=Overview(pool, _now, settings.global_limit),
        operations=Operations(pool, _now, workers.dispatcher.wake),
        ledger=Ledger(pool, _now),
        workers=workers,
        leases=leases,
        sweeper=sweeper,
        relay=relay,
        lookout=_make_lookout(settings, transitions, workers, sweeper, relay),
        run_times=RunTimes(transitions),
        pruner=Pruner(pool, _now, keep_finished_s=settings.keep_finished_s),
    )


def _make_workers(
    settings: Settings,
    transitions: Transitions,
    provider: RunningHubClient,
    leases: LeaseKeeper,
) -> Workers:
    blobs = BlobStore(settings.blobs)
    recorder = Recorder(blobs)
    media_key, public_url = settings.media_key, settings.public_url
    placement = Placement(
        transitions.pool,
        provider,
        blobs,
        recorder,
        _now,
        public_url=public_url,
        media_key=media_key,
        time_scale=settings.policy.time_scale,
    )
    launcher = Launcher(recorder, public_url=public_url)
    starter = Starter(transitions, provider, placement, recorder, leases, launcher)
    return Workers(
        Dispatcher(
            Claims(transitions, launcher, settings.global_limit),
            starter,
            max_starts=settings.max_starts,
            poll_s=_ALONE_S,
        ),
        Reconciler(
            transitions,
            provider,
            recorder,
            placement,
            max_queries=settings.max_queries,
            poll_s=_ALONE_S,
        ),
        Finisher(
            transitions,
            provider,
            blobs,
            recorder,
            leases,
            media_url=settings.media_url,
            media_key=media_key,
            max_jobs=settings.max_savings,
            poll_s=_ALONE_S,
        ),
    )


def _make_lookout(
    settings: Settings, transitions: Transitions, workers: Workers, sweeper: Sweeper, relay: Relay
) -> Lookout:
    sleepers = Sleepers(
        dispatcher=workers.dispatcher.wake,
        reconciler=workers.reconciler.wake,
        finisher=workers.finisher.wake,
        sweeper=sweeper.wake,
        relay=relay.wake,
    )
    # Once a second, however patient the rest: a lost hint costs no more.
    every_s = min(max(settings.policy.scaled(1.0), 0.1), 1.0)
    return Lookout(transitions, sleepers, every_s=every_s)
