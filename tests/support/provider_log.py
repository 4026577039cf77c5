"""The emulator's log as a judge reads it: which tasks were open when, which callbacks left."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from services.runtime.ids import token_hash

Line = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Task:
    """One accepted start. `status` is empty while it is open; `error_class` is what to find."""

    task_id: str
    key: str
    token: str
    status: str = ""
    error_class: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One POST of a callback. `delivered`: it was answered with a 2xx."""

    task_id: str
    token: str
    body: bytes
    sha256: str
    delivered: bool
    wall_s: float


@dataclass(frozen=True)
class ProviderLog:
    """The log's lines, in order."""

    lines: Sequence[Line]

    @cached_property
    def tasks(self) -> list[Task]:
        """All accepted tasks, oldest first."""
        ended = {line["task_id"]: line for line in self.of("run_ended")}
        return [_task(line, ended.get(line["task_id"])) for line in self.of("start_accepted")]

    @cached_property
    def deliveries(self) -> list[Delivery]:
        """All callbacks that were sent, whatever came of it."""
        return [
            Delivery(
                task_id=line["task_id"],
                token=_token(line["url"]),
                body=base64.b64decode(line["body"]),
                sha256=line["sha256"],
                delivered=line["delivered"],
                wall_s=line["wall_s"],
            )
            for line in self.of("callback_sent")
        ]

    def of(self, event: str) -> list[Line]:
        """Return the lines of one kind."""
        return [line for line in self.lines if line["event"] == event]

    def peaks(self) -> dict[str, int]:
        """Return the most tasks that were open at once, by key; "" for all keys together."""
        opened: Counter[str] = Counter()
        peaks: Counter[str] = Counter()
        for line in self.lines:
            change = {"start_accepted": 1, "run_ended": -1}.get(line["event"], 0)
            if change:
                for key in (line["key"], ""):
                    opened[key] += change
                    peaks[key] = max(peaks[key], opened[key])
        return dict(peaks)

    def untold(self) -> list[str]:
        """Return the tasks that are open, or whose callbacks have not all been sent yet."""
        ended = {line["task_id"]: line for line in self.of("run_ended")}
        sent = Counter(line["task_id"] for line in self.of("callback_sent"))
        over = {line["task_id"] for line in self.of("callback_lost")}
        over |= {line["task_id"] for line in self.of("callback_given_up")}
        delivered = {line["task_id"] for line in self.of("callback_sent") if line["delivered"]}
        return [
            task_id
            for task_id in (line["task_id"] for line in self.of("start_accepted"))
            if task_id not in ended
            or not (
                task_id in over
                or ended[task_id]["status"] == "CANCEL"
                or _is_told(ended[task_id], sent[task_id], task_id in delivered)
            )
        ]


def token_of(task: Task) -> bytes:
    """Return the hash by which the queue knows the token of a task's callbacks."""
    return token_hash(task.token)


def _is_told(ended: Line, sent: int, is_delivered: bool) -> bool:
    twice = [fault for fault in ended["faults"] if fault["action"] == "callback_duplicate"]
    if twice:
        return sent >= int(twice[0].get("times", 3))
    return is_delivered


def _task(accepted: Line, ended: Line | None) -> Task:
    return Task(
        task_id=accepted["task_id"],
        key=accepted["key"],
        token=_token(accepted["webhook_url"]),
        status=ended["status"] if ended else "",
        error_class=ended["error_class"] if ended else "",
        files=tuple(item["sha256"] for item in ended["outputs"]) if ended else (),
    )


def _token(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]
