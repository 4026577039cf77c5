"""Tells whether the bytes of an output can be the media that they are called. No I/O.

A provider's file host may answer an error page with 200 and an image's content type; saved
unseen, it would complete the job and charge its user for it.
"""

from __future__ import annotations

from services.runtime.errors import UnavailableError
from services.runtime.redact import redact_text

HEAD_BYTES = 512
_SHOWN_CHARS = 120
# What files of these types begin with: (offset, bytes). A type that is none of the strict ones is
# only asked not to be text. Which of them it is does not matter: workflows mislabel their files.
_STRICT = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/webp",
        "image/gif",
        "image/bmp",
        "image/avif",
        "image/heic",
        "image/tiff",
        "video/mp4",
        "video/webm",
        "video/quicktime",
        "video/x-matroska",
        "video/x-msvideo",
    }
)
_BEGINNINGS = (
    (0, b"\x89PNG\r\n\x1a\n"),
    (0, b"\xff\xd8\xff"),
    (0, b"GIF8"),
    (0, b"RIFF"),
    (0, b"BM"),
    (0, b"II*\x00"),
    (0, b"MM\x00*"),
    (0, b"\x1aE\xdf\xa3"),
    *((4, atom) for atom in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
)
_TEXTUAL = frozenset({"image/svg+xml"})


class NotTheOutputError(UnavailableError):
    """The file host sent something else than the output; it may send the right bytes later."""

    reason = "NOT_THE_OUTPUT"


def check_content(content_type: str, head: bytes) -> None:
    """Refuse bytes that can't be what they are called. `head`: the first `HEAD_BYTES`.

    Raises `NotTheOutputError` with the host's own words.
    """
    if not head:
        raise NotTheOutputError(f"the file host sent 0 bytes instead of {content_type}")
    if content_type in _STRICT:
        fits = any(head.startswith(magic, offset) for offset, magic in _BEGINNINGS)
    else:
        is_media = content_type.partition("/")[0] in ("image", "video", "audio")
        fits = content_type in _TEXTUAL or not is_media or not _is_text(head)
    if not fits:
        raise NotTheOutputError(f"the file host sent no {content_type} but {_shown(head)}")


def _is_text(head: bytes) -> bool:
    return all(byte >= ord(" ") or byte in b"\t\r\n\f" for byte in head)


def _shown(head: bytes) -> str:
    """Return how the bytes begin, as a person can read it."""
    if not _is_text(head):
        return f"bytes that begin with {head[:16].hex(' ')}"
    text = head.decode("utf-8", "replace")
    return redact_text(text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…")
