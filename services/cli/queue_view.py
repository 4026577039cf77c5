"""`etapa queue` and `etapa why`: what runs and waits, and why one job waits."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.text import Text

from etapa.queue.v1 import queue_pb2
from etapa_client.trail import rfc3339
from etapa_client.words import Language, Words
from services.cli.layout import BOLD, DIM, PROVIDERS, columns, duration, one_line
from services.cli.session import AsJson, Lang, Session, open_session, run
from services.cli.trail_view import position_text

_TOTAL = Words(
    "{running} processando, {waiting} esperando, {free} vagas livres",
    "{running} running, {waiting} waiting, {free} slots free",
)
_LIMIT = Words("limite global {limit}", "global limit {limit}")
_OLDEST = Words("o mais antigo espera há {age}", "the oldest has waited {age}")
_ACCOUNTS = Words("Contas", "Accounts")
_TOOLS = Words("Ferramentas", "Tools")
_SLOTS = Words("{held}/{slots} vagas em uso", "{held}/{slots} slots in use")
_NOT_CLAIMABLE = Words("fora de uso agora", "not usable now")
_LOAD = Words("{running} processando, {waiting} esperando", "{running} running, {waiting} waiting")
_PAUSED = Words("pausada", "paused")
_HOLDERS = Words("Ocupam as vagas: {jobs}", "Slots are held by: {jobs}")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(queue)
    app.command()(why)


def queue(context: typer.Context, as_json: AsJson = False, lang: Lang = "") -> None:
    """Show what runs and what waits, in total, by account and by tool."""
    session = open_session(context, lang, as_json)
    load = run(session, lambda client: client.queue.get_queue())
    if as_json:
        session.json(load_to_json(load))
    else:
        _print_load(session, load)


def why(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="id of a job in the queue")],
    as_json: AsJson = False,
    lang: Lang = "",
) -> None:
    """Say in one sentence why a job waits."""
    session = open_session(context, lang, as_json)
    answer = run(session, lambda client: client.queue.why_waiting(job_id))
    if as_json:
        session.json(why_to_json(job_id, answer))
        return
    is_pt = session.language is Language.PT
    session.line(one_line(answer.sentence_pt if is_pt else answer.sentence_en))
    place = position_text(answer.position, session.language)
    session.line(Text(f"  {place}  {answer.reason}", style=DIM))
    if answer.slot_holders:
        session.line(f"  {session.say(_HOLDERS, jobs=', '.join(answer.slot_holders))}")


def load_to_json(load: queue_pb2.GetQueueResponse) -> dict[str, Any]:
    """Return the load of the queue as an object."""
    return {
        "running": load.running,
        "waiting": load.waiting,
        "slots_available": load.slots_available,
        "global_limit": load.global_limit or None,
        "oldest_queued_at": rfc3339(load.oldest_queued_at),
        "accounts": [
            {
                "account": one.account,
                "slots": one.slots,
                "held": one.held,
                "claimable": one.claimable,
            }
            for one in load.accounts
        ],
        "tools": [
            {
                "tool": one.tool,
                "waiting": one.waiting,
                "running": one.running,
                "paused": one.paused,
            }
            for one in load.tools
        ],
    }


def why_to_json(job_id: str, answer: queue_pb2.WhyWaitingResponse) -> dict[str, Any]:
    """Return the reason for waiting as an object."""
    return {
        "job_id": job_id,
        "reason": answer.reason,
        "sentence": {"pt": answer.sentence_pt, "en": answer.sentence_en},
        "position": answer.position,
        "slot_holders": list(answer.slot_holders),
    }


def _print_load(session: Session, load: queue_pb2.GetQueueResponse) -> None:
    facts = {"running": load.running, "waiting": load.waiting, "free": load.slots_available}
    parts = [session.say(_TOTAL, **facts)]
    if load.global_limit:
        parts.append(session.say(_LIMIT, limit=load.global_limit))
    if load.oldest_queued_at.seconds:
        age = duration(max(time.time() - load.oldest_queued_at.seconds, 0), session.language)
        parts.append(session.say(_OLDEST, age=age))
    session.line(Text("; ".join(parts), style=BOLD))
    accounts: list[list[Text | str]] = [
        [
            one_line(one.account),
            session.say(_SLOTS, held=one.held, slots=one.slots),
            Text("" if one.claimable else session.say(_NOT_CLAIMABLE), style=PROVIDERS),
        ]
        for one in load.accounts
    ]
    tools: list[list[Text | str]] = [
        [
            one_line(one.tool),
            session.say(_LOAD, running=one.running, waiting=one.waiting),
            Text(session.say(_PAUSED) if one.paused else "", style=PROVIDERS),
        ]
        for one in load.tools
    ]
    for title, rows in ((_ACCOUNTS, accounts), (_TOOLS, tools)):
        session.line(Text(session.say(title), style=BOLD))
        session.lines(columns(rows))
