"""The one place where secrets are masked before anything is stored or logged.

Masked are: our own keys and tokens (given by value), bearer headers, callback tokens in our
URLs, and credentials inside provider URLs (query signatures, `Rh-Comfy-Auth`, userinfo). A mask
keeps the length, so offsets stay true.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MASK = b"*"

# What a secret looks like, by one or two texts of which a body must hold one for the patterns to
# match: to look for those first costs a third. Both are looked for in the lower-cased body, which
# is faster than to ignore case and leaves every offset as it is.
_PATTERNS = tuple(
    (needles, tuple(map(re.compile, patterns)))
    for needles, *patterns in (
        (
            (b"/runninghub",),
            # /runninghub/{token} and /runninghub/video/{token} of our own gateway, however short
            # the token, also with JSON's escaped slashes; not the folders of a longer path
            rb"/runninghub\\*/(?:video\\*/)?(?P<secret>[a-z0-9_\-]{20,}"
            rb"|[^/?#\s\"'\\<>{}]++(?=[?#\s\"'<>{}]|\\++(?:[^/]|\Z)|\Z))",
        ),
        ((b"bearer",), rb"bearer\s+(?P<secret>[^\s\"'\\,;]+)"),
        (
            (b"key", b"password"),
            rb"\"(?:api_?key|access_?password|userapikey)\"\s*:\s*\"(?P<secret>[^\"]+)\"",
            # JSON inside a JSON string: the quotes are escaped
            rb"\\\"(?:api_?key|access_?password|userapikey)\\\"\s*:\s*\\\""
            rb"(?P<secret>[^\"\\]+)\\\"",
        ),
        (
            (b"?", b"&"),
            rb"[?&](?:api_?key|rh-comfy-auth|signature|x-amz-signature|x-amz-credential|"
            rb"x-amz-security-token|x-oss-signature|x-oss-credential|x-oss-security-token|"
            rb"ossaccesskeyid|security-token|q-signature|q-ak|"
            rb"token|sig)=(?P<secret>[^&\s\"'\\<>#]+)",
        ),
        ((b"@",), rb"://[^/\s:@\"']+:(?P<secret>[^/\s@\"']+)@"),
    )
)


@dataclass(frozen=True, slots=True)
class Masked:
    """Bytes that may be stored: same length as the original, secrets replaced by `*`.

    `ranges` are half-open byte offsets, ascending, of what was masked; `sha256` is the digest
    of the original bytes (32 bytes).
    """

    body: bytes
    ranges: tuple[tuple[int, int], ...]
    sha256: bytes


def mask(body: bytes, secrets: Iterable[str] = ()) -> Masked:
    """Mask known secrets by value and everything that looks like a credential by place."""
    ranges = _find(body, secrets)
    return Masked(_covered(body, ranges), ranges, hashlib.sha256(body).digest())


def redact_bytes(body: bytes, secrets: Iterable[str] = ()) -> bytes:
    """Mask as `mask` does, where nobody asks what was masked."""
    return _covered(body, _find(body, secrets))


def redact_text(text: str, secrets: Iterable[str] = ()) -> str:
    """Mask secrets in a text that goes to a log or an error message."""
    if len(text) < 8:
        return text
    raw = text.encode("utf-8", "surrogatepass")
    ranges = _find(raw, secrets)
    if not ranges and text.isascii():
        return text
    return _covered(raw, ranges).decode("utf-8", "replace")


def _find(body: bytes, secrets: Iterable[str]) -> tuple[tuple[int, int], ...]:
    spans: list[tuple[int, int]] = []
    for secret in secrets:
        spans += _places(body, secret.encode())
    lowered = body.lower()
    for needles, patterns in _PATTERNS:
        if needles[0] in lowered or needles[-1] in lowered:
            for pattern in patterns:
                spans += [match.span("secret") for match in pattern.finditer(lowered)]
    return _merge(spans) if spans else ()


def _places(body: bytes, needle: bytes) -> Iterator[tuple[int, int]]:
    size = len(needle)
    start = body.find(needle) if needle else -1
    while start >= 0:
        yield start, start + size
        start = body.find(needle, start + size)


def _covered(body: bytes, ranges: Sequence[tuple[int, int]]) -> bytes:
    if not ranges:
        return body
    out = bytearray(body)
    for start, end in ranges:
        out[start:end] = MASK * (end - start)
    return bytes(out)


def _merge(spans: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif end > start:
            merged.append((start, end))
    return tuple(merged)
