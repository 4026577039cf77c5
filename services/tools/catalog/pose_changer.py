"""Pose Changer: puts the person of one photo into the pose of another.

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
    webapp_id="2018451429635133442",
    price=60,
)


def plan(inputs: NoInputs) -> RunPlan:
    """Send the person and the pose."""
    return run_of(
        STANDARD,
        Node("27", "image", MediaRef("person")),
        Node("60", "image", MediaRef("reference")),
    )


TOOL = Tool(
    name="pose_changer",
    view="pose_changer_jobs",
    label=Text("Pose Changer", "Pose Changer"),
    description=Text(
        "Coloca a pessoa da foto na pose de outra foto.",
        "Puts the person of one photo into the pose of another.",
    ),
    inputs=NoInputs,
    media=(
        MediaInput(name="person", kind=Kind.IMAGE, label=Text("Pessoa", "Person")),
        MediaInput(name="reference", kind=Kind.IMAGE, label=Text("Pose", "Pose")),
    ),
    variants=(STANDARD,),
    plan=plan,
    output=Kind.IMAGE,
)
