"""Tells what a file is by its first bytes. Names and declared types are never believed."""

from __future__ import annotations

from dataclasses import dataclass

from services.tools.tool import Kind

HEAD_BYTES = 4096

# What is accepted, by content, in the order of a file dialog.
ACCEPTED: dict[Kind, tuple[str, ...]] = {
    Kind.IMAGE: (
        "image/jpeg",
        "image/png",
        "image/webp",
        "image/heic",
        "image/avif",
        "image/gif",
        "image/bmp",
    ),
    Kind.VIDEO: ("video/mp4", "video/webm", "video/quicktime", "video/x-m4v"),
}

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"8BPS", "image/vnd.adobe.photoshop"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "application/ogg"),
    (b"#EXTM3U", "application/vnd.apple.mpegurl"),
)
# Major brands of ISO base media files (mp4ra.org/registered-types/brands, read 2026-11-24).
_BRANDS: tuple[tuple[bytes, str], ...] = (
    (b"avif", "image/avif"),
    (b"avis", "image/avif"),
    (b"hei", "image/heic"),
    (b"hev", "image/heic"),
    (b"mif1", "image/heic"),
    (b"msf1", "image/heic"),
    (b"qt  ", "video/quicktime"),
    (b"M4V", "video/x-m4v"),
    (b"M4A", "audio/mp4"),
    (b"3g", "video/3gpp"),
)
# QuickTime files older than brands begin with one of these atoms.
_ATOMS = (b"moov", b"mdat", b"wide")


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What the first bytes say. `kind` is None where it is nothing that any tool takes."""

    kind: Kind | None
    content_type: str


def sniff(head: bytes) -> Sniffed:
    """Return what a file is, from its first `HEAD_BYTES` bytes."""
    content_type = _content_type(head)
    kinds = [kind for kind, accepted in ACCEPTED.items() if content_type in accepted]
    return Sniffed(kinds[0] if kinds else None, content_type)


def _content_type(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        return next((name for brand, name in _BRANDS if head[8:12].startswith(brand)), "video/mp4")
    if head[4:8] in _ATOMS:
        return "video/quicktime"
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}.get(head[8:12], "audio/wav")
    if head[:4] == b"\x1aE\xdf\xa3":
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    found = next((name for magic, name in _MAGIC if head.startswith(magic)), "")
    return found or _text_or_unknown(head)


def _text_or_unknown(head: bytes) -> str:
    start = head.lstrip()[:14].lower()
    if start.startswith((b"<svg", b"<?xml")):
        return "image/svg+xml"
    if start.startswith((b"<!doctype html", b"<html")):
        return "text/html"
    printable = bool(head) and all(byte >= 32 or byte in b"\t\r\n\f" for byte in head)
    return "text/plain" if printable else "application/octet-stream"
