"""The rules of every request: whom we answer, from where a change may come, what pages may load."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from services.console.errors import CsrfRefusedError, HostRefusedError
from services.console.fields import posted_fields
from services.console.who import CSRF_FIELD, CSRF_HEADER, is_ours

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_SAFE = ("GET", "HEAD", "OPTIONS")
# The upload's reader looks for the token itself, before any file.
CSRF_IN_BODY = web.RequestKey("csrf_in_body", bool)


def content_policy(media_origin: str) -> str:
    """Return the Content-Security-Policy: no inline script or style, media of our gateway."""
    return "; ".join(
        (
            "default-src 'self'",
            f"img-src 'self' blob: {media_origin}".rstrip(),
            f"media-src 'self' blob: {media_origin}".rstrip(),
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def add_headers(media_origin: str) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Return what adds the headers to every answer, errors and streams included."""
    policy = content_policy(media_origin)

    async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        headers.setdefault("Content-Security-Policy", policy)
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
        # Pages show people's photos; our own files are asked for again, and mostly not sent again.
        is_static = request.path.startswith("/static/")
        headers.setdefault("Cache-Control", "no-cache" if is_static else "no-store")

    return on_prepare


def refuse_strangers(hosts: tuple[str, ...]) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Return the middleware that checks names and origins.

    There is no login, so a foreign page must neither read (by a name of its own that resolves to
    loopback) nor change anything (by a form of its own).
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path != "/healthz" and not _is_our_name(request.host, hosts):
            raise HostRefusedError(request.host)
        if request.method not in _SAFE:
            await _check_change(request)
        return await handler(request)

    return middleware


async def _check_change(request: web.Request) -> None:
    site = request.headers.get("Sec-Fetch-Site", "")
    if site and site not in ("same-origin", "none"):
        raise CsrfRefusedError(f"Sec-Fetch-Site: {site}")
    origin = request.headers.get("Origin", "")
    if origin and _netloc(origin) != request.host:
        raise CsrfRefusedError(f"Origin: {origin}")
    token = request.headers.get(CSRF_HEADER, "")
    if not token and request.content_type == "multipart/form-data":
        request[CSRF_IN_BODY] = True
        return
    if not token:
        token = (await posted_fields(request)).get(CSRF_FIELD, "")
    if not is_ours(request, token):
        raise CsrfRefusedError("no token")


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_our_name(host: str, hosts: tuple[str, ...]) -> bool:
    try:
        name = (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost") or name in hosts:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
