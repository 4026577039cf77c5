"""`etapa credits`: balances, grants and the ledger."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

import typer
from rich.text import Text

from etapa.queue.v1 import credits_pb2
from etapa_client import EtapaClient
from etapa_client.names import LEDGER_NAMES
from etapa_client.trail import rfc3339
from etapa_client.words import Words
from services.cli.layout import BOLD, DIM, GOOD, columns, date_and_clock, one_line
from services.cli.session import DEFAULT_USER, AsJson, Lang, open_session, run

_AVAILABLE = Words(
    "{user}: {available} disponíveis, {reserved} reservados",
    "{user}: {available} available, {reserved} reserved",
)
_GRANTED = Words(
    "{amount} créditos ({bucket}) para {user}; {available} disponíveis",
    "{amount} credits ({bucket}) for {user}; {available} available",
)
_NONE = Words("nenhum lançamento", "no entries")
_LEDGER_PAGE = 500


def register(app: typer.Typer) -> None:
    """Add the group; without a command of its own it shows a balance."""
    group = typer.Typer(help="Show balances, grant credits, list the ledger.")
    group.callback(invoke_without_command=True)(balance)
    group.command("grant")(grant)
    group.command("ledger")(ledger)
    app.add_typer(group, name="credits")


def balance(
    context: typer.Context,
    user: Annotated[str, typer.Option("--user", "-u", help="whose")] = DEFAULT_USER,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Show balances, grant credits, list the ledger."""
    if context.invoked_subcommand is not None:
        return
    session = open_session(context, lang, as_json)
    found = run(session, lambda client: client.credits.get_balance(user))
    if as_json:
        session.json(balance_to_json(user, found))
        return
    facts = {"user": user, "available": found.available, "reserved": found.reserved}
    session.line(Text(session.say(_AVAILABLE, **facts), style=BOLD))
    rows: list[list[Text | str]] = [
        [one_line(one.bucket), str(one.available), Text(str(one.reserved), style=DIM)]
        for one in found.balances
    ]
    session.lines(columns(rows))


def grant(
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="who gets them")],
    amount: Annotated[int, typer.Argument(min=1, max=1_000_000_000, help="whole credits")],
    bucket: Annotated[str, typer.Option("--bucket", help="monthly or lifetime")] = "lifetime",
    request_id: Annotated[
        str, typer.Option("--request-id", help="repeat the command with it: still one grant")
    ] = "",
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Add credits to a user's bucket."""
    session = open_session(context, lang, as_json)
    done = run(
        session,
        lambda client: client.credits.grant_credits(
            request_id=request_id or str(uuid4()), user_id=user, amount=amount, bucket=bucket
        ),
    )
    entry = done.entry
    if as_json:
        session.json({**entry_to_json(entry), "available": done.available})
        return
    facts = {"amount": entry.amount, "bucket": entry.bucket, "user": entry.user_id}
    session.line(session.say(_GRANTED, **facts, available=done.available))


def ledger(
    context: typer.Context,
    user: Annotated[str, typer.Option("--user", "-u", help="only this user's")] = "",
    job: Annotated[str, typer.Option("--job", "-j", help="only this job's")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="at most so many")] = 100,
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """List ledger entries of a user or a job, newest first."""
    session = open_session(context, lang, as_json)
    of_user = user or ("" if job else DEFAULT_USER)
    entries = run(session, lambda client: _read_ledger(client, of_user, job, limit))
    if as_json:
        for entry in entries:
            session.json(entry_to_json(entry))
        return
    if not entries:
        session.line(session.say(_NONE))
    session.lines(columns([_row(entry) for entry in entries], indent=0))


def balance_to_json(user: str, found: credits_pb2.GetBalanceResponse) -> dict[str, Any]:
    """Return a user's balances as an object, buckets in the order in which they are spent."""
    return {
        "user_id": user,
        "available": found.available,
        "reserved": found.reserved,
        "balances": [
            {"bucket": one.bucket, "available": one.available, "reserved": one.reserved}
            for one in found.balances
        ],
    }


def entry_to_json(entry: credits_pb2.LedgerEntry) -> dict[str, Any]:
    """Return one movement of credits as an object."""
    return {
        "entry_id": entry.entry_id,
        "user_id": entry.user_id,
        "job_id": entry.job_id or None,
        "kind": LEDGER_NAMES.get(entry.kind, ""),
        "bucket": entry.bucket,
        "amount": entry.amount,
        "debit": entry.debit,
        "credit": entry.credit,
        "created_at": rfc3339(entry.created_at),
    }


async def _read_ledger(
    client: EtapaClient, user: str, job: str, limit: int
) -> list[credits_pb2.LedgerEntry]:
    found: list[credits_pb2.LedgerEntry] = []
    token = ""
    while len(found) < limit:
        page = await client.credits.list_ledger(
            user_id=user,
            job_id=job,
            page_size=min(_LEDGER_PAGE, limit - len(found)),
            page_token=token,
        )
        found += page.entries
        token = page.next_page_token
        if not token:
            break
    return found


def _row(entry: credits_pb2.LedgerEntry) -> list[Text | str]:
    kind = LEDGER_NAMES.get(entry.kind, "")
    return [
        Text(date_and_clock(entry.created_at), style=DIM),
        Text(kind, style=GOOD if kind in ("grant", "refund") else ""),
        str(entry.amount),
        one_line(entry.bucket),
        f"{entry.debit} → {entry.credit}",
        one_line(entry.user_id),
        Text(entry.job_id, style=DIM),
    ]
