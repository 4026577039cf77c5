"""Postgres reads frames as the service does, and keeps every dictionary that was ever used."""

from __future__ import annotations

import hashlib

import asyncpg
import pytest

from services.observability.frame import Dictionary, pack
from services.observability.store.dictionary import Dictionaries
from services.runtime.db import Pool
from tests.support.bodies import BODIES, DICTIONARY

# Frames name a dictionary for ever: what is here may be added to, never changed.
DIGESTS = {1: "9986a65a160f05ceb56a35cf81822a92d72cde65f52e8dd6d7d7d48ae2f2244c"}


async def test_the_dictionaries_are_those_that_frames_were_made_with(pool: Pool) -> None:
    rows = await pool.fetch("SELECT number, content FROM observability.dictionaries")
    assert {row["number"]: hashlib.sha256(row["content"]).hexdigest() for row in rows} == DIGESTS


@pytest.mark.parametrize("name", BODIES)
async def test_sql_reads_a_frame_to_the_byte(pool: Pool, name: str) -> None:
    frame = pack(BODIES[name], DICTIONARY)
    assert await pool.fetchval("SELECT observability.unframed($1)", frame) == BODIES[name]


async def test_a_damaged_frame_ends_in_an_error(pool: Pool) -> None:
    frame = pack(BODIES["json"], DICTIONARY)
    broken = [frame[:-3], frame[:4] + b"\x00\x00\x00", bytes((200,)) + frame[1:]]
    for each in broken:
        with pytest.raises(asyncpg.PostgresError):
            await pool.fetchval("SELECT observability.unframed($1)", each)


async def test_a_newer_dictionary_leaves_older_frames_readable(pool: Pool) -> None:
    dictionaries, body = Dictionaries(), BODIES["json"]
    async with pool.acquire() as conn:
        assert await dictionaries.newest(conn) == DICTIONARY
        await conn.execute("INSERT INTO observability.dictionaries VALUES (2, $1)", body)
        newer = pack(body, Dictionary(2, body))
        assert len(newer) < len(pack(body, DICTIONARY))
        for frame in (pack(body, DICTIONARY), newer):
            assert await dictionaries.unpack(conn, frame) == body
            assert await conn.fetchval("SELECT observability.unframed($1)", frame) == body
        assert (await Dictionaries().newest(conn)).number == 2
