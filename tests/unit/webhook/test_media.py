"""Media types are told by the bytes first, and never are ones that a browser runs."""

from __future__ import annotations

import pytest

from services.webhook.media import content_type


@pytest.mark.parametrize(
    ("start", "name", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "a.png", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "a", "image/png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "a.jpg", "image/webp"),
        (b"\x00\x00\x00\x18ftypmp42", "a.bin", "video/mp4"),
        (b"\x00\x00\x00\x14ftypqt  ", "a.mp4", "video/quicktime"),
        (b"\x1a\x45\xdf\xa3", "a.webm", "video/webm"),
        (b"\x1a\x45\xdf\xa3", "a.mkv", "video/x-matroska"),
        (b"????", "a.MP4", "video/mp4"),
        (b"<svg xmlns=", "a.svg", "application/octet-stream"),
        (b"<html>", "a.html", "application/octet-stream"),
        (b"%PDF-1.7", "a.pdf", "application/octet-stream"),
        (b"", "", "application/octet-stream"),
    ],
)
def test_a_type_is_told_by_bytes_then_name(start: bytes, name: str, kind: str) -> None:
    assert content_type(start, name) == kind
