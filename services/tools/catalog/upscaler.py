"""Upscaler: enlarges and restores one photo, with an app of its own for each kind of subject.

App ids, nodes and ranges: docs/tool-mappings.md (a production app's
configuration of 2026-04, read 2026-11-24).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from services.tools.domain import Text
from services.tools.tool import (
    Adjustment,
    Choice,
    Inputs,
    Kind,
    MediaInput,
    MediaRef,
    Narrowing,
    Node,
    RunPlan,
    Tool,
    Variant,
    number_text,
    param,
    run_of,
)

# Above this the provider's 24 GB machines run out of memory (failure class 26). There is no
# way around it: a larger wish is accepted and sent as this.
MAX_RESOLUTION = 2048

Category = Literal[
    "pessoas_perto", "pessoas_longe", "comida", "fotoAntiga", "logo", "render3d", "paisagem"
]
CATEGORIES = (
    Choice("pessoas_perto", Text("Pessoas de perto", "People, close")),
    Choice("pessoas_longe", Text("Pessoas de longe", "People, far")),
    Choice("comida", Text("Comida", "Food")),
    Choice("fotoAntiga", Text("Foto antiga", "Old photo")),
    Choice("logo", Text("Logo", "Logo")),
    Choice("render3d", Text("3D", "3D render")),
    Choice("paisagem", Text("Paisagem", "Landscape")),
)


class UpscalerInputs(Inputs, frozen=True):
    """What to make of the photo."""

    category: (
        Annotated[
            Category,
            param(
                Text("Categoria", "Category"),
                Text("O que a foto mostra.", "What the photo shows."),
                choices=CATEGORIES,
            ),
        ]
        | UnsetType
    ) = UNSET
    denoise: (
        Annotated[
            float,
            param(
                Text("Detalhe do rosto", "Face detail"),
                Text(
                    "Só para pessoas; acima de 0 refaz o rosto.", "People only; above 0 redraws it."
                ),
                low=0,
                high=1,
                step=0.01,
            ),
        ]
        | UnsetType
    ) = UNSET
    detail: (
        Annotated[
            float,
            param(
                Text("Detalhe", "Detail"),
                Text("Quanto a IA pode redesenhar.", "How much the AI may redraw."),
                low=0.01,
                high=1,
                step=0.01,
            ),
        ]
        | UnsetType
    ) = UNSET
    resolution: Annotated[
        int,
        param(
            Text("Resolução", "Resolution"),
            Text(
                "Lado maior em pixels; acima de 2048 vale 2048.",
                "Longest side in pixels; above 2048 counts as 2048.",
            ),
            low=512,
            high=8192,
            choices=(Choice(1024, Text("1024", "1024")), Choice(2048, Text("2048", "2048"))),
        ),
    ] = MAX_RESOLUTION


PEOPLE = Variant(
    name="people",
    webapp_id="2037188547966406658",
    price=60,
)
PEOPLE_FACE = Variant(
    name="people_face",
    webapp_id="2037184937371115522",
    price=60,
)
OLD_PHOTO = Variant(
    name="old_photo",
    webapp_id="2018913880214343681",
    price=60,
)
FOOD = Variant(name="food", webapp_id="2015855359243587585", price=60)
LOGO = Variant(name="logo", webapp_id="2019239272464785409", price=50)
RENDER_3D = Variant(name="render3d", webapp_id="2019234965992509442", price=60)

FOOD_DEFAULT, LOGO_DEFAULT, RENDER_3D_DEFAULT = 0.85, 0.40, 0.80


def plan(inputs: UpscalerInputs) -> RunPlan:
    """Choose the app by category and, for people, by whether the face is to be redrawn."""
    match inputs.category:
        case "comida":
            node = Node("48", "value", _detail(inputs, FOOD_DEFAULT))
            return _run(FOOD, inputs, _image("50"), node)
        case "logo":
            node = Node("33", "value", _detail(inputs, LOGO_DEFAULT))
            return _run(LOGO, inputs, _image("39"), node)
        case "render3d":
            node = Node("300", "value", _detail(inputs, RENDER_3D_DEFAULT))
            return _run(RENDER_3D, inputs, _image("301"), node)
        case "fotoAntiga":
            return _run(OLD_PHOTO, inputs, _image("139"))
        case "pessoas_perto" | "pessoas_longe" if inputs.denoise:
            denoise = Node("102", "value", number_text(inputs.denoise))
            return _run(PEOPLE_FACE, inputs, _image("1"), denoise, _resolution("547", inputs))
        case _:
            return _run(PEOPLE, inputs, _image("1"), _resolution("548", inputs))


def _image(node_id: str) -> Node:
    return Node(node_id, "image", MediaRef("image"))


def _resolution(node_id: str, inputs: UpscalerInputs) -> Node:
    return Node(node_id, "value", number_text(min(inputs.resolution, MAX_RESOLUTION)))


def _detail(inputs: UpscalerInputs, default: float) -> str:
    given = inputs.detail
    return number_text(default if given is UNSET else given)


def _run(variant: Variant, inputs: UpscalerInputs, *nodes: Node) -> RunPlan:
    return run_of(variant, *nodes, adjustments=_adjustments(variant, inputs))


def _adjustments(variant: Variant, inputs: UpscalerInputs) -> tuple[Adjustment, ...]:
    """Say what was accepted and is not sent as given: nothing is dropped in silence."""
    found = []
    sizes = variant in (PEOPLE, PEOPLE_FACE)
    if sizes and inputs.resolution > MAX_RESOLUTION:
        why = Text("limite de memória da GPU", "memory limit of the GPU")
        given, sent = number_text(inputs.resolution), number_text(MAX_RESOLUTION)
        found.append(Adjustment("resolution", given, sent, why))
    unused = Text("a categoria não usa este parâmetro", "the category has no such parameter")
    if not sizes and inputs.resolution != MAX_RESOLUTION:
        found.append(Adjustment("resolution", number_text(inputs.resolution), "", unused))
    if variant is not PEOPLE_FACE and inputs.denoise:
        found.append(Adjustment("denoise", number_text(inputs.denoise), "", unused))
    if variant in (PEOPLE, PEOPLE_FACE, OLD_PHOTO) and inputs.detail:
        found.append(Adjustment("detail", number_text(inputs.detail), "", unused))
    return tuple(found)


def _detail_range(category: Category, low: float, default: float) -> Narrowing:
    return Narrowing(
        when="category", equals=category, field="detail", low=low, high=1.0, default=default
    )


def _face_range(category: Category) -> Narrowing:
    return Narrowing(
        when="category", equals=category, field="denoise", low=0.01, high=1.0, also=(0.0,)
    )


def _unused(field: str, *categories: Category) -> tuple[Narrowing, ...]:
    return tuple(
        Narrowing(when="category", equals=category, field=field, unused=True)
        for category in categories
    )


TOOL = Tool(
    name="upscaler",
    view="upscaler_jobs",
    label=Text("Upscaler", "Upscaler"),
    description=Text("Aumenta e restaura a foto.", "Enlarges and restores the photo."),
    inputs=UpscalerInputs,
    media=(
        MediaInput(name="image", kind=Kind.IMAGE, label=Text("Foto", "Photo"), max_side_px=1024),
    ),
    variants=(PEOPLE, PEOPLE_FACE, OLD_PHOTO, FOOD, LOGO, RENDER_3D),
    plan=plan,
    output=Kind.IMAGE,
    narrowings=(
        _face_range("pessoas_perto"),
        _face_range("pessoas_longe"),
        _detail_range("comida", 0.70, FOOD_DEFAULT),
        _detail_range("logo", 0.01, LOGO_DEFAULT),
        _detail_range("render3d", 0.01, RENDER_3D_DEFAULT),
        *_unused("denoise", "comida", "logo", "render3d", "fotoAntiga", "paisagem"),
        *_unused("detail", "pessoas_perto", "pessoas_longe", "fotoAntiga", "paisagem"),
    ),
)
