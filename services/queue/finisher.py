"""Copies the outputs of verified successes into our storage, then completes the job.

A phase of its own: leased, retried, with a deadline. The slot is free by then. Late successes of
final jobs go the same way and are delivered free of charge.
"""

from __future__ import annotations

import asyncio
import math
import mimetypes
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from services.queue import command as c
from services.queue import store
from services.queue.command import Command
from services.queue.domain import Change, Phase, SavedOutput
from services.queue.hint import Hint
from services.queue.lease import LeaseKeeper
from services.queue.output_content import HEAD_BYTES, NotTheOutputError, check_content
from services.queue.recorder import Recorder
from services.queue.result import Result, results_from_json, unsaved_output
from services.queue.store import Work
from services.queue.transitions import Transitions, persist
from services.runninghub.provider import Provider
from services.runninghub.request import Account
from services.runninghub.verdicts import judge_output
from services.runtime.blobs import BlobStore
from services.runtime.db import AWAY_ERRORS
from services.runtime.errors import EtapaError, UnavailableError
from services.runtime.failpoints import failpoint
from services.runtime.fetch import FetchError, FetchFailure, FetchLimits
from services.runtime.log import get_log
from services.runtime.media_links import sign_link
from services.runtime.net import ForbiddenAddressError
from services.runtime.redact import redact_text
from services.runtime.tracing import trace_id_of

_log = get_log(__name__)
_BACK_OFF_S = 0.5
_MAX_OUTPUT_BYTES = 512 * 1024 * 1024
_RETRY_WAITS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
# The provider's file URLs die after about a day (field reports, docs/runninghub-api.md §10).
_GONE = (403, 404, 410)
_UNDELIVERED = "output_undelivered"
# One download, and the least it gets however near the deadline is.
_DOWNLOAD_S = 120.0
_LEAST_DOWNLOAD_S = 1.0
# With less left than this, another try would only run into the deadline.
_LAST_TRY_S = 10.0


class _LostError(Exception):
    """An output can't be saved for good."""

    def __init__(self, error_class: str, message: str) -> None:
        super().__init__(message)
        self.error_class = error_class
        self.message = message


class Finisher:
    """Saves outputs, up to `max_jobs` jobs at a time. `media_url` is where users fetch them."""

    def __init__(
        self,
        transitions: Transitions,
        provider: Provider,
        blobs: BlobStore,
        recorder: Recorder,
        leases: LeaseKeeper,
        *,
        media_url: str,
        media_key: bytes,
        max_jobs: int = 32,
        poll_s: float = 2.0,
    ) -> None:
        self._transitions = transitions
        self._provider = provider
        self._blobs = blobs
        self._recorder = recorder
        self._leases = leases
        self._media_url = media_url
        self._media_key = media_key
        self._max_jobs = max_jobs
        self._poll_s = poll_s
        self._hint = Hint()
        self._fresh: list[tuple[UUID, int]] = []
        self._under_way: set[tuple[UUID, int]] = set()
        transitions.listen(self._on_changes)

    async def run(self, stop: asyncio.Event) -> None:
        """Save outputs until `stop` is set; then wait for what is under way."""
        async with asyncio.TaskGroup() as savings:
            while not stop.is_set():
                works = await self._take()
                for work in works:
                    key = (work.job_id, work.attempt)
                    self._under_way.add(key)
                    savings.create_task(self._save(work), name=f"save:{work.job_id}")
                if not works:
                    await self._hint.wait(self._poll_s)

    def wake(self) -> None:
        """Look for outputs to save now."""
        self._hint.set()

    async def _take(self) -> list[Work]:
        room = self._max_jobs - len(self._under_way)
        if room <= 0:
            return []
        fresh, self._fresh = self._fresh[:room], self._fresh[room:]
        policy, now = self._transitions.policy, self._transitions.clock()
        until = now + timedelta(seconds=policy.scaled(policy.lease_s))
        try:
            async with self._transitions.pool.acquire() as conn:
                taken = fresh or await store.take_finalising(conn, now, until, room)
                mine = [key for key in taken if key not in self._under_way]
                works = await store.read_work(conn, mine) if mine else []
        except AWAY_ERRORS as error:
            self._fresh += fresh
            _log.warning("finalising_not_taken", error=type(error).__name__)
            await asyncio.sleep(_BACK_OFF_S)
            # Nobody else knows of what is fresh before its lease has run out.
            self._hint.set()
            return []
        except Exception:
            # What was fresh is taken over again when its lease runs out.
            _log.exception("taking_finalising_broke")
            await asyncio.sleep(_BACK_OFF_S)
            return []
        if self._fresh:
            self._hint.set()
        return [work for work in works if work.results is not None]

    async def _save(self, work: Work) -> None:
        try:
            failpoint("finalising")
            with self._leases.hold(work.job_id, work.attempt):
                command = await self._collect(work)
            await persist(self._transitions, command)
        except EtapaError as error:
            _log.info("outputs_let_go", job_id=str(work.job_id), why=str(error))
        except Exception:
            # The lease runs out and somebody tries again, until the deadline.
            _log.exception("saving_broke", job_id=str(work.job_id), attempt=work.attempt)
        finally:
            self._under_way.discard((work.job_id, work.attempt))
            self._hint.set()

    async def _collect(self, work: Work) -> Command:
        results = results_from_json(work.results or "[]")
        try:
            outputs = await self._save_all(work, results)
        except _LostError as error:
            kept = [_unsaved(result) for result in results]
            return c.GiveUpOutputs(
                work.job_id, work.attempt, error.error_class, error.message, kept
            )
        return c.SaveOutputs(work.job_id, work.attempt, outputs)

    async def _save_all(self, work: Work, results: Sequence[Result]) -> list[SavedOutput]:
        try:
            return [await self._save_one(work, number, r) for number, r in enumerate(results, 1)]
        except _LostError as error:
            if error.error_class != "output_gone":
                raise
        # The URLs may only have grown old: the provider may name fresh ones.
        fresh = await self._fresh_results(work)
        if not fresh or [r.url for r in fresh] == [r.url for r in results]:
            raise _LostError("output_gone", "the provider no longer serves the output files")
        return [await self._save_one(work, number, r) for number, r in enumerate(fresh, 1)]

    async def _fresh_results(self, work: Work) -> list[Result]:
        account = Account(work.account, work.base_url, work.api_key)
        call = await self._provider.query(account, work.task_id)
        payloads = await self._recorder.exchange(
            call.exchange, work.attempt, [work.api_key], trace_id_of(work.traceparent)
        )
        await persist(self._transitions, c.Record(work.job_id, work.attempt, payloads))
        outputs = call.reply.outputs if call.reply is not None else ()
        return [Result(o.url, o.node_id, o.output_type, o.text) for o in outputs]

    async def _save_one(self, work: Work, number: int, result: Result) -> SavedOutput:
        if not result.url:
            return _unsaved(result)
        for wait_s in (*_RETRY_WAITS_S, None):
            try:
                return await self._copy(work, number, result)
            except (FetchError, ForbiddenAddressError, UnavailableError) as error:
                pause_s = None if wait_s is None else self._transitions.policy.scaled(wait_s)
                if pause_s is None or _is_hopeless(error) or self._is_over(work, pause_s):
                    raise _LostError(_class_of(error), _words_of(error)) from error
                await asyncio.sleep(pause_s)
        raise AssertionError("unreachable: the last wait is None")

    async def _copy(self, work: Work, number: int, result: Result) -> SavedOutput:
        account = Account(work.account, work.base_url, work.api_key)
        limits = FetchLimits(max_bytes=_MAX_OUTPUT_BYTES, total_timeout_s=self._call_s(work))
        with tempfile.TemporaryDirectory(prefix="etapa-output-") as folder:
            path = Path(folder) / "output"
            fetched = await self._provider.download(account, result.url, path, limits)
            content_type, ending = _kind(fetched.content_type, result)
            check_content(content_type, await asyncio.to_thread(_read_head, path))
            blob = await self._blobs.put_file(path, fetched.sha256)
        name = f"{work.tool}-{work.job_id}-{number}{ending}"
        return SavedOutput(
            url=sign_link(self._media_url, self._media_key, blob.sha256, name),
            provider_url=redact_text(result.url, [work.api_key]),
            sha256=blob.sha256,
            bytes=blob.bytes,
            content_type=content_type,
            node_id=result.node_id,
            text=result.text,
        )

    def _is_over(self, work: Work, pause_s: float) -> bool:
        """Whether after the pause too little is left of the deadline, which knows no reason."""
        return self._time_left_s(work) - pause_s < self._transitions.policy.scaled(_LAST_TRY_S)

    def _call_s(self, work: Work) -> float:
        left_s = self._time_left_s(work) - self._transitions.policy.scaled(_LAST_TRY_S) / 2
        return min(_DOWNLOAD_S, max(left_s, _LEAST_DOWNLOAD_S))

    def _time_left_s(self, work: Work) -> float:
        # A late success of a final job has no deadline.
        if work.deadline_at is None:
            return math.inf
        return (work.deadline_at - self._transitions.clock()).total_seconds()

    def _on_changes(self, changes: Sequence[Change]) -> None:
        for change in changes:
            attempt = change.after.current
            if attempt is None or attempt.results is None:
                continue
            before = change.before.current
            is_new = before is None or before.results is None
            if is_new and attempt.phase in (Phase.FINALISING, Phase.ENDED):
                self._fresh.append((change.after.id, attempt.number))
                self._hint.set()


def _is_hopeless(error: Exception) -> bool:
    if isinstance(error, FetchError):
        is_gone = error.failure is FetchFailure.STATUS and error.status in _GONE
        return is_gone or error.failure in (FetchFailure.TOO_BIG, FetchFailure.BAD_URL)
    return isinstance(error, ForbiddenAddressError)


def _class_of(error: Exception) -> str:
    """Return whose fault it is: the file host's for what it answered, ours for what we could not.

    How large an output may be is our limit.
    """
    if isinstance(error, FetchError):
        if error.failure is FetchFailure.STATUS:
            return judge_output("", error.status).error_class
        return "output_unsavable" if error.failure is FetchFailure.TOO_BIG else _UNDELIVERED
    is_theirs = isinstance(error, ForbiddenAddressError | NotTheOutputError)
    return _UNDELIVERED if is_theirs else "output_unsavable"


def _words_of(error: Exception) -> str:
    if isinstance(error, ForbiddenAddressError):
        return f"the provider names an output at a forbidden address: {redact_text(str(error))}"
    if isinstance(error, FetchError) and error.failure is FetchFailure.STATUS:
        return f"HTTP {error.status} for an output"
    return f"an output could not be saved: {redact_text(str(error))}"


def _read_head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _unsaved(result: Result) -> SavedOutput:
    return unsaved_output(result, redact_text(result.url))


def _kind(claimed: str, result: Result) -> tuple[str, str]:
    """Return media type and file ending: by the provider's type, else by what was claimed."""
    ending = f".{result.output_type.lower()}" if result.output_type.isalnum() else ""
    by_ending = mimetypes.types_map.get(ending)
    claimed = claimed.partition(";")[0].strip().lower()
    content_type = by_ending or claimed or "application/octet-stream"
    return content_type, ending if by_ending else (mimetypes.guess_extension(content_type) or "")
