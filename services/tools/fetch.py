"""Fetches a media input from the URL that a user gave, and says in their terms why not.

The transfer, its redirects and which addresses may be dialled are `runtime.fetch` and
`runtime.net`.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import aiohttp

from services.runtime.fetch import FetchError, FetchFailure, FetchLimits, open_url
from services.runtime.net import ForbiddenAddressError, Network, public_connector
from services.tools.domain import (
    BadMediaError,
    Text,
    UrlFailedError,
    UrlRefusedError,
    UrlTimeoutError,
)
from services.tools.spool import Spool, Spooled, too_large
from services.tools.tool import MediaInput

CONNECT_S = 10.0
TOTAL_S = 90.0
MAX_REDIRECTS = 3

_ELSE = Text("ou envie o próprio arquivo", "or send the file itself")


class Fetcher:
    """Use it as `async with Fetcher(allow) as fetcher`.

    `allow` admits networks that are not public; empty in production.
    """

    def __init__(self, allow: Sequence[Network], total_s: float = TOTAL_S) -> None:
        self._allow = allow
        self._total_s = total_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Each body is streamed and counted, and a cookie of one user's site is no other's.
        self._session = aiohttp.ClientSession(
            connector=public_connector(self._allow),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def fetch(self, url: str, rule: MediaInput, spool: Spool) -> Spooled:
        """Bring the file into the spool and return it. Raises a `BadMediaError`."""
        session = self._session
        if session is None:
            raise RuntimeError("enter the fetcher before use")
        limits = FetchLimits(
            max_bytes=rule.max_bytes,
            connect_timeout_s=CONNECT_S,
            total_timeout_s=self._total_s,
            max_redirects=MAX_REDIRECTS,
        )
        try:
            async with open_url(url, lambda _url: session, limits) as incoming:
                async for piece in incoming.chunks:
                    await spool.write(piece)
                return await spool.finish()
        except ForbiddenAddressError as err:
            raise _refused(rule, "PRIVATE_ADDRESS", err) from err
        except FetchError as err:
            raise _failed(rule, err) from err
        finally:
            spool.close()


def _refused(
    rule: MediaInput, why: str, err: ForbiddenAddressError | FetchError
) -> UrlRefusedError:
    text = Text(
        f"Este endereço não pode ser baixado. Use uma URL pública http(s), {_ELSE.pt}.",
        f"This address is not fetched: {_cause(err)}. Use a public http(s) URL, {_ELSE.en}.",
    )
    return UrlRefusedError(rule.name, text, {**err.facts, "why": why})


def _cause(err: ForbiddenAddressError | FetchError) -> str:
    if isinstance(err, ForbiddenAddressError):
        return f"{err.host} is not a public internet address"
    return err.message


def _failed(rule: MediaInput, err: FetchError) -> BadMediaError:
    if err.failure is FetchFailure.TOO_BIG:
        return too_large(rule)
    if err.failure is FetchFailure.BAD_URL:
        return _refused(rule, "BAD_URL", err)
    if err.failure is FetchFailure.TIMED_OUT:
        text = Text(
            f"O servidor do endereço demorou demais. Tente de novo, {_ELSE.pt}.",
            f"The address's server was too slow: {err.message}. Try again, {_ELSE.en}.",
        )
        return UrlTimeoutError(rule.name, text, err.facts)
    text = Text(
        f"Não foi possível baixar o arquivo do endereço. Verifique-o, {_ELSE.pt}.",
        f"The file could not be fetched: {err.message}. Check the address, {_ELSE.en}.",
    )
    return UrlFailedError(rule.name, text, err.facts)
