"""What every command is given: the environment, read once in `__main__`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import typer


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The environment that the command was typed in."""

    env: Mapping[str, str] = field(repr=False)


def surroundings(context: typer.Context) -> Surroundings:
    """Return what `__main__` put there."""
    found = context.obj
    if not isinstance(found, Surroundings):
        raise TypeError("the command was not started by services.cli.__main__")
    return found
