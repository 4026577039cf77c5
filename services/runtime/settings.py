"""Reads typed settings out of an environment mapping and collects every problem first.

The only readers of `os.environ` are the `__main__` modules, which pass it here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from services.runtime.errors import SettingsError

T = TypeVar("T")
_ADDRESS = r"(\[[0-9a-fA-F:]+\]|[^:,\s]+):\d{1,5}"
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


@dataclass
class Env:
    """One reading of an environment. Call `finish()` once after the last read.

    >>> env = Env({"ETAPA_QUEUE_PORT": "50051"})
    >>> env.integer("ETAPA_QUEUE_PORT", 1, low=1, high=65535)
    50051
    """

    values: Mapping[str, str]
    problems: list[str] = field(default_factory=list)

    def text(self, name: str, default: str = "") -> str:
        """Return the variable as it is, or `default` where it is unset or empty."""
        return self.values.get(name, "").strip() or default

    def required(self, name: str, what: str) -> str:
        """Return the variable; note a problem where it is missing."""
        value = self.text(name)
        if not value:
            self.problems.append(f"{name} is not set ({what})")
        return value

    def home(self, name: str, what: str) -> str:
        """Return a place for files: as the variable says, else `what` in Etapa's home folder."""
        return self.text(name) or f"{self.text('ETAPA_HOME', '.etapa')}/{what}"

    def integer(
        self, name: str, default: int, *, low: int | None = None, high: int | None = None
    ) -> int:
        """Return a whole number within `low` to `high`, both included."""
        return self._number(name, default, int, "a whole number", low, high)

    def number(
        self, name: str, default: float, *, low: float | None = None, high: float | None = None
    ) -> float:
        """Return a decimal number within `low` to `high`, both included."""
        return self._number(name, default, float, "a number", low, high)

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a yes or no: 1/true/yes/on or 0/false/no/off."""
        raw = self.text(name)
        if not raw:
            return default
        if raw.lower() not in _TRUE | _FALSE:
            self.problems.append(f"{name}={raw!r} is not one of 1, 0, true, false, yes, no")
        return raw.lower() in _TRUE

    def address(self, name: str, default: str) -> str:
        """Return `host:port`. Port 0 asks the system for a free one."""
        raw = self.text(name, default)
        if not re.fullmatch(_ADDRESS, raw):
            self.problems.append(f"{name}={raw!r} is not host:port, as in 127.0.0.1:50051")
        return raw

    def target(self, name: str, default: str) -> str:
        """Return what a gRPC channel dials: `host:port`, or replicas as `ipv4:a:1,b:2`."""
        raw = self.text(name, default)
        addresses = raw.removeprefix("ipv4:").split(",") if raw.startswith("ipv4:") else [raw]
        if not all(re.fullmatch(_ADDRESS, address) for address in addresses):
            self.problems.append(
                f"{name}={raw!r} is neither host:port nor a list, as in "
                "ipv4:127.0.0.1:50051,127.0.0.1:50061"
            )
        return raw

    def finish(self) -> None:
        """Raise one `SettingsError` that lists every problem met so far."""
        if self.problems:
            raise SettingsError(self.problems)

    def _number(
        self,
        name: str,
        default: T,
        parse: Callable[[str], T],
        kind: str,
        low: float | None,
        high: float | None,
    ) -> T:
        raw = self.text(name)
        if not raw:
            return default
        try:
            value = parse(raw)
        except ValueError:
            self.problems.append(f"{name}={raw!r} is not {kind}")
            return default
        measure = float(str(value))
        if (
            not (low if low is not None else measure)
            <= measure
            <= (high if high is not None else measure)
        ):
            self.problems.append(f"{name}={raw} is out of range ({low} to {high})")
        return value
