"""Asks the provider about open attempts: when due, when a callback hints, when time is up.

Its answers decide; a callback only makes the question due. Without any callback this is how
results arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from opentelemetry.trace import SpanKind

from services.queue import command as c
from services.queue import store
from services.queue.command import Payload
from services.queue.crew import Crew
from services.queue.domain import Change
from services.queue.placement import Placement
from services.queue.recorder import Recorder, answer_sha256
from services.queue.store import Work
from services.queue.transitions import Transitions, persist
from services.runninghub.exchange import Call
from services.runninghub.provider import Provider
from services.runninghub.report import TaskReport, TaskState
from services.runninghub.request import Account
from services.runninghub.verdicts import Stage, classify, evidence_of
from services.runtime.errors import EtapaError
from services.runtime.log import get_log
from services.runtime.tracing import LightSpan, start_span, trace_id_of

_log = get_log(__name__)
# Answers that say something about the task. The others say only that asking failed.
_USABLE = (
    TaskState.WAITING,
    TaskState.RUNNING,
    TaskState.SUCCEEDED,
    TaskState.FAILED,
    TaskState.CANCELLED,
    TaskState.NOT_FOUND,
)


class Reconciler:
    """Keeps up to `max_queries` questions to the provider in flight, one an attempt."""

    def __init__(
        self,
        transitions: Transitions,
        provider: Provider,
        recorder: Recorder,
        placement: Placement,
        *,
        max_queries: int = 64,
        poll_s: float = 1.0,
    ) -> None:
        self._transitions = transitions
        self._provider = provider
        self._recorder = recorder
        self._placement = placement
        self._crew: Crew[Work] = Crew(
            self._take_due, self._ask, name="query", most=max_queries, poll_s=poll_s
        )
        transitions.hand_polls_to(self._crew)
        transitions.listen(self._on_changes)

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until `stop` is set; then wait for the questions under way."""
        await self._crew.run(stop)

    def wake(self) -> None:
        """Look for due questions now."""
        self._crew.wake()

    async def _take_due(self, room: int) -> list[Work]:
        now = self._transitions.clock()
        until = now + timedelta(seconds=self._transitions.policy.question_s)
        async with self._transitions.pool.acquire() as conn:
            due = await store.take_due_polls(conn, now, until, room)
            return await store.read_work(conn, due) if due else []

    async def _ask(self, work: Work) -> None:
        try:
            if work.stop_for == "cancel" and work.stop_asked_at is None:
                await self._ask_to_stop(work)
            change = await self._query(work)
            if _wants_stop_after_asking(change):
                await self._ask_to_stop(work)
        except EtapaError as error:
            _log.info(
                "answer_let_go", job_id=str(work.job_id), attempt=work.attempt, why=str(error)
            )
        except Exception:
            # The question falls due again when `polling_until` has passed.
            _log.exception("query_broke", job_id=str(work.job_id), attempt=work.attempt)

    async def _query(self, work: Work) -> Change:
        with _query_span(work):
            call = await self._provider.query(_account(work), work.task_id)
        payloads = await self._record(work, call)
        reply = call.reply
        is_blank_stop = (
            reply is not None and reply.state is TaskState.BLANK and work.stop_asked_at is not None
        )
        if reply is None or not (reply.state in _USABLE or is_blank_stop):
            verdict = classify(evidence_of(Stage.RUN, reply, call.transport))
            words = call.exchange.error or verdict.words
            return await self._miss(work, words, payloads)
        verdict = classify(evidence_of(Stage.RUN, reply))
        if verdict.error_class == "input_missing":
            await self._placement.forget(work)
        return await persist(
            self._transitions,
            c.Answer(
                job_id=work.job_id,
                attempt=work.attempt,
                report=reply,
                verdict=verdict,
                payloads=payloads,
                answer_sha256=answer_sha256(call.exchange),
                by_callback=work.callbacks > 0,
            ),
        )

    async def _ask_to_stop(self, work: Work) -> None:
        call = await self._provider.cancel(_account(work), work.task_id)
        payloads = await self._recorder.exchange(
            call.exchange, work.attempt, [work.api_key], trace_id_of(work.traceparent)
        )
        if call.reply is None or not call.reply.is_json:
            # Not asked; the next poll asks again.
            await persist(self._transitions, c.Record(work.job_id, work.attempt, payloads))
            return
        await persist(self._transitions, c.NoteStop(work.job_id, work.attempt, payloads))

    async def _miss(self, work: Work, words: str, payloads: Sequence[Payload]) -> Change:
        command = c.MissAnswer(work.job_id, work.attempt, words, payloads)
        return await persist(self._transitions, command)

    async def _record(self, work: Work, call: Call[TaskReport]) -> list[Payload]:
        return await self._recorder.exchange(
            call.exchange, work.attempt, [work.api_key], trace_id_of(work.traceparent)
        )

    def _on_changes(self, changes: Sequence[Change]) -> None:
        now = self._transitions.clock()
        for change in changes:
            attempt = change.after.current
            if change.takes_poll or attempt is None or attempt.next_poll_at is None:
                continue
            if attempt.next_poll_at <= now:
                self._crew.wake()
                return


def _wants_stop_after_asking(change: Change) -> bool:
    """Whether a time limit has passed and the provider, asked, says that it still runs."""
    attempt = change.after.current
    return (
        attempt is not None
        and attempt.stop_for == "timeout"
        and attempt.stop_asked_at is None
        and attempt.poll_failures == 0
        and not change.after.status.is_final
    )


def _query_span(work: Work) -> LightSpan:
    """Continue the start call's trace; a callback that hinted is linked by its own HTTP span."""
    parent = work.start_traceparent or work.traceparent
    if not work.callbacks:
        return start_span("runninghub query", parent=parent, kind=SpanKind.CLIENT)
    links = [work.callback_traceparent]
    return start_span("runninghub callback", parent=parent, links=links, kind=SpanKind.CONSUMER)


def _account(work: Work) -> Account:
    return Account(work.account, work.base_url, work.api_key)
