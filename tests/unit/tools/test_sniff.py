from __future__ import annotations

import pytest

from services.tools.sniff import sniff
from services.tools.tool import Kind


@pytest.mark.parametrize(
    ("head", "kind", "content_type"),
    [
        (b"\xff\xd8\xff\xe0", Kind.IMAGE, "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", Kind.IMAGE, "image/png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", Kind.IMAGE, "image/webp"),
        (b"\x00\x00\x00\x18ftypheic", Kind.IMAGE, "image/heic"),
        (b"\x00\x00\x00\x18ftypmif1", Kind.IMAGE, "image/heic"),
        (b"\x00\x00\x00\x18ftypavif", Kind.IMAGE, "image/avif"),
        (b"GIF89a", Kind.IMAGE, "image/gif"),
        (b"\x00\x00\x00\x18ftypisom", Kind.VIDEO, "video/mp4"),
        (b"\x00\x00\x00\x18ftypqt  ", Kind.VIDEO, "video/quicktime"),
        (b"\x00\x00\x00\x18ftypM4V ", Kind.VIDEO, "video/x-m4v"),
        (b"\x00\x00\x00\x08wide\x00\x00", Kind.VIDEO, "video/quicktime"),
        (b"\x1aE\xdf\xa3\x01\x00B\x82\x84webm", Kind.VIDEO, "video/webm"),
        (b"\x1aE\xdf\xa3\x01\x00B\x82\x88matroska", None, "video/x-matroska"),
        (b"\x00\x00\x00\x18ftypM4A ", None, "audio/mp4"),
        (b"II*\x00", None, "image/tiff"),
        (b"  <svg xmlns=", None, "image/svg+xml"),
        (b"<!DOCTYPE html><html>", None, "text/html"),
        (b"plain words", None, "text/plain"),
        (b"\x00\x01", None, "application/octet-stream"),
        (b"", None, "application/octet-stream"),
    ],
)
def test_content_decides_what_a_file_is(head: bytes, kind: Kind | None, content_type: str) -> None:
    found = sniff(head)
    assert (found.kind, found.content_type) == (kind, content_type)
