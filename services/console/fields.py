"""Reads a small posted form, whatever its sender made of it."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from services.console.errors import BadFormError

# What aiohttp raises over a body, a part's head, a charset or a boundary that is none (3.14).
UNREADABLE = (ValueError, LookupError, AssertionError, web.RequestPayloadError)


async def posted_fields(request: web.Request) -> Mapping[str, str]:
    """Return the texts of the form. Raises `BadFormError`. Reading it again is free."""
    try:
        posted = await request.post()
    except UNREADABLE as error:
        raise BadFormError(f"the form cannot be read: {type(error).__name__}") from error
    return {name: value for name, value in posted.items() if isinstance(value, str)}
