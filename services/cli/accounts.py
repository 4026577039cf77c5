"""`etapa accounts`: lists provider accounts with their health, and changes one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from etapa.queue.v1 import operations_pb2
from etapa_client.names import HEALTH_NAMES
from etapa_client.trail import rfc3339
from etapa_client.words import Words
from services.cli.errors import CliError
from services.cli.layout import BAD, BOLD, DIM, GOOD, PROVIDERS, clock, columns, one_line
from services.cli.session import AsJson, Lang, Session, open_session, run

_NONE = Words("nenhuma conta", "no accounts")
_HEALTH: dict[str, Words] = {
    "ok": Words("ok", "ok"),
    "full": Words("cheia", "full"),
    "unauthorized": Words("chave recusada", "key refused"),
    "no_money": Words("sem dinheiro", "no money"),
    "unreachable": Words("inalcançável", "unreachable"),
}
_SLOTS = Words("{held}/{slots} vagas em uso", "{held}/{slots} slots in use")
_PAUSED = Words("pausada", "paused")
_LOSS = Words(
    "{lost} de {ended} sem callback em 24 h", "{lost} of {ended} without callback in 24 h"
)
_RESTS = Words("descansa até {until}", "rests until {until}")


class NothingToSetError(CliError):
    """`accounts set` was given nothing to change."""


class KeyFileError(CliError):
    """The provider key cannot be read from the file."""


def register(app: typer.Typer) -> None:
    """Add the group; without a command of its own it lists."""
    group = typer.Typer(help="List provider accounts, or change one.")
    group.callback(invoke_without_command=True)(accounts)
    group.command("set")(set_account)
    app.add_typer(group, name="accounts")


def accounts(context: typer.Context, as_json: AsJson = False, lang: Lang = "") -> None:
    """List provider accounts with health and load, or change one."""
    if context.invoked_subcommand is not None:
        return
    session = open_session(context, lang, as_json)
    found = run(session, lambda client: client.operations.list_accounts())
    if not as_json and not found:
        session.line(session.say(_NONE))
    _print(session, found)


def set_account(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="name of the account; a new name makes one")],
    slots: Annotated[int | None, typer.Option("--slots", min=0, max=1000)] = None,
    paused: Annotated[
        bool | None, typer.Option("--paused/--resumed", help="no new claims, or claims again")
    ] = None,
    base_url: Annotated[str | None, typer.Option("--base-url", help="the provider's site")] = None,
    key_file: Annotated[
        str | None,
        typer.Option("--api-key-file", help="file with the provider key; - reads stdin"),
    ] = None,
    reset_health: Annotated[
        bool, typer.Option("--reset-health", help="declare it healthy again")
    ] = False,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Make an account, or change what is given."""
    session = open_session(context, lang, as_json)
    given = (slots, paused, base_url, key_file, reset_health or None)
    if all(value is None for value in given):
        raise NothingToSetError(
            "nothing to set: give --slots, --paused or --resumed, --base-url, --api-key-file or "
            "--reset-health"
        )
    # Not an option of its own: every user of the machine can read a command line.
    key = _read_key(key_file) if key_file else None
    account = run(
        session,
        lambda client: client.operations.set_account(
            name,
            base_url=base_url,
            api_key=key,
            slots=slots,
            paused=paused,
            reset_health=reset_health,
        ),
    )
    _print(session, [account])


def account_to_json(account: operations_pb2.Account) -> dict[str, Any]:
    """Return an account as an object; keys are never in it."""
    return {
        "name": account.name,
        "base_url": account.base_url,
        "slots": account.slots,
        "held": account.held,
        "health": HEALTH_NAMES.get(account.health, ""),
        "rests_until": rfc3339(account.rests_until),
        "paused": account.paused,
        "last_error": account.last_error or None,
        "health_changed_at": rfc3339(account.health_changed_at),
        "ended_attempts": account.ended_attempts,
        "without_callback": account.without_callback,
    }


def _print(session: Session, found: Sequence[operations_pb2.Account]) -> None:
    if session.as_json:
        for account in found:
            session.json(account_to_json(account))
        return
    session.lines(columns([_row(session, account) for account in found], indent=0))


def _row(session: Session, account: operations_pb2.Account) -> list[Text | str]:
    name = HEALTH_NAMES.get(account.health, "")
    colour = GOOD if name == "ok" else BAD if name in ("unauthorized", "no_money") else PROVIDERS
    words = _HEALTH.get(name)
    marks = [session.say(_PAUSED)] if account.paused else []
    if account.rests_until.seconds:
        until = clock(account.rests_until, session.language)
        marks.append(session.say(_RESTS, until=until))
    return [
        Text(one_line(account.name), style=BOLD),
        Text(session.say(words) if words else name, style=colour),
        session.say(_SLOTS, held=account.held, slots=account.slots),
        Text(", ".join(marks), style=PROVIDERS),
        _loss(session, account),
        Text(one_line(account.base_url), style=DIM),
        one_line(account.last_error),
    ]


def _loss(session: Session, account: operations_pb2.Account) -> Text:
    if not account.ended_attempts:
        return Text("")
    words = session.say(_LOSS, lost=account.without_callback, ended=account.ended_attempts)
    return Text(words, style=PROVIDERS if account.without_callback else DIM)


def _read_key(place: str) -> str:
    try:
        text = sys.stdin.read() if place == "-" else Path(place).read_text()
    except OSError as error:
        raise KeyFileError(f"cannot read the key from {place}: {error.strerror}") from error
    key = text.strip()
    if not key:
        raise KeyFileError(f"there is no key in {place}")
    return key
