"""Who asks, in which language, and by what token: all that the console reads from cookies."""

from __future__ import annotations

import re
import secrets

from aiohttp import web

from etapa_client.words import Language
from services.console.language import choose_language

LANGUAGE_COOKIE, USER_COOKIE, CSRF_COOKIE = "etapa_lang", "etapa_user", "etapa_csrf"
DEFAULT_USER = "demo"
CSRF_HEADER, CSRF_FIELD = "X-CSRF-Token", "csrf"
_NEW_TOKEN = web.RequestKey("new_token", str)
_YEAR_S = 365 * 24 * 3600
_USER = re.compile(r"[\w.@:+\-]{1,128}")
_TOKEN = re.compile(r"[A-Za-z0-9_\-]{43}")


def language_of(request: web.Request) -> Language:
    """Return the language of this request."""
    return choose_language(
        request.query.get("lang", ""),
        request.cookies.get(LANGUAGE_COOKIE, ""),
        request.headers.get("Accept-Language", ""),
    )


def user_of(request: web.Request) -> str:
    """Return the user as whom this browser acts (development mode: a name, no login)."""
    named = request.cookies.get(USER_COOKIE, "")
    return named if is_user(named) else DEFAULT_USER


def is_user(name: str) -> bool:
    """Tell whether a name can be a user's."""
    return _USER.fullmatch(name) is not None


def csrf_of(request: web.Request) -> str:
    """Return the browser's token, made with its first page."""
    token = request.cookies.get(CSRF_COOKIE, "")
    if _TOKEN.fullmatch(token):
        return token
    if _NEW_TOKEN not in request:
        request[_NEW_TOKEN] = secrets.token_urlsafe(32)
    return request[_NEW_TOKEN]


def is_ours(request: web.Request, token: str) -> bool:
    """Tell whether a posted token is this browser's."""
    kept = request.cookies.get(CSRF_COOKIE, "")
    return bool(kept) and secrets.compare_digest(kept.encode(), token.encode())


def keep_cookies(request: web.Request, response: web.StreamResponse) -> None:
    """Keep the language that was asked for, and the token where it is new."""
    if "lang" in request.query:
        keep(response, LANGUAGE_COOKIE, language_of(request).value)
    if _NEW_TOKEN in request:
        keep(response, CSRF_COOKIE, request[_NEW_TOKEN], secret=True)


def keep(response: web.StreamResponse, name: str, value: str, *, secret: bool = False) -> None:
    """Set a cookie for a year. It never leaves with another site's request."""
    response.set_cookie(name, value, max_age=_YEAR_S, path="/", samesite="Strict", httponly=secret)
