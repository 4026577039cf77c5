"""What the tools' views make of a body, whatever it holds."""

from __future__ import annotations

import base64
import json

import pytest

from services.runtime.db import Pool
from services.runtime.ids import new_id


async def shown(pool: Pool, body: bytes | None) -> object:
    text = await pool.fetchval("SELECT observability.body_as_jsonb($1, $2)::text", body, ID)
    return json.loads(text)


ID = new_id()


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": [1, 2.5, null, true, "\\u00e9"]}',
        b'"e999"',
        b'{"seed": 9007199254740993}',
        b'"\\\\u0000 is no NUL"',
        '{"chave": "ação 显存"}'.encode(),
    ],
)
async def test_json_is_shown_as_it_is(pool: Pool, body: bytes) -> None:
    assert await shown(pool, body) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>502</html>",
        b"",
        b'{"a": "\\u0000"}',
        b'{"a": "\\ud800 alone"}',
        b'{"a": 1e999999}',
        b"NaN",
        b'{"a": 1} trailing',
        b"[" * 60_000,
    ],
)
async def test_what_jsonb_cannot_hold_is_shown_as_text(pool: Pool, body: bytes) -> None:
    assert await shown(pool, body) == {"_text": body.decode()}


@pytest.mark.parametrize("body", [b"\xff\xfe", b"nul \x00 inside", b"\xed\xa0\x80", b"\xff" * 200])
async def test_what_is_no_text_is_shown_as_base64(pool: Pool, body: bytes) -> None:
    assert await shown(pool, body) == {"_base64": base64.b64encode(body).decode()}


async def test_what_is_not_in_the_database_is_shown_as_its_id(pool: Pool) -> None:
    assert await shown(pool, None) == {"_payload_id": str(ID)}
