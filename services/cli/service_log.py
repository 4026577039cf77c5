"""The log files of the stack: appended to by the processes themselves, bounded in size by us."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

_READ_BYTES = 16_384


def size_of(log: Path) -> int:
    """Return the size of a log in bytes, 0 where there is none."""
    with suppress(FileNotFoundError):
        return log.stat().st_size
    return 0


def last_lines(log: Path, count: int = 5, since: int = 0) -> str:
    """Return the last lines that a log got after its byte `since`, as one text for a person."""
    try:
        with log.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = since if since <= size else 0  # rotated meanwhile
            file.seek(max(start, size - _READ_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return "(no log)"
    said = [readable(line.strip()) for line in lines if line.strip()]
    return " | ".join(said[-count:]) or "(it said nothing)"


def readable(line: str) -> str:
    """Return a JSON log line as its message and the last words of its traceback; else as it is.

    >>> readable('{"level": "error", "message": "failed", "exception": "Trace…\\nKeyError: 1"}')
    'failed: KeyError: 1'
    """
    if not line.startswith("{"):
        return line
    try:
        fields = json.loads(line)
    except ValueError:
        return line
    trace = str(fields.get("exception") or fields.get("error") or "").strip().splitlines()
    return ": ".join([str(fields.get("message", line)), *trace[-1:]])


def rotate(log: Path, limit_bytes: int) -> bool:
    """Move a log above the limit to `<name>.1`, replacing an older one; tell whether it did.

    The writer keeps its descriptor (opened for appending), so the file is copied and emptied,
    not renamed. A line written between the two is lost; it is a log, the history is elsewhere.
    """
    if size_of(log) <= limit_bytes:
        return False
    shutil.copyfile(log, log.with_name(log.name + ".1"))
    os.truncate(log, 0)
    return True
