"""A lock on a folder that lasts as long as its holder: a killed process never leaves one behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TextIO

from services.cli.errors import CliError


class FolderBusyError(CliError):
    """Another process holds the folder; the message says which and what to do."""


def take_lock(path: Path, what: str) -> TextIO:
    """Lock a file until it is closed or this process dies; the file names the holder."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise FolderBusyError(
            f"Another Etapa (process {holder}) uses {what}. Stop it first (Ctrl-C there, or "
            f"`kill {holder}`), or work in another folder."
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
