"""The judge's log: what was really received, accepted, run, paid and delivered.

Append-only JSON lines, numbered from 1 without a gap, each with wall-clock and monotonic time.
A start is on disk before it is answered; a callback's line is written when its answer is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Entry = dict[str, Any]
# Its number is raised when an entry gets fields that `restore` reads: a folder of an older
# version then starts a new file instead of stopping the emulator.
FILE_NAME = "journal.v1.jsonl"


class Journal:
    """Numbered facts in one file and in memory. A restart continues the file and its numbers."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._entries: list[Entry] = _read(path)
        self._file = path.open("ab", buffering=0)
        self._grown = asyncio.Event()

    def record(self, event: str, **facts: Any) -> Entry:
        """Append one fact and return it as it was written."""
        now = time.time()
        entry: Entry = {
            "n": len(self._entries) + 1,
            "event": event,
            "at": datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds"),
            "wall_s": now,
            "mono_s": time.monotonic(),
            **facts,
        }
        self._file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        self._entries.append(entry)
        self._grown.set()
        self._grown = asyncio.Event()
        return entry

    @property
    def last(self) -> int:
        """The number of the newest entry, 0 where there is none."""
        return len(self._entries)

    def after(self, number: int, limit: int) -> list[Entry]:
        """Return at most `limit` entries with a number above `number`, in order."""
        start = max(number, 0)
        return self._entries[start : start + limit]

    async def wait(self, number: int, timeout_s: float) -> None:
        """Return as soon as an entry above `number` exists, or after `timeout_s` real seconds."""
        deadline = time.monotonic() + timeout_s
        while self.last <= number and (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._grown.wait(), left)

    def close(self) -> None:
        """Close the file; nothing may be recorded afterwards."""
        self._file.close()


def _read(path: Path) -> list[Entry]:
    """Load what an earlier run wrote; a last line cut off by a crash is dropped from the file."""
    if not path.exists():
        return []
    raw = path.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    if len(whole) != len(raw):
        path.write_bytes(whole)
    return [json.loads(line) for line in whole.splitlines()]
