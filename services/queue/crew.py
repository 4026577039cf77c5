"""Works on a bounded number of items at once: found by looking, or taken by a commit of ours.

Whoever commits what makes an item due may take it in the same commit, where there is room. Then
nobody has to find it, and the loop looks only for what others left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.queue.hint import Hint
from services.runtime.db import AWAY_ERRORS
from services.runtime.log import get_log

Item = TypeVar("Item")

_log = get_log(__name__)
_BACK_OFF_S = 0.5
# After a look that found more than one: the next one then finds more, at the same cost.
REST_S = 0.01


@dataclass(slots=True)
class Seats(Generic[Item]):
    """Room for up to `room` items that a transaction takes; `items` are those it took."""

    room: int
    items: list[Item] = field(default_factory=list)


class Crew(Generic[Item]):
    """Keeps up to `most` items under way. Woken by hints; looks by itself every `poll_s` as well.

    `find` returns up to so many items that nobody works on, taken and committed; `work` sees one
    through and raises nothing but cancellation.
    """

    def __init__(
        self,
        find: Callable[[int], Awaitable[Sequence[Item]]],
        work: Callable[[Item], Awaitable[None]],
        *,
        name: str,
        most: int,
        poll_s: float,
    ) -> None:
        self._find = find
        self._work = work
        self._name = name
        self._most = most
        self._poll_s = poll_s
        self._hint = Hint()
        self._tasks: asyncio.TaskGroup | None = None
        self._is_taking = False
        self._under_way = 0
        self._set_aside = 0
        self._left_some = False

    async def run(self, stop: asyncio.Event) -> None:
        """Look and work until `stop` is set; then wait for what is under way."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks, self._is_taking = tasks, True
            try:
                while not stop.is_set():
                    await self._turn()
                self._is_taking = False
                while self._set_aside:
                    await self._hint.wait(self._poll_s)
            finally:
                self._tasks, self._is_taking = None, False

    def wake(self) -> None:
        """Look for work now, or notice that it is to stop."""
        self._hint.set()

    @contextmanager
    def seats(self, wanted: int) -> Iterator[Seats[Item]]:
        """Set room aside for a transaction; what it took begins when the block ends.

        If the block raises, nothing begins. The room is 0 before the loop runs and once it stops.
        """
        room = min(wanted, self._most - self._under_way) if self._is_taking else 0
        seats: Seats[Item] = Seats(max(room, 0))
        self._under_way += seats.room
        self._set_aside += seats.room
        taken: Sequence[Item] = ()
        try:
            yield seats
            taken = seats.items
        finally:
            self._under_way -= seats.room
            self._set_aside -= seats.room
            self._begin(taken)
            # The loop may have looked for less because of the room that was not used.
            if not self._is_taking or (self._left_some and len(taken) < seats.room):
                self._hint.set()

    async def _turn(self) -> None:
        self._hint.clear()
        room = self._most - self._under_way
        found = await self._look(room) if room > 0 else ()
        # Only a look that came back short says that there is no more.
        self._left_some = len(found) >= room
        self._begin(found)
        if self._left_some or len(found) > 1:
            await asyncio.sleep(REST_S)
        await self._hint.wait(self._poll_s)

    async def _look(self, room: int) -> Sequence[Item]:
        try:
            return await self._find(room)
        except AWAY_ERRORS as error:
            _log.warning("look_failed", crew=self._name, error=type(error).__name__)
        except Exception:
            # One turn is lost, not the loop; what was taken falls due again.
            _log.exception("look_broke", crew=self._name)
        await asyncio.sleep(_BACK_OFF_S)
        return ()

    def _begin(self, items: Sequence[Item]) -> None:
        if self._tasks is None:
            if items:
                # The loop was cut short meanwhile; their leases run out.
                _log.warning("work_not_begun", crew=self._name, items=len(items))
            return
        for item in items:
            self._under_way += 1
            self._tasks.create_task(self._see_through(item), name=self._name)

    async def _see_through(self, item: Item) -> None:
        try:
            await self._work(item)
        finally:
            self._under_way -= 1
            if self._left_some:
                self._hint.set()
