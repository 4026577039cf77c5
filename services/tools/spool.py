"""Takes a stream of bytes to a temporary file, bounded and hashed while it comes.

Never holds more than one buffer of it in memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from services.tools.domain import MediaEmptyError, MediaTooLargeError, Text
from services.tools.tool import MIB, MediaInput

REQUEST_PREFIX = "upload-"
_BUFFER_BYTES = MIB
_ABANDONED_AFTER_S = 3600.0


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file as it came: `sha256` (64 hex digits) is of the bytes as sent."""

    path: Path
    bytes: int
    sha256: str


class Spool:
    """One file on its way in. Write the pieces in order, then `finish` once."""

    def __init__(self, path: Path, rule: MediaInput) -> None:
        self._rule = rule
        self._path = path
        self._file = path.open("xb")
        self._hash = hashlib.sha256()
        self._bytes = 0
        self._buffer = bytearray()

    async def write(self, piece: bytes) -> None:
        """Take one piece. Raises `MediaTooLargeError` as soon as the limit is passed."""
        self._bytes += len(piece)
        if self._bytes > self._rule.max_bytes:
            raise too_large(self._rule)
        self._buffer += piece
        if len(self._buffer) >= _BUFFER_BYTES:
            await self._spill()

    async def finish(self) -> Spooled:
        """Close the file and return it. Raises `MediaEmptyError`."""
        await self._spill()
        self.close()
        if not self._bytes:
            raise _empty(self._rule)
        return Spooled(self._path, self._bytes, self._hash.hexdigest())

    def close(self) -> None:
        """Let go of the file, finished or not. Idempotent."""
        self._file.close()

    async def _spill(self) -> None:
        data, self._buffer = bytes(self._buffer), bytearray()
        await asyncio.to_thread(self._store, data)

    def _store(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(data)


def clear_folder(folder: Path) -> None:
    """Make the folder, and remove what a killed process left in it more than an hour ago.

    Younger files may belong to another replica; no request lasts that long.
    """
    folder.mkdir(parents=True, exist_ok=True)
    oldest = time.time() - _ABANDONED_AFTER_S
    for left in folder.glob(f"{REQUEST_PREFIX}*"):
        if left.stat().st_mtime < oldest:
            shutil.rmtree(left, ignore_errors=True)


def too_large(rule: MediaInput) -> MediaTooLargeError:
    """Return the refusal of a file above the input's limit."""
    limit = f"{rule.max_bytes / MIB:g} MB"
    return MediaTooLargeError(
        rule.name,
        Text(
            f"O arquivo passa de {limit}. Envie um menor.",
            f"The file is larger than {limit}. Send a smaller one.",
        ),
        {"limit": str(rule.max_bytes)},
    )


def _empty(rule: MediaInput) -> MediaEmptyError:
    text = Text(
        "O arquivo está vazio (0 bytes). Escolha-o de novo e envie.",
        "The file is empty (0 bytes). Choose it again and send it.",
    )
    return MediaEmptyError(rule.name, text, {"bytes": "0"})
