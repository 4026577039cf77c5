"""Serves signed links to blobs, for the provider to fetch inputs and for people to see outputs.

What lies behind a link came from a stranger: no browser may take it for anything but media.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import hdrs, web

from services.runtime.blobs import BlobNotFoundError, BlobStore
from services.runtime.errors import UnavailableError
from services.runtime.log import get_log
from services.runtime.media_links import LinkRefusedError, MediaLink, verify_link

log = get_log(__name__)

ROUTE = "/media/{sha256}/{name}"
SNIFF_BYTES = 32
LONGEST_CACHE_S = 24 * 3600
_OTHER = "application/octet-stream"
# Only what a browser shows without running it; svg, html and pdf are not among them.
_BY_EXTENSION: Mapping[str, str] = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "avif": "image/avif",
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
}
_BY_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftypmif1", "image/heic"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
)


@dataclass(frozen=True, slots=True)
class _Span:
    """Half-open range of bytes of a file of `size`."""

    start: int
    stop: int
    size: int

    @property
    def is_whole(self) -> bool:
        return self.stop - self.start == self.size


class MediaEdge:
    """Handlers of the media route. Without a key every link is refused."""

    def __init__(self, blobs: BlobStore, key: bytes) -> None:
        self._blobs = blobs
        self._key = key

    def add_to(self, app: web.Application) -> None:
        """Add the route for GET and HEAD; other methods are answered 405."""
        app.router.add_get(ROUTE, self.serve)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve a blob, whole or in part; 404 for every link that is not good."""
        now = time.time()
        try:
            if not self._key:
                raise LinkRefusedError
            link = verify_link(self._key, request.raw_path, now)
            size = await self._blobs.size(link.sha256)
            if size is None:
                raise BlobNotFoundError(link.sha256)
            return await self._answer(request, link, size, now)
        except (LinkRefusedError, BlobNotFoundError):
            return _plain(404, "there is nothing here, or not any more")
        except UnavailableError as error:
            log.warning("media_unavailable", error=str(error))
            return _plain(503, "the file can't be read at the moment; try again soon")

    async def _answer(
        self, request: web.Request, link: MediaLink, size: int, now: float
    ) -> web.StreamResponse:
        headers = _headers(link, await self._content_type(link), _cache_s(request, now))
        if _is_known(request, headers[hdrs.ETAG]):
            return web.Response(status=304, headers=headers)
        span = _asked_range(request, size, headers[hdrs.ETAG])
        if span is None:
            headers[hdrs.CONTENT_RANGE] = f"bytes */{size}"
            return web.Response(status=416, headers=headers)
        return await self._stream(request, link, span, headers)

    async def _stream(
        self, request: web.Request, link: MediaLink, span: _Span, headers: dict[str, str]
    ) -> web.StreamResponse:
        is_part = hdrs.RANGE in request.headers and not span.is_whole
        response = web.StreamResponse(status=206 if is_part else 200, headers=headers)
        response.content_length = span.stop - span.start
        if is_part:
            response.headers[hdrs.CONTENT_RANGE] = f"bytes {span.start}-{span.stop - 1}/{span.size}"
        await response.prepare(request)
        if request.method == hdrs.METH_HEAD:
            return response
        try:
            async for piece in self._blobs.stream(link.sha256, span.start, span.stop):
                await response.write(piece)
        except (BlobNotFoundError, UnavailableError) as error:
            # The length is promised already: only a broken connection tells the truth now.
            log.warning("media_broken_off", sha256=link.sha256, error=str(error))
            raise ConnectionResetError from error
        await response.write_eof()
        return response

    async def _content_type(self, link: MediaLink) -> str:
        start = b""
        async for piece in self._blobs.stream(link.sha256, 0, SNIFF_BYTES):
            start += piece
        return content_type(start, link.name)


def content_type(start: bytes, name: str) -> str:
    """Tell the media type by the first bytes, else by the name; never one that can run."""
    for place, magic, kind in _BY_MAGIC:
        if start.startswith(magic, place):
            return kind
    kind = _BY_EXTENSION.get(name.rpartition(".")[2].lower(), _OTHER)
    # Matroska's one magic covers two types; the name decides, and video is the safe guess.
    if start.startswith(b"\x1a\x45\xdf\xa3"):
        return kind if kind == "video/x-matroska" else "video/webm"
    return kind


def _headers(link: MediaLink, kind: str, cache_s: int) -> dict[str, str]:
    disposition = "attachment" if kind == _OTHER else "inline"
    return {
        hdrs.CONTENT_TYPE: kind,
        hdrs.CONTENT_DISPOSITION: f'{disposition}; filename="{link.name}"',
        hdrs.ETAG: f'"{link.sha256}"',
        hdrs.ACCEPT_RANGES: "bytes",
        hdrs.CACHE_CONTROL: f"private, max-age={cache_s}, immutable",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }


def _cache_s(request: web.Request, now: float) -> int:
    """How long a copy may be kept: not beyond the link's own life."""
    expires_at = int(request.query.get("exp", "0")[:12])
    left = int(expires_at - now) if expires_at else LONGEST_CACHE_S
    return max(0, min(left, LONGEST_CACHE_S))


def _is_known(request: web.Request, etag: str) -> bool:
    known = request.headers.get(hdrs.IF_NONE_MATCH, "")
    return known.strip() == "*" or etag in (
        one.strip().removeprefix("W/") for one in known.split(",")
    )


def _asked_range(request: web.Request, size: int, etag: str) -> _Span | None:
    """Return what to serve; None where the range lies outside the file (RFC 9110 §14).

    What can't be read, or asks for several ranges, is answered with the whole file.
    """
    whole = _Span(0, size, size)
    if request.headers.get(hdrs.IF_RANGE, etag) != etag:
        return whole
    try:
        asked = request.http_range
    except ValueError:
        return whole
    start, stop = asked.start, asked.stop
    if start is None and stop is None:
        return whole
    if start is not None and start < 0:  # the last so many bytes
        start, stop = max(0, size + start), size
    start = start or 0
    stop = size if stop is None else min(stop, size)
    return _Span(start, stop, size) if start < stop else None


def _plain(status: int, text: str) -> web.Response:
    headers = {hdrs.CACHE_CONTROL: "no-store", "X-Content-Type-Options": "nosniff"}
    return web.Response(status=status, text=text, headers=headers)
