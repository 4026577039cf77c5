"""What goes on with a job right now, in one line: label, bar, position, seconds."""

from __future__ import annotations

from rich.text import Text

from etapa.queue.v1 import job_pb2
from etapa_client.names import STEP_NAMES
from etapa_client.words import HIGH_DEMAND, Language, is_high_demand, live_label
from services.cli.layout import DIM, duration
from services.cli.timeline import tone_of
from services.cli.trail_view import position_text

_BAR_CELLS = 24


def progress_line(job: job_pb2.Job, since_s: float, language: Language) -> Text:
    """Return the line; `since_s` is how long the current step has gone on."""
    step = STEP_NAMES.get(job.current_step, "")
    line = Text(live_label(step, language), style=tone_of(step))
    if job.HasField("progress"):
        line.append("  ").append_text(bar(job.progress))
    if job.position:
        line.append(f"  {position_text(job.position, language)}")
        if is_high_demand(job.position, since_s):
            line.append(f"  {HIGH_DEMAND.to(language)}", style=DIM)
    return line.append(f"  {duration(since_s, language)}", style=DIM)


def bar(progress: job_pb2.Progress) -> Text:
    """Return a bar with its percent; an estimate is marked by `~`."""
    percent = min(max(progress.percent, 0), 100)
    full = percent * _BAR_CELLS // 100
    text = Text("━" * full, style=tone_of("running"))
    text.append("░" * (_BAR_CELLS - full), style=DIM)
    return text.append(f" {'~' if progress.estimated else ''}{percent}%", style="none")
