"""Delivers callbacks as the provider does: retries, records of each, redelivery on request.

What counts as delivered is not documented; here any 2xx does. The documented example shows three
retries within about three minutes (reference section 4.4, read 2026-11-24).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Any

import aiohttp

from services.emulator.callback import EVENT, body_of, contrary_of, event_text, orders
from services.emulator.codes import Refusal
from services.emulator.crew import Crew
from services.emulator.journal import Journal
from services.emulator.pace import Pace
from services.emulator.settings import Settings
from services.emulator.task import Task

_BEIJING = timezone(timedelta(hours=8))
_KEPT_RESPONSE = 2000
LATE_S = 120.0


@dataclass(slots=True)
class Delivery:
    """The record of one task's callback, as getWebhookDetail shows it."""

    webhook_id: str
    task: Task
    url: str
    event_data: str
    status: str = "PENDING"
    response: str = ""
    attempts: int = 0
    created_at: float = 0.0
    updated_at: float = 0.0

    def detail(self) -> dict[str, Any]:
        """Return the wire form, the key masked."""
        key = self.task.key
        return {
            "id": self.webhook_id,
            "userApiKey": key[:4] + "*" * max(len(key) - 8, 0) + key[-4:],
            "taskId": self.task.task_id,
            "webhookUrl": self.url,
            "event": EVENT,
            "eventData": self.event_data,
            "callbackStatus": self.status,
            "callbackResponse": self.response,
            "retryCount": max(self.attempts - 1, 0),
            "createTime": _stamp(self.created_at),
            "updateTime": _stamp(self.updated_at),
        }


class Webhooks:
    """Sends callbacks and keeps their records."""

    def __init__(self, settings: Settings, pace: Pace, journal: Journal, crew: Crew) -> None:
        self._settings, self._pace, self._journal, self._crew = settings, pace, journal, crew
        self._records: dict[str, Delivery] = {}
        self._by_task: dict[str, Delivery] = {}
        self._ids = count(1)
        self._session: aiohttp.ClientSession | None = None

    def send(self, task: Task) -> None:
        """Deliver a finished task's callback in the background, with its faults."""
        if not task.webhook_url:
            task.told.set()
            return
        now = time.time()
        record = Delivery(
            self._new_id(now),
            task,
            task.webhook_url,
            event_text(task, self._settings),
            created_at=now,
            updated_at=now,
        )
        self._records[record.webhook_id] = self._by_task[task.task_id] = record
        self._crew.spawn(self._deliver(record), f"webhook {task.task_id}")

    def know(self, task: Task, attempts: list[dict[str, Any]]) -> None:
        """Take over the record of a delivery from the journal of an earlier run."""
        last = attempts[-1]
        record = Delivery(
            last["webhook_id"],
            task,
            last["url"],
            event_text(task, self._settings),
            "SUCCESS" if last["delivered"] else "FAILED",
            last["response"] or last["error"],
            last["attempt"],
            attempts[0]["wall_s"],
            last["wall_s"],
        )
        self._records[record.webhook_id] = self._by_task[task.task_id] = record
        task.told.set()

    def find(self, key: str, task_id: str) -> Delivery:
        """Return the record of a task's callback, or raise the `Refusal`."""
        record = self._by_task.get(task_id)
        if record is None or record.task.key != key:
            raise Refusal(1, "webhook event not exists")
        return record

    def redeliver(self, key: str, webhook_id: str, url: str) -> None:
        """Send once more, in the background, to `url` or to where it went before."""
        record = self._records.get(webhook_id)
        if record is None or record.task.key != key:
            raise Refusal(1, "webhook event not exists")
        record.url = url or record.url
        body = body_of(record.task, self._settings)
        self._crew.spawn(self._attempt(record, body, "redelivery"), f"redeliver {webhook_id}")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _deliver(self, record: Delivery) -> None:
        task = record.task
        if task.fault("callback_lost") is not None:
            self._lose(record)
            return
        if (late := task.fault("callback_late")) is not None:
            await self._pace.sleep(LATE_S if late.seconds is None else late.seconds)
        truth = body_of(task, self._settings)
        contradiction = task.fault("callback_contradictory")
        contrary = contrary_of(task, self._settings) if contradiction is not None else truth
        for body in orders(contradiction, truth, contrary):
            await self._deliver_body(record, body)

    async def _deliver_body(self, record: Delivery, body: bytes) -> None:
        twice = record.task.fault("callback_duplicate")
        if twice is None:
            await self._with_retries(record, body)
            return
        if twice.concurrent:
            sends = (self._attempt(record, body, "duplicate") for _ in range(twice.times))
            await asyncio.gather(*sends)
            return
        for index in range(twice.times):
            if index:
                # 20 s apart, as a production user measured (2026-03-23).
                await self._pace.sleep(20.0 if twice.seconds is None else twice.seconds)
            await self._attempt(record, body, "duplicate" if index else "first")

    async def _with_retries(self, record: Delivery, body: bytes) -> None:
        delivered = await self._attempt(record, body, "first")
        for gap in self._settings.webhook_retries_s:
            if delivered:
                return
            await self._pace.sleep(gap)
            delivered = await self._attempt(record, body, "retry")
        if not delivered:
            self._journal.record("callback_given_up", task_id=record.task.task_id)

    def _lose(self, record: Delivery) -> None:
        """Pretend that every attempt failed on the way; the receiver never hears of it."""
        record.status = "FAILED"
        record.attempts = 1 + len(self._settings.webhook_retries_s)
        record.updated_at = time.time()
        self._journal.record("callback_lost", task_id=record.task.task_id)
        record.task.told.set()

    async def _attempt(self, record: Delivery, body: bytes, why: str) -> bool:
        """POST once and record what came of it; say whether it counts as delivered."""
        began = time.monotonic()
        record.attempts += 1
        number = record.attempts
        http_status, response, error = await self._post(record.url, body)
        delivered = http_status is not None and 200 <= http_status < 300
        record.status = "SUCCESS" if delivered else "FAILED"
        record.response, record.updated_at = response or error, time.time()
        self._journal.record(
            "callback_sent",
            task_id=record.task.task_id,
            webhook_id=record.webhook_id,
            attempt=number,
            why=why,
            url=record.url,
            sha256=hashlib.sha256(body).hexdigest(),
            body=base64.b64encode(body).decode(),
            delivered=delivered,
            http_status=http_status,
            response=response,
            error=error,
            took_s=round(time.monotonic() - began, 6),
        )
        record.task.told.set()
        return delivered

    async def _post(self, url: str, body: bytes) -> tuple[int | None, str, str]:
        if self._session is None:
            # No keep-alive: a reused connection that the receiver just closed would lose a
            # callback for a reason that is ours.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, limit=0),
                headers={"User-Agent": "RunningHub"},
            )
        timeout = aiohttp.ClientTimeout(total=self._settings.webhook_timeout_s)
        headers = {"Content-Type": "application/json"}
        try:
            async with self._session.post(
                url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as reply:
                text = (await reply.content.read(_KEPT_RESPONSE)).decode("utf-8", "replace")
                return reply.status, text, ""
        except TimeoutError:
            return None, "", "timed out"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return None, "", f"{type(error).__name__}: {error}"

    def _new_id(self, now: float) -> str:
        return str((int(now * 1000) << 20) + next(self._ids))


def _stamp(unix_s: float) -> str:
    moment = datetime.fromtimestamp(unix_s, UTC).astimezone(_BEIJING)
    return moment.isoformat(timespec="milliseconds")
