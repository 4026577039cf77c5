"""The log files of the stack: appended to by the processes themselves, bounded in size by us."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def last_lines(log: Path, count: int = 5) -> str:
    """Return the end of a log as one text, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 16_384))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return "(no log)"
    return " | ".join(line.strip() for line in lines[-count:] if line.strip())


def rotate(log: Path, limit_bytes: int) -> bool:
    """Move a log above the limit to `<name>.1`, replacing an older one; tell whether it did.

    The writer keeps its descriptor (opened for appending), so the file is copied and emptied,
    not renamed. A line written between the two is lost; it is a log, the history is elsewhere.
    """
    try:
        if log.stat().st_size <= limit_bytes:
            return False
    except FileNotFoundError:
        return False
    shutil.copyfile(log, log.with_name(log.name + ".1"))
    os.truncate(log, 0)
    return True
