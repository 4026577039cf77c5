"""Veste AI: dresses the person of one photo in the clothing of another.

App id and nodes: docs/tool-mappings.md (read 2026-11-24).
"""

from __future__ import annotations

from services.tools.domain import Text
from services.tools.tool import (
    Kind,
    MediaInput,
    MediaRef,
    Node,
    NoInputs,
    RunPlan,
    Tool,
    Variant,
    run_of,
)

STANDARD = Variant(
    name="standard",
    webapp_id="2018755100210106369",
    price=60,
)


def plan(inputs: NoInputs) -> RunPlan:
    """Send the person and the clothing."""
    return run_of(
        STANDARD,
        Node("41", "image", MediaRef("person")),
        Node("43", "image", MediaRef("clothing")),
    )


TOOL = Tool(
    name="veste_ai",
    view="veste_ai_jobs",
    label=Text("Veste AI", "Veste AI"),
    description=Text(
        "Veste a pessoa da foto com a roupa de outra foto.",
        "Dresses the person of one photo in the clothing of another.",
    ),
    inputs=NoInputs,
    media=(
        MediaInput(name="person", kind=Kind.IMAGE, label=Text("Pessoa", "Person")),
        MediaInput(name="clothing", kind=Kind.IMAGE, label=Text("Roupa", "Clothing")),
    ),
    variants=(STANDARD,),
    plan=plan,
    output=Kind.IMAGE,
)
