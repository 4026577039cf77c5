"""Frames: how bytes from outside lie in a row, compressed with a dictionary that the schema keeps.

A frame begins with the number of its dictionary, one byte. 0: the bytes follow as they are. Else
the size of the bytes (three bytes, the highest first) and an LZ4 block, which Postgres can unpack
as well: see `unframed` in the migrations. A dictionary never changes, so a frame stays readable.
Block format: lz4_Block_format.md of github.com/lz4/lz4, read 2026-11-24.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from lz4 import block

_PLAIN: Final = b"\x00"
_HEAD_BYTES: Final = 4
MOST_BYTES: Final = 256**3 - 1


class Dictionary(NamedTuple):
    """Texts that bodies are likely to have; `number` is 1 to 255."""

    number: int
    content: bytes


class UnknownDictionaryError(LookupError):
    """A frame needs a dictionary that is not among those given."""


def pack(data: bytes, dictionary: Dictionary) -> bytes:
    """Return the frame of some bytes; what does not get smaller lies in it as it is."""
    if len(data) <= MOST_BYTES:
        packed: bytes = block.compress(data, store_size=False, dict=dictionary.content)
        if len(packed) + _HEAD_BYTES <= len(data):
            return bytes((dictionary.number,)) + len(data).to_bytes(3) + packed
    return _PLAIN + data


def unpack(frame: bytes, dictionaries: Mapping[int, bytes]) -> bytes:
    """Return the bytes of a frame. Raises `UnknownDictionaryError`."""
    number = frame[0]
    if number == 0:
        return frame[1:]
    if number not in dictionaries:
        raise UnknownDictionaryError(f"a frame needs dictionary {number}, which is not known")
    data: bytes = block.decompress(
        frame[_HEAD_BYTES:],
        uncompressed_size=int.from_bytes(frame[1:_HEAD_BYTES]),
        dict=dictionaries[number],
    )
    return data
