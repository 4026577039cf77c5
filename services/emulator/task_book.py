"""All tasks of the emulated provider by id, and how long it remembers them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

from services.emulator.pace import Pace
from services.emulator.task import Task


class TaskBook:
    """Tasks by id. A finished task is forgotten after `life_s` provider seconds."""

    def __init__(self, pace: Pace, life_s: float) -> None:
        self._tasks: dict[str, Task] = {}
        self._pace = pace
        self._life_s = life_s
        self._numbers = count(1)

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks.values())

    def new_id(self) -> str:
        """Return a 19-digit id as the provider's: time first, above 2^53."""
        return str((int(time.time() * 1000) << 20) + next(self._numbers))

    def add(self, task: Task) -> None:
        """Remember a task."""
        self._tasks[task.task_id] = task

    def get(self, task_id: str) -> Task | None:
        """Return any account's task, for the admin API."""
        return self._tasks.get(task_id)

    def find(self, key: str, task_id: str) -> Task | None:
        """Return a task as its account sees it: not another's, not an expired one."""
        task = self._tasks.get(task_id)
        if task is None or task.key != key:
            return None
        if task.ended_at is None:
            return task
        age_s = self._pace.provider_s(time.time() - task.ended_at)
        return task if age_s < self._life_s else None

    def by_client(self, client_id: str) -> Task | None:
        """Return the task of a progress connection."""
        return next((task for task in self if task.client_id == client_id), None)
