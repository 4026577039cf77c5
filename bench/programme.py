"""The order of the programme: every figure by name; the quick run takes the main ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from bench.arena import Arena
from bench.figures import (
    backlog,
    full_work,
    gateway,
    history,
    house,
    idle,
    intake,
    sanity,
    shapes,
    storage,
    submit,
    watchers,
)
from bench.result import Row

Figure = Callable[[Arena], AsyncIterator[Row]]

FIGURES: dict[str, Figure] = {
    "sanity": sanity.measure,
    "full_work": full_work.measure,
    "storage": storage.measure,
    "idle": idle.measure,
    "intake": intake.measure,
    "submit": submit.measure,
    "gateway": gateway.measure,
    "watchers": watchers.measure,
    "house": house.measure,
    "tracing": shapes.tracing,
    "history": history.measure,
    "backlog": backlog.measure,
    "scaling": shapes.scaling,
}
