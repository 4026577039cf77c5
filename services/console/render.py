"""Turns values into HTML: the template set-up, and the one object by which templates speak."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import web
from google.protobuf import timestamp_pb2
from markupsafe import Markup

from etapa_client import words
from etapa_client.names import HEALTH_NAMES, LEDGER_NAMES, STATUS_NAMES, STEP_NAMES
from etapa_client.words import Language
from services.console import shown, texts
from services.console.who import csrf_of, keep_cookies, language_of, user_of
from services.runtime.ids import new_id

_JOB_ID = re.compile(r"\b([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
_TABLES: Mapping[str, Mapping[str, words.Words]] = {
    "status": words.STATUSES,
    "side": words.SIDES,
    "retry": words.RETRIES,
    "ledger": texts.LEDGER,
    "payload": texts.PAYLOADS,
    "health": texts.HEALTHS,
    "service": texts.SERVICES,
}


class Speaker:
    """What templates call to say something in the reader's language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.tag = language.tag
        self.other = Language.EN if language is Language.PT else Language.PT

    def t(self, key: str, **facts: object) -> str:
        """Return a text of the catalogue. Raises KeyError for one that it lacks."""
        return texts.TEXTS[key].to(self.language, **facts)

    def word(self, table: str, key: str) -> str:
        """Return a word of one of the tables."""
        return words.word(_TABLES[table], key, self.language)

    def step(self, code: str) -> str:
        """Return a step's name on the timeline."""
        return words.step_name(code, self.language)

    def failed(self, code: str) -> str:
        """Return a step's label after "Falhou em:"."""
        return words.failed_label(code, self.language)

    def high_demand(self) -> str:
        """Return the consolation of a long wait."""
        return words.HIGH_DEMAND.to(self.language)

    def both(self, pt: str, en: str) -> str:
        """Return one of two texts that a service gave."""
        return pt if self.language is Language.PT else en

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number."""
        return words.number(value, self.language, digits)

    def duration(self, seconds: float | None) -> str:
        """Return a duration."""
        return shown.duration(seconds, self.language)

    def lasted(
        self,
        start: datetime | timestamp_pb2.Timestamp | None,
        end: datetime | timestamp_pb2.Timestamp | None,
    ) -> str:
        """Return how long something took; a dash while it goes on."""
        return self.duration(shown.seconds_between(_moment(start), _moment(end)))

    def size(self, count: int) -> str:
        """Return a number of bytes."""
        return words.size(count, self.language)

    def clock(self, when: datetime | timestamp_pb2.Timestamp | None) -> str:
        """Return a time of day in UTC."""
        return shown.clock(_moment(when), self.language)

    def when(self, when: datetime | timestamp_pb2.Timestamp | None) -> str:
        """Return date and time in UTC."""
        return shown.day_and_time(_moment(when), self.language)

    def iso(self, when: datetime | timestamp_pb2.Timestamp | None) -> str:
        """Return a time for programs."""
        return shown.iso(_moment(when))

    def value(self, value: Any) -> str:
        """Return a detail's value on one line."""
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def set_up_templates(app: web.Application) -> None:
    """Load the templates; everything is escaped, and a name that is missing is an error."""
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.PackageLoader("services.console"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["short"] = shown.short_id
    environment.filters["link"] = _link
    environment.filters["link_ids"] = link_ids
    environment.filters["status_name"] = lambda value: STATUS_NAMES.get(value, str(value))
    environment.filters["step_name"] = lambda value: STEP_NAMES.get(value, str(value))
    environment.filters["health_name"] = lambda value: HEALTH_NAMES.get(value, str(value))
    environment.filters["ledger_kind"] = lambda value: LEDGER_NAMES.get(value, str(value))


def render(
    request: web.Request, template: str, *, status: int = 200, **values: Any
) -> web.Response:
    """Return a page or a part of one."""
    context = {
        "say": Speaker(language_of(request)),
        "user": user_of(request),
        "csrf": csrf_of(request),
        "path": request.path,
        "here": request.path_qs,
        "in_other_language": str(request.rel_url.update_query(lang=_other(request).value)),
        "nonce": str(new_id()),
        **values,
    }
    response = aiohttp_jinja2.render_template(template, request, context)
    response.set_status(status)
    keep_cookies(request, response)
    return response


def is_fragment(request: web.Request) -> bool:
    """Tell whether a part of a page is asked for."""
    return request.headers.get("HX-Request") == "true"


def link_ids(text: str) -> Markup:
    """Return a sentence whose job ids are short links; all else is escaped."""
    parts = _JOB_ID.split(text)
    link = Markup('<a class="mono" href="/jobs/{0}">{1}</a>')
    return Markup("").join(
        link.format(part, shown.short_id(part)) if index % 2 else part
        for index, part in enumerate(parts)
    )


def _link(url: str) -> str:
    # A link of another scheme could be a script.
    return url if url.startswith(("http://", "https://")) else ""


def _other(request: web.Request) -> Language:
    return Language.EN if language_of(request) is Language.PT else Language.PT


def _moment(when: datetime | timestamp_pb2.Timestamp | None) -> datetime | None:
    return shown.moment(when) if isinstance(when, timestamp_pb2.Timestamp) else when
