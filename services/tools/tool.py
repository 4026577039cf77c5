"""What a tool is: its inputs, limits, prices and time limits, and how it becomes one run.

Pure data and decisions. A tool lives in one file of `catalog/`; nothing else names it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec

from services.tools.domain import Text

MIB = 1024 * 1024


class Kind(StrEnum):
    """What a tool takes or makes. Text comes in as a parameter, so no media input is of it."""

    IMAGE = "image"
    VIDEO = "video"
    TEXT = "text"


class Inputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of a tool's parameters. Ranges and labels stand in the field types (`param`)."""


InputsT = TypeVar("InputsT", bound=Inputs)


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a parameter that a form offers by a label."""

    value: str | int | float
    label: Text


def param(
    label: Text,
    help_: Text | None = None,
    *,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    choices: tuple[Choice, ...] = (),
) -> msgspec.Meta:
    """Describe one parameter: what is checked, and what its form field shows.

    `low` and `high` are included. `choices` are what a form offers; what is accepted is
    the field's type.
    """
    extra: dict[str, Any] = {"x-label": label.as_json()}
    if help_:
        extra["x-help"] = help_.as_json()
    if step is not None:
        extra["x-step"] = step
    if choices:
        extra["x-choices"] = [{"value": c.value, "x-label": c.label.as_json()} for c in choices]
    return msgspec.Meta(ge=low, le=high, title=label.en, extra_json_schema=extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInput:
    """One image or video that a tool takes, and the limits within which it is sent on.

    An image larger than `max_side_px` is scaled down; a video larger or longer is refused. Forms
    show the limits; `help` says what else helps to choose.
    """

    name: str
    kind: Kind
    label: Text
    help: Text | None = None
    max_bytes: int = 15 * MIB
    max_side_px: int = 1536
    max_s: float = 0.0
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One RunningHub app behind a tool, and its price in credits."""

    name: str
    webapp_id: str
    price: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """How long each phase of a job may take, in seconds."""

    upload_s: int = 180
    queue_wait_s: int = 1800
    start_s: int = 120
    run_s: int = 600
    finalise_s: int = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """A tighter rule for the parameter `field` while the parameter `when` has value `equals`.

    Either a range `low` to `high` (with `also` as further single values), or `unused`: the
    parameter is accepted then, and has no effect.
    """

    when: str
    equals: str
    field: str
    low: float = 0.0
    high: float = 0.0
    also: tuple[float, ...] = ()
    default: float | None = None
    unused: bool = False

    def allows(self, value: float) -> bool:
        """Say whether the value may stand beside `equals`."""
        return self.unused or value in self.also or self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class MediaRef:
    """Stands for a media input in a node list until the account's file name is known.

    `as_url` asks for a URL that the provider can fetch instead of an uploaded file.
    """

    name: str
    as_url: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """One entry of RunningHub's nodeInfoList. Values are strings, numbers included."""

    node_id: str
    field_name: str
    value: str | MediaRef


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A parameter that was accepted and is not sent as given; `sent` is empty if not at all."""

    field: str
    given: str
    sent: str
    why: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """All that one run at RunningHub needs, but for the media's names there."""

    variant: str
    webapp_id: str
    nodes: tuple[Node, ...]
    instance_type: str = "default"
    adjustments: tuple[Adjustment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool(Generic[InputsT]):
    """One AI tool. `plan` turns checked inputs into a run and must be pure and total.

    `media` may be empty: such a tool works on its parameters alone.
    `view` is the name under which its jobs are seen in SQL, such as `upscaler_jobs`.
    """

    name: str
    view: str
    label: Text
    description: Text
    inputs: type[InputsT]
    media: tuple[MediaInput, ...]
    variants: tuple[Variant, ...]
    plan: Callable[[InputsT], RunPlan]
    output: Kind
    narrowings: tuple[Narrowing, ...] = ()
    time_limits: TimeLimits = field(default_factory=TimeLimits)

    def variant(self, name: str) -> Variant:
        """Return the variant of that name; the registry has proved that plans name real ones."""
        return next(variant for variant in self.variants if variant.name == name)

    def price_range(self) -> tuple[int, int]:
        """Return the lowest and the highest price in credits."""
        prices = [variant.price for variant in self.variants]
        return min(prices), max(prices)


AnyTool = Tool[Any]


class NoInputs(Inputs, frozen=True):
    """The parameters of a tool that takes media alone."""


def run_of(variant: Variant, *nodes: Node, adjustments: tuple[Adjustment, ...] = ()) -> RunPlan:
    """Return the run of a variant."""
    return RunPlan(
        variant=variant.name, webapp_id=variant.webapp_id, nodes=nodes, adjustments=adjustments
    )


def number_text(value: float) -> str:
    """Return a number as a node value: shortest exact form, `1` rather than `1.0`.

    >>> number_text(0.85), number_text(1.0), number_text(2048)
    ('0.85', '1', '2048')
    """
    return str(int(value)) if float(value).is_integer() else repr(float(value))
