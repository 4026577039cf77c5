"""Places where a test may kill a process, to prove that a crash there is harmless.

Nothing happens unless `ETAPA_FAILPOINT` names the place: `name` kills at every passage, and
`name:marker-file` once over all restarts, since the file is made before the kill.
"""

from __future__ import annotations

import os
import signal
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from services.runtime.settings import Env

SETTING = "ETAPA_FAILPOINT"
NAMES = frozenset(
    {
        "created_not_answered",
        "claimed_not_sent",
        "sent_no_reply",
        "accepted_not_committed",
        "callback_stored",
        "forwarded_not_deleted",
        "finalising",
    }
)


@dataclass(frozen=True, slots=True)
class Failpoint:
    """One armed place. Without a marker it kills at every passage."""

    name: str
    marker: Path | None = None


_armed: ContextVar[Failpoint | None] = ContextVar("armed_failpoint", default=None)


def read_failpoint(env: Env) -> Failpoint | None:
    """Read ETAPA_FAILPOINT; note a problem where it names no place that exists."""
    name, _, marker = env.text(SETTING).partition(":")
    if not name:
        return None
    if name not in NAMES:
        env.problems.append(f"{SETTING}={name!r} is not one of {', '.join(sorted(NAMES))}")
    return Failpoint(name, Path(marker) if marker else None)


def arm(failpoint: Failpoint | None) -> None:
    """Arm the place for all tasks started from here on; None disarms."""
    _armed.set(failpoint)


def failpoint(name: str) -> None:
    """Kill this process with SIGKILL if this place is armed and has not fired before."""
    armed = _armed.get()
    if armed is None or armed.name != name:
        return
    if armed.marker is None or _make_marker(armed.marker):
        os.kill(os.getpid(), signal.SIGKILL)


def _make_marker(path: Path) -> bool:
    """Make the file; False where it was there, so that of many processes only one is killed."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    os.fsync(handle)
    os.close(handle)
    return True
