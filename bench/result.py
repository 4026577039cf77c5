"""What the benchmark finds: rows, one a figure, with their rounds and their goals. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `value` is the median of `rounds`; `goal` as in ">= 0.2", "" where there is none.

    `note` says what a reader must know to believe it.
    """

    figure: str
    value: float
    unit: str
    goal: str = ""
    rounds: Sequence[float] = field(default_factory=tuple)
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """Tell whether the goal is met; None where there is none."""
        if not self.goal:
            return None
        sign, wanted = self.goal.split()
        return self.value >= float(wanted) if sign == ">=" else self.value <= float(wanted)

    def as_json(self) -> dict[str, Any]:
        """Return the row as the results file holds it."""
        return {**asdict(self), "rounds": list(self.rounds), "holds": self.holds}


def row_of(figure: str, rounds: Sequence[float], unit: str, goal: str = "", note: str = "") -> Row:
    """Return the row of some rounds."""
    return Row(figure, median(rounds), unit, goal, tuple(rounds), note)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of all lie (nearest rank).

    >>> quantile([1, 2, 3, 4], 0.5)
    2
    """
    ordered = sorted(values)
    rank = max(int(-(-share * len(ordered) // 1)) - 1, 0)
    return ordered[min(rank, len(ordered) - 1)]
