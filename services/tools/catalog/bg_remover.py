"""Background Remover: cuts the subject of a photo out of its background.

App id, node and price: docs/tool-mappings.md (read 2026-11-24).
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
    webapp_id="2031815099811368962",
    price=10,
)


def plan(inputs: NoInputs) -> RunPlan:
    """Send the image."""
    return run_of(STANDARD, Node("1", "image", MediaRef("image")))


TOOL = Tool(
    name="bg_remover",
    view="bg_remover_jobs",
    label=Text("Removedor de Fundo", "Background Remover"),
    description=Text(
        "Recorta o assunto da foto e remove o fundo.",
        "Cuts the subject of a photo out of its background.",
    ),
    inputs=NoInputs,
    media=(MediaInput(name="image", kind=Kind.IMAGE, label=Text("Foto", "Photo")),),
    variants=(STANDARD,),
    plan=plan,
    output=Kind.IMAGE,
)
