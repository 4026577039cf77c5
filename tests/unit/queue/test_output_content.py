"""What an output's bytes may be, by what they are called."""

from __future__ import annotations

import pytest

from services.queue.output_content import NotTheOutputError, check_content

PNG = b"\x89PNG\r\n\x1a\n\x00\x00"


@pytest.mark.parametrize(
    ("content_type", "head"),
    [
        ("image/png", PNG),
        ("image/png", b"\xff\xd8\xff\xe0"),
        ("image/webp", b"RIFF\x10\x00\x00\x00WEBP"),
        ("video/mp4", b"\x00\x00\x00\x20ftypisom"),
        ("video/quicktime", b"\x00\x00\x00\x08wide"),
        ("video/webm", b"\x1aE\xdf\xa3"),
        ("image/x-exr", b"v/1\x01\x02"),
        ("audio/mpeg", b"ID3\x04\x00"),
        ("image/svg+xml", b"<svg/>"),
        ("text/plain", b"a prompt"),
        ("application/json", b"{}"),
        ("application/octet-stream", b"anything"),
    ],
)
def test_bytes_that_may_be_what_they_are_called_pass(content_type: str, head: bytes) -> None:
    check_content(content_type, head)


@pytest.mark.parametrize(
    ("content_type", "head", "says"),
    [
        ("image/png", b"", "0 bytes instead of image/png"),
        ("text/plain", b"", "0 bytes"),
        ("image/png", b'{"code":805,"msg":"x"}', '{"code":805,"msg":"x"}'),
        ("video/mp4", b"<html>Bad Gateway</html>", "no video/mp4 but <html>Bad Gateway</html>"),
        ("audio/mpeg", b"<html>", "no audio/mpeg"),
        ("image/png", b"\x00\x01\x02", "bytes that begin with 00 01 02"),
        ("image/png", "olá ".encode() * 99, "olá"),
    ],
)
def test_bytes_that_are_something_else_are_refused_in_the_hosts_words(
    content_type: str, head: bytes, says: str
) -> None:
    with pytest.raises(NotTheOutputError) as refused:
        check_content(content_type, head)
    assert says in refused.value.message
    assert len(refused.value.message) < 300
