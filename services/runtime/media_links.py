"""Links of our gateway that serve one blob and carry their own permission.

The signature is an HMAC over digest, name and expiry with a key that the queue (which signs) and
the gateway (which verifies) share: `ETAPA_MEDIA_KEY`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlsplit

from services.runtime.errors import NotFoundError

_PATH = re.compile(r"/media/(?P<sha256>[0-9a-f]{64})/(?P<name>[A-Za-z0-9._\-]{1,120})")


class LinkRefusedError(NotFoundError):
    """The link is malformed, forged, or expired. One answer for all three."""

    reason = "LINK_REFUSED"

    def __init__(self) -> None:
        super().__init__("this link is not valid, or not valid any more; ask for a new one")


@dataclass(frozen=True, slots=True)
class MediaLink:
    """What a verified link serves."""

    sha256: str
    name: str


def sign_link(base_url: str, key: bytes, sha256: str, name: str, expires_at: int = 0) -> str:
    """Return the URL of a blob below `base_url`. `expires_at` in Unix seconds, 0 for never."""
    path = f"/media/{sha256}/{_safe_name(name)}"
    query = f"exp={expires_at}&sig={_signature(key, path, expires_at)}"
    return f"{base_url.rstrip('/')}{path}?{query}"


def verify_link(key: bytes, path_and_query: str, now: float) -> MediaLink:
    """Return what a link serves. `now` in Unix seconds. Raises `LinkRefusedError`."""
    parts = urlsplit(path_and_query)
    match = _PATH.fullmatch(parts.path)
    query = parse_qs(parts.query)
    raw_expiry, signature = query.get("exp", [""])[0], query.get("sig", [""])[0]
    if match is None or not raw_expiry.isascii() or not raw_expiry.isdigit():
        raise LinkRefusedError
    expires_at = int(raw_expiry[:12])
    if not hmac.compare_digest(_signature(key, parts.path, expires_at), signature):
        raise LinkRefusedError
    if expires_at and expires_at < now:
        raise LinkRefusedError
    return MediaLink(match["sha256"], match["name"])


def _signature(key: bytes, path: str, expires_at: int) -> str:
    return hmac.new(key, f"{path}?{expires_at}".encode(), hashlib.sha256).hexdigest()[:32]


def _safe_name(name: str) -> str:
    return quote(re.sub(r"[^A-Za-z0-9._\-]+", "-", name).strip("-.")[-100:] or "file", safe="")
