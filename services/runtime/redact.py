"""The one place where secrets are masked before anything is stored or logged.

Masked are: our own keys and tokens (given by value), bearer headers, callback tokens in our
URLs, and credentials inside provider URLs (query signatures, `Rh-Comfy-Auth`, userinfo). A mask
keeps the length, so offsets stay true.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

MASK = b"*"

_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # /runninghub/{token} and /runninghub/video/{token} of our own gateway, however short the
        # token, also with JSON's escaped slashes; not the folders of a longer path
        rb"/runninghub\\*/(?:video\\*/)?(?P<secret>[A-Za-z0-9_\-]{20,}"
        rb"|[^/?#\s\"'\\<>{}]++(?=[?#\s\"'<>{}]|\\++(?:[^/]|\Z)|\Z))",
        rb"bearer\s+(?P<secret>[^\s\"'\\,;]+)",
        rb"\"(?:api_?key|access_?password|userapikey)\"\s*:\s*\"(?P<secret>[^\"]+)\"",
        # JSON inside a JSON string: the quotes are escaped
        rb"\\\"(?:api_?key|access_?password|userapikey)\\\"\s*:\s*\\\"(?P<secret>[^\"\\]+)\\\"",
        rb"[?&](?:api_?key|rh-comfy-auth|signature|x-amz-signature|x-amz-credential|"
        rb"x-amz-security-token|x-oss-signature|x-oss-credential|x-oss-security-token|"
        rb"ossaccesskeyid|security-token|q-signature|q-ak|"
        rb"token|sig)=(?P<secret>[^&\s\"'\\<>#]+)",
        rb"://[^/\s:@\"']+:(?P<secret>[^/\s@\"']+)@",
    )
)

# Every pattern needs one of these; most log fields have none and are let through at once.
_MAY_HOLD_SECRET = re.compile(r"/runninghub[\\/]|bearer|key|password|[?&]|://", re.IGNORECASE)


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
    spans: list[tuple[int, int]] = []
    for secret in secrets:
        needle = secret.encode()
        if needle:
            spans += [match.span() for match in re.finditer(re.escape(needle), body)]
    for pattern in _PATTERNS:
        spans += [match.span("secret") for match in pattern.finditer(body)]
    ranges = _merge(spans)
    out = bytearray(body)
    for start, end in ranges:
        out[start:end] = MASK * (end - start)
    return Masked(bytes(out), ranges, hashlib.sha256(body).digest())


def redact_text(text: str, secrets: Iterable[str] = ()) -> str:
    """Mask secrets in a text that goes to a log or an error message."""
    if len(text) < 8 or (text.isascii() and not (secrets or _MAY_HOLD_SECRET.search(text))):
        return text
    return mask(text.encode("utf-8", "surrogatepass"), secrets).body.decode("utf-8", "replace")


def _merge(spans: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif end > start:
            merged.append((start, end))
    return tuple(merged)
