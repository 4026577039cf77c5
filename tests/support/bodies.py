"""Bodies of all sorts, and the first dictionary, as the migration that ships it has it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

import services.observability
from services.observability.frame import Dictionary

_MIGRATION: Final = Path(services.observability.__path__[0]) / "migrations/0005_dictionary.sql"
DICTIONARY: Final = Dictionary(1, _MIGRATION.read_text("utf-8").split("$bodies$")[1].encode())
_noise = random.Random(1).randbytes  # noqa: S311 - not for secrets
BODIES: Final = {
    "empty": b"",
    "one byte": b"x",
    "json": b'{"taskId":"1990000000000000001","status":"SUCCESS","results":null}',
    "words": "任务 não encontrada \u2028 \U0001f600".encode() * 7,
    "no text": b"\xff\xfe\x00\x01" * 9,
    "noise": _noise(3000),
    "a run": b"a" * 65_536,
    "pairs": b"ab" * 20_000,
    "long literals": _noise(700) + b"taskId" * 200 + _noise(700),
    "as long as fits": b'{"error":"' + _noise(200).hex().encode() * 160 + b'"}',
}
