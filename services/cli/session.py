"""What a command that talks to services works with: addresses, language, and where it prints."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from etapa_client import EtapaClient, EtapaError
from etapa_client.errors import UnavailableError
from etapa_client.words import Language, Words
from services.cli.addresses import Addresses, reachable
from services.cli.errors import CliError
from services.cli.language import choose_language
from services.cli.layout import one_line
from services.cli.surroundings import surroundings
from services.runtime.settings import Env

AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]
Lang = Annotated[str, typer.Option("--lang", help="pt or en; else as LANG says, else pt")]
DEFAULT_USER = "demo"
CALLER = "cli"
Result = TypeVar("Result")

_AWAY = Words(
    "o serviço {name} não responde em {address}: inicie a Etapa com `make up`, "
    "ou diga em ETAPA_{upper}_ADDRESS onde ele está",
    "the {name} service does not answer at {address}: start Etapa with `make up`, "
    "or say in ETAPA_{upper}_ADDRESS where it is",
)
_SERVICES = ("queue", "tools", "observability")


class ServiceError(CliError):
    """A service refused, or does not answer; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Places:
    """`host:port` of the three services that the command line calls."""

    queue: str
    tools: str
    observability: str

    @classmethod
    def from_env(cls, values: Mapping[str, str]) -> Places:
        """Read `ETAPA_<NAME>_ADDRESS`; unset, a service is where it is told to listen."""
        listen = Addresses.from_env(values)
        env = Env(values)
        found = {
            name: env.target(f"ETAPA_{name.upper()}_ADDRESS", reachable(listen.of(name)))
            for name in _SERVICES
        }
        env.finish()
        return cls(**found)

    def name_of(self, address: str) -> str:
        """Return the name of the service at an address; empty if it is none of them."""
        return next((name for name in _SERVICES if getattr(self, name) == address), "")


@dataclass(frozen=True, slots=True)
class Session:
    """One command at work. `out` is stdout; `err` takes what is no result."""

    places: Places
    language: Language
    as_json: bool = False
    out: Console = field(default_factory=lambda: console())
    err: Console = field(default_factory=lambda: console(stderr=True))

    def say(self, words: Words, **facts: object) -> str:
        """Return a text in this session's language."""
        return words.to(self.language, **facts)

    def line(self, text: Text | str = "") -> None:
        """Print one line."""
        self.out.print(text)

    def lines(self, lines: Iterable[Text | str]) -> None:
        """Print several lines."""
        for text in lines:
            self.line(text)

    def warn(self, text: str) -> None:
        """Print one line beside the result."""
        self.err.print(f"etapa: {text}")

    def json(self, value: Mapping[str, Any]) -> None:
        """Print one object on one line."""
        typer.echo(json.dumps(value, ensure_ascii=False))

    def client(self) -> EtapaClient:
        """Return a client of all services; `async with` closes it."""
        places = self.places
        return EtapaClient(
            queue=places.queue,
            tools=places.tools,
            observability=places.observability,
            caller=CALLER,
        )


def console(*, stderr: bool = False) -> Console:
    """Return a console that neither wraps nor interprets what it prints; plain when piped."""
    return Console(stderr=stderr, soft_wrap=True, markup=False, highlight=False, emoji=False)


def open_session(context: typer.Context, lang: str = "", as_json: bool = False) -> Session:
    """Return the session of a command."""
    env = surroundings(context).env
    return Session(Places.from_env(env), choose_language(lang, env), as_json)


def run(session: Session, main: Callable[[EtapaClient], Awaitable[Result]]) -> Result:
    """Run `main` with a client; what a service refuses becomes one line for a person."""

    async def with_client() -> Result:
        async with session.client() as client:
            return await main(client)

    try:
        return asyncio.run(with_client())
    except EtapaError as error:
        raise ServiceError(explain(session, error)) from error


def explain(session: Session, error: EtapaError) -> str:
    """Return one line on what a service said, or on who does not answer."""
    address = error.facts.get("address", "")
    if isinstance(error, UnavailableError) and address:
        name = session.places.name_of(address) or "?"
        return session.say(_AWAY, name=name, upper=name.upper(), address=address)
    text = one_line(error.message)
    if session.language is Language.PT and error.facts.get("message_pt"):
        text = one_line(error.facts["message_pt"])
    return f"{text} (trace {error.trace_id})" if error.trace_id else text
