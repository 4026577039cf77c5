"""Masking: what is a secret by value or by place, and that nothing else changes."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.redact import _PATTERNS, mask, redact_text

TOKEN = "Qx" * 21 + "Z"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"POST /runninghub/{TOKEN} 200", TOKEN),
        (f"https://hooks.example.test/runninghub/video/{TOKEN}", TOKEN),
        ("POST /runninghub/k 200", "k"),
        ("/runninghub/video", "video"),
        ("/runninghub/video/nineteen-characters", "nineteen-characters"),
        ("/runninghub/a.b%2Fc~d?x=1", "a.b%2Fc~d"),
        ('{"webhookUrl":"https://h.example.test/runninghub/kurz"}', "kurz"),
        (r'{"webhookUrl":"https:\/\/h.example.test\/runninghub\/video\/kurz"}', "kurz"),
        (r'{"a":"{\"webhookUrl\":\"https://h.example.test/runninghub/kurz\"}"}', "kurz"),
        ("Authorization: Bearer 0123456789abcdef0123456789abcdef", "0123456789abcdef" * 2),
        ('{"apiKey": "0123456789abcdef", "taskId": "1"}', "0123456789abcdef"),
        (r'{"eventData":"{\"apikey\":\"0123456789abcdef\"}"}', "0123456789abcdef"),
        ("wss://x.example.test/ws?c_host=1&Rh-Comfy-Auth=ZGVhZGJlZWY=", "ZGVhZGJlZWY="),
        ("https://b.example.test/o.png?Expires=1&Signature=aB%2Bc%3D&x=1", "aB%2Bc%3D"),
        ("https://b.example.test/o.png?X-Amz-Signature=deadbeef&X-Amz-Date=1", "deadbeef"),
        ("https://user:hunter22@proxy.example.test/", "hunter22"),
    ],
)
def test_a_secret_is_masked_by_its_place(text: str, secret: str) -> None:
    masked = redact_text(text)
    assert secret not in masked
    assert masked == text.replace(secret, "*" * len(secret))


def test_a_known_secret_is_masked_wherever_it_stands() -> None:
    masked = mask(b"key=abc123;again:abc123", ["abc123"])
    assert masked.body == b"key=******;again:******"
    assert masked.ranges == ((4, 10), (17, 23))


def test_the_digest_is_of_the_original_bytes() -> None:
    body = b'{"apiKey":"secret-value"}'
    assert mask(body).sha256 == hashlib.sha256(body).digest()


@pytest.mark.parametrize(
    "text",
    [
        '{"taskId":"1990712044120342283","status":"RUNNING"}',
        "torch.OutOfMemoryError: Allocation on device 0 would exceed allowed memory.",
        "https://cdn.example.test/output/1990712044120342283/ComfyUI_00001_.png",
        "https://cdn.example.test/runninghub/output/ComfyUI_00001_.png",
        "POST /runninghub/{token} and /runninghub/video/{token}",
        "",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert redact_text(text) == text


_PARTS = st.sampled_from(
    [
        TOKEN,
        "/runninghub/",
        r"/runninghub\/video\/",
        "Bearer ",
        '"apiKey": "',
        '\\"accessPassword\\":\\"',
        '"',
        "?",
        "K",
        "&token=",
        "sig=",
        "://",
        "user:",
        "word@",
        " ",
        "é",
    ]
)


@given(st.lists(_PARTS, max_size=12).map("".join))
def test_a_text_that_is_let_through_at_once_had_nothing_to_mask(text: str) -> None:
    assert redact_text(text) == (mask(text.encode()).body.decode() if len(text) >= 8 else text)


@given(st.binary(max_size=400), st.lists(st.text(min_size=1, max_size=6), max_size=3))
def test_only_the_masked_ranges_change_and_the_length_stays(body: bytes, keys: list[str]) -> None:
    masked = mask(body, keys)
    assert len(masked.body) == len(body)
    inside = {i for start, end in masked.ranges for i in range(start, end)}
    assert all(masked.body[i] == body[i] for i in range(len(body)) if i not in inside)
    assert all(masked.body[i : i + 1] == b"*" for i in inside)
    assert list(masked.ranges) == sorted(masked.ranges)


_ODD = st.sampled_from(["RunningHub/", "bEaReR\t", '"USERAPIKEY":"', "\\", "/", "\u0130", "\u212a"])


@given(st.lists(_PARTS | _ODD, max_size=12).map("".join))
def test_looking_for_needles_first_and_in_lower_case_finds_the_same(text: str) -> None:
    body = text.encode()
    expected = bytearray(body)
    for _, patterns in _PATTERNS:
        for pattern in patterns:
            for match in re.finditer(pattern.pattern, body, re.IGNORECASE):
                start, end = match.span("secret")
                expected[start:end] = b"*" * (end - start)
    assert mask(body).body == bytes(expected)
