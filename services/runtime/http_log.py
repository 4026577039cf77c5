"""Sorts what aiohttp's server logs: a sender's mistake is one line, a fault keeps its traceback.

Anybody on the internet can send garbage; it must not fill the log.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from services.runtime.log import get_log

_log = get_log(__name__)
# aiohttp's own words stand before the sender's (3.14, tried 2026-11-24). The latter are not
# logged: they may be the middle of a token whose beginning, by which it is known, came before.
_OWN_WORDS = re.compile(r"[A-Za-z][A-Za-z0-9\s,-]{0,119}(?=[:\n]|$)")


class EdgeLogger(logging.LoggerAdapter[logging.Logger]):
    """Give it to an `AppRunner` as its logger."""

    def __init__(self) -> None:
        super().__init__(logging.getLogger("aiohttp.server"), {})

    def exception(self, msg: object, *args: object, exc_info: Any = True, **more: Any) -> None:
        """Log a fault with its traceback, or a malformed request in one line."""
        if not _log_malformed(exc_info, args):
            super().exception(msg, *args, exc_info=exc_info, **more)

    def debug(self, msg: object, *args: object, exc_info: Any = None, **more: Any) -> None:
        """Log what matters to nobody, but for a first line that is not HTTP at all."""
        if not _log_malformed(exc_info, args):
            super().debug(msg, *args, exc_info=exc_info, **more)


def _log_malformed(error: Any, args: tuple[object, ...]) -> bool:
    """Log the error if it is the sender's; say whether it was."""
    if not isinstance(error, HttpProcessingError | web.RequestPayloadError):
        return False
    words = _OWN_WORDS.match(getattr(error, "message", "") or "")
    _log.info(
        "http_request_malformed",
        remote=str(args[0]) if args else "",
        error=type(error).__name__,
        detail=" ".join(words.group().split()) if words else "",
    )
    return True
