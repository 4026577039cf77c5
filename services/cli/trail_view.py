"""A whole trail as lines for a person: result, timeline, attempts, payloads, ledger."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf import timestamp_pb2
from rich.text import Text

from etapa.observability.v1 import event_pb2, trail_pb2
from etapa.queue.v1 import job_pb2
from etapa_client.names import LEDGER_NAMES, PAYLOAD_NAMES, STATUS_NAMES
from etapa_client.words import STATUSES, Language, Words, live_label, place, size
from services.cli.layout import (
    BAD,
    BOLD,
    DIM,
    GOOD,
    PROVIDERS,
    clean,
    clock,
    columns,
    date_and_clock,
    duration,
    one_line,
    seconds_between,
)
from services.cli.story import Story
from services.cli.timeline import LEGEND, TITLE, timeline
from services.cli.verdict_view import failure_card

_COLOURS = {"completed": GOOD, "failed": BAD, "cancelled": DIM, "running": PROVIDERS}
_ATTEMPTS = Words("Tentativas", "Attempts")
_PAYLOADS = Words(
    "Dados brutos (etapa job {job} --payload ID os mostra)",
    "Raw payloads (etapa job {job} --payload ID shows one)",
)
_LEDGER = Words("Créditos", "Credits")
_OUTPUTS = Words("Resultado", "Output")
_ARRIVING = Words(
    "{count} etapas chegando: o histórico vai até {through} de {seq}",
    "{count} steps arriving: the history reaches {through} of {seq}",
)
_LEFT_OUT = Words("{count} linhas a mais não são mostradas", "{count} further lines are not shown")
_POSITION = Words("Posição: {place}", "Position: {place}")
_RETRY_OF = Words("Nova tentativa de", "Tries again")
_CREATED = Words("Criado", "Created")
_TOTAL = Words("Total", "Total")
_ACCOUNT = Words("Conta", "Account")
_TASK = Words("Tarefa no provedor", "Provider task")
_COST = Words("Preço", "Price")
_DECIDED = Words("decidiu", "decided")


def story_lines(story: Story, language: Language) -> Iterator[Text]:
    """Yield the whole story."""
    yield from _head(story, language)
    yield from ending(story, language)
    yield Text()
    yield Text.assemble((TITLE.to(language), BOLD), "   ", (LEGEND.to(language), DIM))
    yield from timeline(story.trail, language)
    if story.arriving:
        yield arriving_line(story, language)
    if story.trail.left_out:
        yield Text(f"  {_LEFT_OUT.to(language, count=story.trail.left_out)}", style=PROVIDERS)
    yield from _section(_ATTEMPTS.to(language), _attempts(story, language))
    title = _PAYLOADS.to(language, job=story.trail.job.job_id)
    yield from _section(title, _payloads(story, language))
    yield from _section(_LEDGER.to(language), _ledger(story, language))


def arriving_line(story: Story, language: Language) -> Text:
    """Say that the history is behind the queue."""
    seq = story.job.seq if story.job is not None else 0
    facts = {"count": story.arriving, "through": story.trail.through_seq, "seq": seq}
    return Text(f"  {_ARRIVING.to(language, **facts)}", style=PROVIDERS)


def ending(story: Story, language: Language) -> Iterator[Text]:
    """Yield how it ended: the outputs, or the failure card; or where it stands now."""
    if story.status == "failed":
        verdict = story.trail.verdict
        yield from failure_card(verdict, story.failed_at_step, story.error_message, language)
    elif story.status not in ("completed", "cancelled"):
        position = story.job.position if story.job is not None else 0
        text = f"  {live_label(story.step, language)}"
        yield Text(text + (f"  {position_text(position, language)}" if position else ""))
    for output in story.outputs:
        yield from _output(output, language)


def position_text(position: int, language: Language) -> str:
    """Return a place in the queue as the plan's card has it."""
    return _POSITION.to(language, place=place(position))


def status_text(status: str, language: Language) -> Text:
    """Return a status with its colour; the code stays beside the word where they differ."""
    words = STATUSES.get(status)
    shown = words.to(language) if words else status
    text = Text(shown, style=f"{BOLD} {_COLOURS.get(status, '')}".strip())
    if shown != status:
        text.append(f" ({status})", style=DIM)
    return text


def headline(job: job_pb2.Job | trail_pb2.JobSummary, language: Language) -> Text:
    """Return the line that names a job: id, tool, status, user."""
    variant = f" ({clean(job.variant)})" if job.variant else ""
    status = STATUS_NAMES.get(job.status, str(int(job.status)))
    return Text.assemble(
        ("Job ", BOLD),
        (clean(job.job_id), BOLD),
        f"  {clean(job.tool)}{variant}  ",
        status_text(status, language),
        f"  {one_line(job.user_id)}",
    )


def _head(story: Story, language: Language) -> Iterator[Text]:
    job = story.trail.job
    source = story.job if story.job is not None else job
    yield headline(source, language)
    total = seconds_between(source.created_at, source.completed_at)
    rows = [
        (_CREATED, date_and_clock(source.created_at)),
        (_TOTAL, duration(total, language) if total is not None else ""),
        (_ACCOUNT, one_line(job.account)),
        (_TASK, one_line(source.task_id or job.task_id)),
        (Words("Trace", "Trace"), one_line(source.trace_id)),
        (_COST, str(source.cost) if source.cost else ""),
        (_RETRY_OF, one_line(source.retry_of)),
    ]
    yield from columns(
        (Text(f"{words.to(language)}:", style=DIM), value) for words, value in rows if value
    )


def _output(output: job_pb2.Output, language: Language) -> Iterator[Text]:
    if output.text:
        yield Text(f"  {_OUTPUTS.to(language)}: {one_line(output.text)}", style=GOOD)
        return
    facts = f"{output.content_type}, {size(output.bytes, language)}"
    yield Text.assemble(
        (f"  {_OUTPUTS.to(language)}: ", GOOD), one_line(output.url or output.provider_url), "  "
    ).append(clean(facts), style=DIM)


def _section(title: str, rows: list[list[Text | str]]) -> Iterator[Text]:
    if rows:
        yield Text()
        yield Text(title, style=BOLD)
        yield from columns(rows)


def _attempts(story: Story, language: Language) -> list[list[Text | str]]:
    rows: list[list[Text | str]] = []
    for attempt in story.trail.attempts:
        lasted = seconds_between(attempt.claimed_at, _set(attempt.ended_at))
        cost = " ".join(
            f"{name}={value}"
            for name, value in (("coins", attempt.coins), ("money", attempt.money))
            if value
        )
        end = " ".join(part for part in (attempt.outcome, attempt.error_class) if part)
        rows.append(
            [
                f"#{attempt.number}",
                clock(attempt.claimed_at, language),
                duration(lasted, language),
                one_line(attempt.account),
                one_line(end or attempt.phase),
                one_line(attempt.task_id),
                one_line(cost),
            ]
        )
    return rows


def _payloads(story: Story, language: Language) -> list[list[Text | str]]:
    return [_payload(info, language) for info in story.trail.payloads]


def _payload(info: event_pb2.PayloadInfo, language: Language) -> list[Text | str]:
    kind = PAYLOAD_NAMES.get(info.kind, "")
    said = info.transport_error or (f"HTTP {info.http_status}" if info.http_status else "")
    latency = info.latency.ToTimedelta().total_seconds() if info.HasField("latency") else None
    marks = [_DECIDED.to(language)] if info.deciding else []
    marks += [f"+{info.repeats}×"] if info.repeats else []
    return [
        clock(info.occurred_at, language),
        one_line(f"{info.call or kind} {kind}" if info.call != kind else kind),
        one_line(said),
        duration(latency, language) if latency is not None else "",
        size(info.bytes, language),
        Text(one_line(info.payload_id), style=DIM),
        Text(" ".join(marks), style=PROVIDERS),
    ]


def _ledger(story: Story, language: Language) -> list[list[Text | str]]:
    return [
        [
            clock(entry.timestamp, language),
            LEDGER_NAMES.get(entry.kind, ""),
            str(entry.amount),
            one_line(entry.bucket),
        ]
        for entry in story.trail.ledger
    ]


def _set(stamp: timestamp_pb2.Timestamp) -> timestamp_pb2.Timestamp | None:
    return stamp if stamp.seconds or stamp.nanos else None
