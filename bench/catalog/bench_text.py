"""A tool that takes no media and makes a text; its start call's body is about 2 KB."""

from __future__ import annotations

from typing import Annotated

from services.tools.domain import Text
from services.tools.tool import Inputs, Kind, Node, RunPlan, Tool, Variant, param, run_of

STANDARD = Variant(name="standard", webapp_id="2031815099811368962", price=1)
_STYLE = (
    "photograph of a street market at dusk, 35 mm, shallow depth of field, film grain, "
    "warm lamps against a blue sky, wet pavement, reflections, people out of focus, "
)
# Brings the start call's body to 2 KB; a real workflow carries its prompt in the same way.
_PROMPT = (_STYLE * 12)[:1850]


class BenchInputs(Inputs, frozen=True, kw_only=True):
    """What tells one job from the next."""

    ref: Annotated[str, param(Text("Referência", "Reference"))] = "none"


def plan(inputs: BenchInputs) -> RunPlan:
    """Send the prompt with the job's reference in front."""
    return run_of(STANDARD, Node("1", "text", f"ref={inputs.ref} {_PROMPT}"))


TOOL = Tool(
    name="bench_text",
    view="bench_text_jobs",
    label=Text("Medição", "Benchmark"),
    description=Text("Um texto para medições.", "A text for measurements."),
    inputs=BenchInputs,
    media=(),
    variants=(STANDARD,),
    plan=plan,
    output=Kind.TEXT,
)
