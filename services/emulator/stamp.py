"""Marks a result file with its task id, so that no two tasks give the same bytes.

The mark is metadata that every decoder skips; it is kept beside the shared rendering and put in
when the file is read.
"""

from __future__ import annotations

import struct
import zlib

_PNG_HEADER_END = 8 + 25  # signature, IHDR chunk


def make_stamp(extension: str, size: int, text: str) -> tuple[bytes, int]:
    """Return the bytes to insert and where, for a file of `size` bytes."""
    if extension == "png":
        return _png_chunk(b"tEXt", b"rh-task\x00" + text.encode("latin-1")), _PNG_HEADER_END
    payload = b"rh-task " + text.encode("ascii")
    return struct.pack(">I", 8 + len(payload)) + b"free" + payload, size


def _png_chunk(kind: bytes, payload: bytes) -> bytes:
    check = zlib.crc32(kind + payload)
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", check)
