"""Starts one claimed attempt: places its media, commits "submitting", calls, and books the reply.

The rule behind it: what may have been received is never sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from services.queue import command as c
from services.queue.claim import Claimed
from services.queue.command import Command, Payload
from services.queue.domain import Details, StaleAttemptError
from services.queue.launch import Launch, Launcher, start_span_of
from services.queue.lease import LeaseKeeper
from services.queue.placement import Placed, Placement, UploadRefusedError
from services.queue.recorder import Recorder
from services.queue.store import Work
from services.queue.transitions import Transitions, persist
from services.runninghub.exchange import Call, Exchange, Transport
from services.runninghub.provider import Provider
from services.runninghub.report import StartOutcome, StartReply, TaskState
from services.runninghub.request import Account
from services.runninghub.verdicts import Stage, Verdict, classify, evidence_of, failure_class
from services.runtime.error_table import is_database_gone
from services.runtime.errors import EtapaError, UnavailableError
from services.runtime.failpoints import failpoint
from services.runtime.ids import new_id
from services.runtime.log import get_log
from services.runtime.tracing import trace_id_of

_log = get_log(__name__)
# States of a task that exists, whatever the refusal beside its id said.
_EXISTS = (
    TaskState.WAITING,
    TaskState.RUNNING,
    TaskState.SUCCEEDED,
    TaskState.FAILED,
    TaskState.CANCELLED,
)
_DOUBT_QUERIES = 3
_NOT_KEPT: tuple[str, str, Details] = (
    "REPLY_NOT_KEPT",
    "the provider's reply to the start call was booked, but its bytes could not be kept",
    {},
)
_AWAY_PAUSE_S = 0.5


@dataclass(slots=True)
class _Start:
    """One start under way. `began` once "submitting" may have been committed.

    With a `launch` it was, in the commit of the claim. `hindrance`: what of ours was away when the
    media was last tried to be placed. `task_id`: what the reply named; once known it must not be
    lost. `unkept`: replies that could not be recorded.
    """

    work: Work
    token: str
    account: Account
    secrets: list[str]
    trace_id: str
    launch: Launch | None
    placed: Placed = field(default_factory=Placed)
    exchange_id: UUID = field(default_factory=new_id)
    began: bool = False
    hindrance: Exception | None = None
    task_id: str = ""
    unkept: list[tuple[Exchange, UUID | None]] = field(default_factory=list)


class Starter:
    """Starts claimed attempts."""

    def __init__(
        self,
        transitions: Transitions,
        provider: Provider,
        placement: Placement,
        recorder: Recorder,
        leases: LeaseKeeper,
        launcher: Launcher,
    ) -> None:
        self._transitions = transitions
        self._provider = provider
        self._placement = placement
        self._recorder = recorder
        self._leases = leases
        self._launcher = launcher

    async def start(self, claimed: Claimed) -> None:
        """Bring one claimed attempt to accepted, refused or unknown; raises only cancellation."""
        work, launch = claimed.work, claimed.launch
        start = _Start(
            work,
            claimed.token,
            Account(work.account, work.base_url, work.api_key),
            [work.api_key, claimed.token],
            trace_id_of(work.traceparent),
            launch,
            exchange_id=launch.exchange_id if launch else new_id(),
            began=launch is not None,
        )
        try:
            with self._leases.hold(work.job_id, work.attempt):
                command = await self._run(start)
            await persist(self._transitions, command)
            await self._keep_late(start)
        except StaleAttemptError as error:
            _log.info("start_let_go", job_id=str(work.job_id), attempt=work.attempt, why=str(error))
        except Exception:
            _log.exception("start_broke", job_id=str(work.job_id), attempt=work.attempt)
            await self._book_breakdown(start)

    async def _run(self, start: _Start) -> Command:
        launch = start.launch
        if launch is not None:
            with launch.span:
                call = await self._provider.start(
                    start.account, launch.request, before_first_byte=_about_to_send
                )
            return await self._book(start, call)
        if (hindrance := await self._place(start)) is not None:
            return hindrance
        failpoint("claimed_not_sent")
        with start_span_of(start.work) as span:
            try:
                call = await self._call(start, span.traceparent)
            except UnavailableError as error:
                # Raised by the commit before the first byte: nothing was sent.
                return self._release(start, error)
        return await self._book(start, call)

    async def _place(self, start: _Start) -> Command | None:
        """Bring the media to the account; return what to do where that can't be done."""
        try:
            async with asyncio.timeout(self._time_left_s(start.work)):
                await self._place_patiently(start)
        except UploadRefusedError as error:
            return self._refuse(start, error.verdict)
        except TimeoutError:
            if start.hindrance is not None:
                return self._release(start, start.hindrance)
            return self._refuse(start, _own_verdict("start_timeout", "media upload took too long"))
        return None

    async def _place_patiently(self, start: _Start) -> None:
        # Nothing was sent yet, and a database of ours that is away is no fault of the job's.
        while True:
            try:
                await self._placement.place(start.work, start.placed)
            except Exception as error:
                if not _is_passing(error):
                    raise
                start.hindrance = error
            else:
                start.hindrance = None
                return
            await asyncio.sleep(_AWAY_PAUSE_S)

    async def _call(self, start: _Start, traceparent: str) -> Call[StartReply]:
        work, placed = start.work, start.placed
        request = self._launcher.request(work, start.token, placed.nodes)

        async def commit_submitting() -> None:
            sent = await self._launcher.record(work, start.token, request, start.exchange_id)
            start.began = True
            payloads = [*placed.payloads, sent]
            await self._transitions.run(
                c.BeginStart(work.job_id, work.attempt, work.token_sha256, traceparent, payloads)
            )
            await _about_to_send()

        return await self._provider.start(
            start.account, request, before_first_byte=commit_submitting
        )

    async def _book(self, start: _Start, call: Call[StartReply]) -> Command:
        command = await self._read(start, call)
        if isinstance(command, c.Accept):
            failpoint("accepted_not_committed")
        return command

    async def _read(self, start: _Start, call: Call[StartReply]) -> Command:
        work, reply = start.work, call.reply
        start.task_id = reply.task_id if reply is not None else ""
        payloads = await self._record(
            start, call.exchange, start.exchange_id if start.began else None
        )
        if call.transport is Transport.NEVER_SENT:
            verdict = classify(evidence_of(Stage.START, None, call.transport))
            words = call.exchange.error or verdict.words
            return self._refuse(start, _reworded(verdict, words), payloads)
        if reply is None or reply.outcome is StartOutcome.UNREADABLE:
            return self._lose(start, call, payloads)
        if reply.outcome is StartOutcome.ACCEPTED:
            return c.Accept(work.job_id, work.attempt, reply.task_id, payloads)
        if reply.outcome is StartOutcome.DOUBTFUL:
            return await self._ask_in_doubt(start, reply, payloads)
        verdict = classify(evidence_of(Stage.START, reply))
        if verdict.error_class == "submit_unknown":
            return self._lose(start, call, payloads)
        return self._refuse(start, verdict, payloads)

    def _lose(
        self, start: _Start, call: Call[StartReply], payloads: Sequence[Payload]
    ) -> c.LoseReply:
        """Hold a start whose reply tells nothing, in the words of what came."""
        work, status = start.work, call.exchange.response_status
        came = [f"HTTP {status} that tells nothing"] if status is not None else ["no reply"]
        words = ": ".join([*came, *filter(None, [call.exchange.error])])
        return c.LoseReply(work.job_id, work.attempt, work.token_sha256, payloads, words)

    async def _ask_in_doubt(
        self, start: _Start, reply: StartReply, payloads: list[Payload]
    ) -> Command:
        """Settle a refusal that carries a task id: the provider's own query decides."""
        work = start.work
        for _ in range(_DOUBT_QUERIES):
            call = await self._provider.query(start.account, reply.task_id)
            payloads += await self._record(start, call.exchange)
            if call.reply is None:
                continue
            if call.reply.state in _EXISTS:
                return c.Accept(work.job_id, work.attempt, reply.task_id, payloads)
            if call.reply.state is TaskState.NOT_FOUND:
                return self._refuse(start, classify(evidence_of(Stage.START, reply)), payloads)
        # Nobody can say; the task id lets the reconciler go on asking.
        return c.Accept(work.job_id, work.attempt, reply.task_id, payloads)

    async def _record(
        self, start: _Start, exchange: Exchange, exchange_id: UUID | None = None
    ) -> list[Payload]:
        """Record a reply. What it decides is booked even where its bytes can't be kept just now."""
        try:
            return await self._recorder.exchange(
                exchange,
                start.work.attempt,
                start.secrets,
                start.trace_id,
                exchange_id=exchange_id,
            )
        except Exception:
            _log.exception("reply_not_recorded", job_id=str(start.work.job_id))
            start.unkept.append((exchange, exchange_id))
            return []

    async def _keep_late(self, start: _Start) -> None:
        """Record what could not be before the reply was booked, or let the history say so."""
        unkept, start.unkept = start.unkept, []
        for exchange, exchange_id in unkept:
            payloads = await self._record(start, exchange, exchange_id)
            note = None if payloads else _NOT_KEPT
            work = start.work
            record = c.Record(work.job_id, work.attempt, payloads, note)
            await persist(self._transitions, record)

    async def _book_breakdown(self, start: _Start) -> None:
        """Settle an error of our own: go on with a task that is known, hold what may have been
        sent, fail what was not.
        """
        work = start.work
        command: Command
        if start.task_id:
            command = c.Accept(work.job_id, work.attempt, start.task_id)
        elif start.began:
            command = c.LoseReply(work.job_id, work.attempt, work.token_sha256)
        else:
            words = "Etapa could not start the job; the logs of its trace say why"
            command = self._refuse(start, _own_verdict("internal", words))
        try:
            await persist(self._transitions, command)
        except EtapaError as error:
            _log.warning("breakdown_not_booked", job_id=str(work.job_id), why=str(error))
        except Exception:
            # The lease runs out; the sweeper settles it.
            _log.exception("breakdown_not_booked", job_id=str(work.job_id))

    def _refuse(
        self, start: _Start, verdict: Verdict, payloads: Sequence[Payload] = ()
    ) -> c.Refuse:
        work = start.work
        # What was recorded before the start call is committed with its "submitting".
        unsaved = [] if start.began else start.placed.payloads
        kept = [*unsaved, *payloads]
        return c.Refuse(work.job_id, work.attempt, work.token_sha256, verdict, kept)

    def _release(self, start: _Start, error: Exception) -> c.Release:
        work = start.work
        words = (
            str(error)
            if isinstance(error, EtapaError)
            else "the database did not answer; nothing was sent"
        )
        return c.Release(work.job_id, work.attempt, work.token_sha256, words, start.placed.payloads)

    def _time_left_s(self, work: Work) -> float:
        if work.deadline_at is None:
            return 0
        return (work.deadline_at - self._transitions.clock()).total_seconds()


async def _about_to_send() -> None:
    # After this hook the bytes leave at once, so the kill falls between them and a reply.
    asyncio.get_running_loop().call_later(0.003, failpoint, "sent_no_reply")


def _is_passing(error: Exception) -> bool:
    return isinstance(error, UnavailableError | TimeoutError) or is_database_gone(error)


def _own_verdict(name: str, words: str) -> Verdict:
    failure = failure_class(name)
    return Verdict(failure, failure.stage, words, "own")


def _reworded(verdict: Verdict, words: str) -> Verdict:
    return Verdict(verdict.failure, verdict.stage, words, verdict.rule)
