"""Why a queued job waits: one sentence from what the claim rule itself looks at. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from services.queue.account import AccountView
from services.queue.domain import MAX_EXACT_POSITION, Health, JobStatus

# So many holders are named in the sentence; the answer lists more of them.
_NAMED = 3


class Reason(StrEnum):
    """What holds a job back, the most telling cause first."""

    TOOL_PAUSED = "TOOL_PAUSED"
    BACKING_OFF = "BACKING_OFF"
    NEXT_IN_LINE = "NEXT_IN_LINE"
    GLOBAL_LIMIT = "GLOBAL_LIMIT"
    ACCOUNTS_UNAVAILABLE = "ACCOUNTS_UNAVAILABLE"
    JOBS_AHEAD = "JOBS_AHEAD"
    NO_FREE_SLOT = "NO_FREE_SLOT"


@dataclass(frozen=True, slots=True)
class Wait:
    """What the claim rule says of one job. `ahead` are those that a claim takes before it."""

    status: JobStatus
    tool: str
    tool_paused: bool
    not_before: datetime | None
    position: int
    ahead: int
    open_slots: int
    open_without_limit: int


@dataclass(frozen=True, slots=True)
class WaitFacts:
    """One consistent look at the queue. `holders` are (job, account), those longest at it first."""

    wait: Wait
    accounts: Sequence[AccountView]
    holders: Sequence[tuple[UUID, str]]
    global_limit: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Why:
    """The answer, in both languages."""

    reason: Reason
    pt: str
    en: str


Sentence: TypeAlias = tuple[str, str]


def explain(facts: WaitFacts) -> Why:
    """Return why a claim has not taken the job."""
    reason = _reason(facts)
    pt, en = _SENTENCES[reason](facts)
    return Why(reason, pt, en)


def _reason(facts: WaitFacts) -> Reason:
    wait = facts.wait
    if wait.tool_paused:
        return Reason.TOOL_PAUSED
    if wait.not_before is not None and wait.not_before > facts.now:
        return Reason.BACKING_OFF
    if wait.ahead < wait.open_slots:
        return Reason.NEXT_IN_LINE
    if not wait.open_slots and wait.open_without_limit:
        return Reason.GLOBAL_LIMIT
    if not wait.open_slots and all(_obstacle(each, facts.now) for each in facts.accounts):
        return Reason.ACCOUNTS_UNAVAILABLE
    return Reason.JOBS_AHEAD if wait.ahead else Reason.NO_FREE_SLOT


def _tool_paused(facts: WaitFacts) -> Sentence:
    tool = facts.wait.tool
    return (
        f"A ferramenta {tool} está pausada por um operador; o job começa depois que ela for "
        "retomada.",
        f"The tool {tool} is paused by an operator; the job starts after it is resumed.",
    )


def _backing_off(facts: WaitFacts) -> Sentence:
    when = _time(facts.wait.not_before or facts.now, facts.now)
    return (
        f"A última tentativa não deu certo; a próxima começa a partir de {when}, "
        "sem perder o lugar na fila.",
        f"The last attempt did not succeed; the next one may start at {when}, "
        "and the job keeps its place.",
    )


def _next_in_line(facts: WaitFacts) -> Sentence:
    free = facts.wait.open_slots
    return (
        f"O job é um dos próximos: há {_count(free, 'vaga livre', 'vagas livres')} e ele começa "
        "em instantes.",
        f"The job is about to start: {_count(free, 'slot is free', 'slots are free')} for it.",
    )


def _global_limit(facts: WaitFacts) -> Sentence:
    limit = facts.global_limit
    pt, en = _held_by(facts)
    return (
        f"O limite global de {limit} jobs ao mesmo tempo foi atingido{pt}; há vagas nas contas, "
        f"mas o job espera que um deles termine.",
        f"The global limit of {limit} jobs at a time is reached{en}; accounts have free slots, "
        f"but the job waits for one of these to end.",
    )


def _accounts_unavailable(facts: WaitFacts) -> Sentence:
    if not facts.accounts:
        return (
            "Nenhuma conta do provedor está configurada; um operador precisa adicionar uma.",
            "No provider account is set up; an operator has to add one.",
        )
    pt, en = _obstacles(facts)
    return f"Nenhuma conta pode receber jobs: {pt}.", f"No account can take jobs: {en}."


def _jobs_ahead(facts: WaitFacts) -> Sentence:
    ahead = facts.wait.ahead
    many = f"{MAX_EXACT_POSITION}+" if ahead > MAX_EXACT_POSITION else str(ahead)
    pt_ahead = f"Há {many} {'job' if ahead == 1 else 'jobs'} na frente"
    en_ahead = f"{many} {'job is' if ahead == 1 else 'jobs are'} ahead"
    if facts.wait.open_slots:
        free = facts.wait.open_slots
        pt_free = _count(free, "vaga livre vai", "vagas livres vão")
        return (
            f"{pt_ahead}, e {pt_free} para eles.",
            f"{en_ahead}, and {_count(free, 'free slot goes', 'free slots go')} to them.",
        )
    pt, en = _slots(facts)
    return f"{pt_ahead}, e {pt}.", f"{en_ahead}, and {en}."


def _no_free_slot(facts: WaitFacts) -> Sentence:
    pt, en = _slots(facts)
    return (
        f"O job é o primeiro da fila, e {pt}.",
        f"The job is first in line, and {en}.",
    )


def _slots(facts: WaitFacts) -> Sentence:
    """Say that every slot is held and by whom, and which accounts could not help anyway."""
    usable = [each for each in facts.accounts if _obstacle(each, facts.now) is None]
    slots = sum(each.slots for each in usable)
    pt_held, en_held = _held_by(facts)
    pt = f"{_count(slots, 'vaga está ocupada', 'vagas estão ocupadas')}{pt_held}"
    en = f"{_count(slots, 'slot is taken', 'slots are taken')}{en_held}"
    if len(usable) < len(facts.accounts):
        pt_blocked, en_blocked = _obstacles(facts)
        return f"{pt} ({pt_blocked})", f"{en} ({en_blocked})"
    return pt, en


def _held_by(facts: WaitFacts) -> Sentence:
    if not facts.holders:
        return "", ""
    named = ", ".join(str(job_id) for job_id, _ in facts.holders[:_NAMED])
    held = sum(each.held for each in facts.accounts)
    more = max(held - _NAMED, 0)
    pt_more, en_more = (f" e mais {more}", f" and {more} more") if more else ("", "")
    return f" (por {named}{pt_more})", f" (by {named}{en_more})"


def _obstacles(facts: WaitFacts) -> Sentence:
    found = [each for account in facts.accounts if (each := _obstacle(account, facts.now))]
    return "; ".join(pt for pt, _ in found), "; ".join(en for _, en in found)


def _obstacle(account: AccountView, now: datetime) -> Sentence | None:
    """Return what bars an account from jobs whatever its load, and what to do; None if nothing."""
    name = account.name
    if account.paused:
        return f"{name} está pausada (retome a conta)", f"{name} is paused (resume it)"
    if account.health is Health.UNAUTHORIZED:
        return (
            f"a chave de {name} foi recusada (configure uma chave válida)",
            f"the key of {name} was refused (set a valid key)",
        )
    if account.health is Health.NO_MONEY:
        return (
            f"{name} está sem saldo no provedor (recarregue e reative a conta)",
            f"{name} has no money at the provider (top it up, then reset its health)",
        )
    if not account.slots:
        return f"{name} não tem vagas (defina-as)", f"{name} has no slots (set some)"
    if account.health.rests:
        return _resting(account, now)
    return None


def _resting(account: AccountView, now: datetime) -> Sentence:
    name, until = account.name, account.rests_until or now
    is_full = account.health is Health.FULL
    pt_state = "está cheia no provedor" if is_full else "não responde"
    en_state = "is full at the provider" if is_full else "can't be reached"
    if until <= now:
        return (
            f"{name} {pt_state} e um job está testando se ela voltou",
            f"{name} {en_state} and one job is probing it",
        )
    when = _time(until, now)
    return (
        f"{name} {pt_state} e será testada de novo às {when}",
        f"{name} {en_state} and is tried again at {when}",
    )


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _time(moment: datetime, now: datetime) -> str:
    form = "%H:%M:%S UTC" if moment.date() == now.date() else "%Y-%m-%d %H:%M:%S UTC"
    return moment.strftime(form)


_SENTENCES: dict[Reason, Callable[[WaitFacts], Sentence]] = {
    Reason.TOOL_PAUSED: _tool_paused,
    Reason.BACKING_OFF: _backing_off,
    Reason.NEXT_IN_LINE: _next_in_line,
    Reason.GLOBAL_LIMIT: _global_limit,
    Reason.ACCOUNTS_UNAVAILABLE: _accounts_unavailable,
    Reason.JOBS_AHEAD: _jobs_ahead,
    Reason.NO_FREE_SLOT: _no_free_slot,
}
