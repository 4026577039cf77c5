"""A lock on a folder that lasts as long as its holder: a killed process never leaves one behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TextIO

from services.cli.errors import CliError


class FolderBusyError(CliError):
    """Another process holds the folder; the message says which and what to do."""


class FolderClosedError(CliError):
    """This user may not write there."""


def open_folder(folder: Path, setting: str, mode: int = 0o777) -> None:
    """Make a folder with its parents; `setting` is what names it, for the message."""
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise _closed(folder, setting, error) from error


def take_lock(folder: Path, setting: str) -> TextIO:
    """Hold a folder until the file is closed or this process dies; the file names the holder."""
    try:
        file = (folder / "lock").open("a+")
    except PermissionError as error:
        raise _closed(folder, setting, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise FolderBusyError(
            f"Another Etapa (process {holder}) uses the folder {folder}. Stop it first (Ctrl-C "
            f"there, or `kill {holder}`), or set {setting} to another folder."
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _closed(folder: Path, setting: str, error: OSError) -> FolderClosedError:
    return FolderClosedError(
        f"Cannot write to {folder} ({error.strerror}). Run Etapa as the user whom it belongs to, "
        f"or set {setting} to a folder of yours."
    )
