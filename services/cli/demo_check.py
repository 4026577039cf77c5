"""Whether a job of the demo ended as it should: what its trail must hold. Pure.

Each check returns sentences on what is wrong; none means all is well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from etapa.observability.v1 import trail_pb2
from etapa_client.names import LEDGER_NAMES, SIDE_NAMES, STEP_NAMES
from services.cli.layout import seconds_between
from services.cli.story import Story
from services.cli.timeline import DETAIL_KEYS, as_facts

COMPLETED_STEPS = (
    "upload",
    "insert",
    "credits",
    "queue_check",
    "queued",
    "starting",
    "running",
    "webhook_received",
    "completed",
)
FAILED_STEPS = (*COMPLETED_STEPS[:-1], "failed")
_SLACK_S = 0.001  # clocks are read to the microsecond and printed to the millisecond


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A result as it lies on this machine. `width` and `height` are those of its pixels."""

    path: str
    bytes: int
    width: int
    height: int
    sha256: str


def check_completed(
    story: Story, files: Sequence[OutputFile], input_size: tuple[int, int], *, must_grow: bool
) -> list[str]:
    """Say what is wrong with a job that was to complete with real files."""
    problems = list(_history(story, COMPLETED_STEPS))
    if story.status != "completed":
        problems.append(f"it is {story.status}, not completed: {story.error_message}")
    if not files or len(files) != len(story.outputs):
        problems.append(f"{len(files)} of {len(story.outputs)} outputs could be fetched")
    for output, file in zip(story.outputs, files, strict=False):
        if file.sha256 != output.sha256 or file.bytes != output.bytes:
            problems.append(f"{file.path} is not the file that was stored ({output.sha256})")
        if must_grow and not (file.width > input_size[0] and file.height > input_size[1]):
            problems.append(
                f"{file.path} has {file.width}×{file.height} pixels, no more than its input's "
                f"{input_size[0]}×{input_size[1]}"
            )
    problems += _money(story.trail, ["reserve", "capture"])
    if story.trail.HasField("verdict"):
        problems.append("a completed job has a verdict on a failure")
    return problems


def check_out_of_memory(story: Story) -> list[str]:
    """Say what is wrong with the diagnosis of the job that was to run out of GPU memory."""
    verdict = story.trail.verdict
    problems = list(_history(story, FAILED_STEPS))
    expected = {
        "status": (story.status, "failed"),
        "failed_at_step": (story.failed_at_step, "running"),
        "class": (verdict.error_class, "gpu_oom"),
    }
    problems += [
        f"{what} is {found!r}, not {wanted!r}"
        for what, (found, wanted) in expected.items()
        if found != wanted
    ]
    for where, words in (
        ("error_message", story.error_message),
        ("the provider's words", verdict.provider_words),
    ):
        if "CUDA" not in words or "memory" not in words:
            problems.append(f"{where} do not hold CUDA's own words: {words!r}")
    if not SIDE_NAMES.get(verdict.side):
        problems.append("the verdict names no side")
    if not verdict.advice.pt or not verdict.advice.en:
        problems.append("the verdict has no advice")
    if not verdict.charged or verdict.returned != verdict.charged or verdict.captured:
        problems.append(f"{verdict.returned} of {verdict.charged} credits came back")
    return problems + _money(story.trail, ["reserve", "refund"])


def _history(story: Story, wanted: Sequence[str]) -> Iterable[str]:
    steps = story.trail.steps
    found = [STEP_NAMES.get(step.step, "") for step in steps]
    if found != list(wanted):
        yield f"its steps are {' '.join(found) or 'none'}, not {' '.join(wanted)}"
    for name, step in zip(found, steps, strict=True):
        facts = as_facts(step.details_json)
        missing = [key for key in DETAIL_KEYS.get(name, ()) if key not in facts]
        if missing:
            yield f"the details of {name} lack {', '.join(missing)}"
    yield from _times(story)
    if story.arriving or not story.trail.through_seq:
        yield f"{story.arriving} events have not arrived"


def _times(story: Story) -> Iterable[str]:
    """Check that times run forward, from the job's creation to its end."""
    job = story.job if story.job is not None else story.trail.job
    moments = [step.timestamp for step in story.trail.steps]
    around = [job.created_at, *moments, job.completed_at]
    for earlier, later in pairwise(around):
        gap_s = seconds_between(earlier, later)
        if gap_s is None or gap_s < -_SLACK_S:
            yield "the times of its steps do not run forward"
            return


def _money(trail: trail_pb2.GetTrailResponse, kinds: Sequence[str]) -> list[str]:
    found: dict[str, int] = {}
    for entry in trail.ledger:
        name = LEDGER_NAMES.get(entry.kind, "")
        found[name] = found.get(name, 0) + entry.amount
    if sorted(found) != sorted(kinds) or len(set(found.values())) != 1:
        return [f"its ledger says {found}, not equal amounts of {' and '.join(kinds)}"]
    return []
