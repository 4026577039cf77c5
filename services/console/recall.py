"""Which jobs a feed told of lately, so that a browser that was away a moment is told the rest."""

from __future__ import annotations

from collections.abc import Mapping

from services.console.changes import MAX_JOBS

MAX_PLACES = 1024


class Recall:
    """Bounded: what lies further back than it remembers is unknown, and said to be."""

    def __init__(self) -> None:
        # Both in the order of their last, or first, message.
        self._jobs: dict[str, tuple[int, int]] = {}
        self._places: dict[str, int] = {}
        self._message = 0
        self._forgotten = 0

    def begin(self, place: str) -> None:
        """Know from here on what happens after a place, and forget all other places."""
        self._places = {place: self._message}

    def know(self, jobs: Mapping[str, int]) -> None:
        """Know where jobs stand that no message told of, the oldest first."""
        self._jobs = {job_id: (seq, 0) for job_id, seq in jobs.items()} | self._jobs

    def note(self, jobs: Mapping[str, int], place: str) -> None:
        """Remember a message: jobs with their seq, and the place after it."""
        self._message += 1
        for job_id, seq in jobs.items():
            self._jobs.pop(job_id, None)
            self._jobs[job_id] = (seq, self._message)
        while len(self._jobs) > MAX_JOBS:
            oldest = next(iter(self._jobs))
            self._forgotten = self._jobs.pop(oldest)[1]
        # Messages may share a place: who was told the first may not have the others.
        self._places.setdefault(place, self._message)
        while len(self._places) > MAX_PLACES:
            del self._places[next(iter(self._places))]

    def latest(self) -> dict[str, int]:
        """Return all that is remembered."""
        return {job_id: seq for job_id, (seq, _) in self._jobs.items()}

    def since(self, place: str) -> dict[str, int] | None:
        """Return what changed after a place; None where that is not known."""
        message = self._places.get(place)
        if message is None or message < self._forgotten:
            return None
        return {job_id: seq for job_id, (seq, at) in self._jobs.items() if at > message}
