"""Who may bring media in at a time: so many have a seat, so many more wait in line for one.

A seat is taken before there is a job, so nobody's job ages while others upload. A caller who was
cut off leaves the seat to the repeat of that call, whose job is open and ages already.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field

from services.tools.domain import UploadsFullError
from services.tools.request import RunRequest

Key = tuple[str, str, str]


def key_of(request: RunRequest) -> Key | None:
    """Return what a call and its repeats have in common; None for one that can't be repeated."""
    return (request.caller, request.user_id, request.request_id) if request.request_id else None


class Seat:
    """The right to bring media in. Give it back once; doing so again changes nothing."""

    def __init__(self, seats: Seats, key: Key | None) -> None:
        self._seats = seats
        self._key = key
        self._held = True

    def give_back(self) -> None:
        """Let the next in line have it."""
        if self._held:
            self._held = False
            self._seats.free(self._key)

    async def await_repeat(self, closing: asyncio.Event, grace_s: float) -> bool:
        """Say whether the call is repeated here within that time; if so the seat is the repeat's.

        Ends early, as True, when `closing` is set.
        """
        if self._key is None or not self._held:
            return False
        if self._seats.is_shared(self._key):
            return True
        self._held = False
        return await self._seats.offer(self._key, closing, grace_s)


@dataclass(slots=True, eq=False)
class _Waiting:
    key: Key | None
    seated: asyncio.Future[None] = field(default_factory=asyncio.Future)

    @property
    def stays(self) -> bool:
        """False once the caller was cancelled, which its task learns only in its next turn."""
        return not self.seated.done()


class Seats:
    """`seats` callers at a time, and `line` more who wait in order of arrival."""

    def __init__(self, seats: int, line: int) -> None:
        self._seats = seats
        self._longest = line
        self._free = seats
        self._line: deque[_Waiting] = deque()
        self._seated: Counter[Key] = Counter()
        self._offers: dict[Key, asyncio.Event] = {}

    @property
    def waiting(self) -> int:
        """How many wait in line."""
        return sum(place.stays for place in self._line)

    async def take(self, key: Key | None) -> Seat:
        """Return a seat, at once or when it is one's turn. Raises `UploadsFullError`.

        A caller that is cancelled while it waits has taken nothing.
        """
        offered = self._offers.pop(key, None) if key else None
        if offered is not None:
            offered.set()
        elif self._free:
            self._free -= 1
        else:
            await self._wait(_Waiting(key))  # whoever gives the seat has booked it
            return Seat(self, key)
        self._sit(key)
        return Seat(self, key)

    def is_shared(self, key: Key) -> bool:
        """Say whether more than one call of that key has a seat."""
        return self._seated[key] > 1

    def free(self, key: Key | None) -> None:
        """Take a seat back from a call of that key."""
        self._rise(key)
        self._pass_on()

    async def offer(self, key: Key, closing: asyncio.Event, grace_s: float) -> bool:
        """Keep a seat that a call of that key leaves for its repeat; say whether it was taken."""
        self._rise(key)
        repeat = next((each for each in self._line if each.key == key and each.stays), None)
        if repeat is not None:
            self._line.remove(repeat)
            self._call_up(repeat)
            return True
        taken = self._offers[key] = asyncio.Event()
        try:
            await _any_within(grace_s, taken, closing)
        finally:
            if not taken.is_set():
                del self._offers[key]
                self._pass_on()
        return taken.is_set() or closing.is_set()

    async def _wait(self, place: _Waiting) -> None:
        # Whoever was cancelled is counted out only where that could make room.
        if len(self._line) >= self._longest and self.waiting >= self._longest:
            raise UploadsFullError(self._seats, self._longest)
        self._line.append(place)
        try:
            await place.seated
        except asyncio.CancelledError:
            if not place.seated.cancelled():  # its turn and its end came together
                self.free(place.key)
            elif place in self._line:
                self._line.remove(place)
            raise

    def _pass_on(self) -> None:
        while self._line and not self._line[0].stays:
            self._line.popleft()
        if self._line:
            self._call_up(self._line.popleft())
        else:
            self._free += 1

    def _call_up(self, place: _Waiting) -> None:
        self._sit(place.key)
        place.seated.set_result(None)

    def _sit(self, key: Key | None) -> None:
        if key is not None:
            self._seated[key] += 1

    def _rise(self, key: Key | None) -> None:
        if key is None:
            return
        self._seated[key] -= 1
        if not self._seated[key]:
            del self._seated[key]


async def _any_within(seconds: float, *events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
