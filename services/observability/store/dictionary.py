"""The dictionaries of frames: they come with migrations, so one is there before it is used."""

from __future__ import annotations

from services.observability.frame import Dictionary, UnknownDictionaryError, unpack
from services.observability.store import SQL
from services.runtime.db import Connection


class Dictionaries:
    """Those of the schema, read when first asked for, and again for a frame of a newer one."""

    def __init__(self) -> None:
        self._known: dict[int, bytes] = {}

    async def newest(self, conn: Connection) -> Dictionary:
        """Return the one to pack with."""
        if not self._known:
            self._known = await _read(conn)
        number = max(self._known)
        return Dictionary(number, self._known[number])

    async def unpack(self, conn: Connection, frame: bytes) -> bytes:
        """Return the bytes of a frame. Raises `UnknownDictionaryError`."""
        try:
            return unpack(frame, self._known)
        except UnknownDictionaryError:
            self._known = await _read(conn)
            return unpack(frame, self._known)


async def _read(conn: Connection) -> dict[int, bytes]:
    rows = await conn.fetch(SQL["read_dictionaries"])
    return {row["number"]: row["content"] for row in rows}
