from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from services.tools.catalog.bg_remover import TOOL
from services.tools.domain import MediaEmptyError, MediaTooLargeError
from services.tools.spool import Spool

RULE = dataclasses.replace(TOOL.media[0], max_bytes=3 << 20)


async def test_pieces_become_one_hashed_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "in", RULE)
    pieces = [bytes([number]) * 700_000 for number in range(4)]
    for piece in pieces:
        await spool.write(piece)
    spooled = await spool.finish()
    assert spooled.path.read_bytes() == b"".join(pieces)
    assert spooled.bytes == 2_800_000
    assert spooled.sha256 == hashlib.sha256(b"".join(pieces)).hexdigest()


async def test_limit_holds_while_the_bytes_come(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "in", RULE)
    await spool.write(b"x" * RULE.max_bytes)
    with pytest.raises(MediaTooLargeError, match="3 MB"):
        await spool.write(b"x")
    spool.close()
    assert (tmp_path / "in").stat().st_size <= RULE.max_bytes


async def test_empty_file_is_refused(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "in", RULE)
    await spool.write(b"")
    with pytest.raises(MediaEmptyError):
        await spool.finish()
