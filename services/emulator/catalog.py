"""The webapps and workflows that exist at the emulated provider: their nodes and what they do.

App ids and node mappings are those of the production tools that Etapa replaces (read 2026-11-24 in
the project's list of failure classes, section 3); the defaults and descriptions are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

OUTPUT_NODE = "9"


class Work(Enum):
    """What a run really does with its inputs."""

    UPSCALE = "upscale"
    COMPOSITE = "composite"
    CUTOUT = "cutout"
    VIDEO_UPSCALE = "video_upscale"


@dataclass(frozen=True, slots=True)
class Field:
    """One input of one node. `kind` is RunningHub's fieldType; `low`/`high` bound numbers."""

    node_id: str
    name: str
    kind: str
    node_name: str
    description: str
    default: str = ""
    low: float | None = None
    high: float | None = None
    is_resolution: bool = False


@dataclass(frozen=True, slots=True)
class App:
    """A webapp or a workflow. `is_saved` is false for one that never ran in the web UI."""

    app_id: str
    name: str
    work: Work
    fields: tuple[Field, ...]
    is_saved: bool = True
    nodes: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        nodes = frozenset({OUTPUT_NODE, *(item.node_id for item in self.fields)})
        object.__setattr__(self, "nodes", nodes)

    def find(self, node_id: str, name: str) -> Field | None:
        """Return the input of that node with that name."""
        wanted = (node_id, name)
        return next((item for item in self.fields if (item.node_id, item.name) == wanted), None)

    @property
    def media(self) -> tuple[Field, ...]:
        """The inputs that take a file, in the order in which the work uses them."""
        return tuple(item for item in self.fields if item.kind in {"IMAGE", "VIDEO"})

    def graph(self) -> dict[str, Any]:
        """Return the API-format graph: node id to class type and inputs."""
        nodes: dict[str, Any] = {}
        for item in self.fields:
            node = nodes.setdefault(
                item.node_id,
                {"inputs": {}, "class_type": item.node_name, "_meta": {"title": item.description}},
            )
            node["inputs"][item.name] = item.default
        source = next(iter(nodes), OUTPUT_NODE)
        saver = "VHS_VideoCombine" if self.work is Work.VIDEO_UPSCALE else "SaveImage"
        nodes[OUTPUT_NODE] = {
            "inputs": {"images": [source, 0], "filename_prefix": "ComfyUI"},
            "class_type": saver,
            "_meta": {"title": "output"},
        }
        return nodes


def _image(node_id: str, description: str) -> Field:
    return Field(node_id, "image", "IMAGE", "LoadImage", description, default="example.png")


def _share(node_id: str, description: str, default: str) -> Field:
    return Field(node_id, "value", "FLOAT", "FloatConstant", description, default, 0.0, 1.0)


def _resolution(node_id: str) -> Field:
    return Field(
        node_id, "value", "INT", "INTConstant", "resolution", "2048", 64, 16384, is_resolution=True
    )


def _text(node_id: str) -> Field:
    return Field(node_id, "text", "STRING", "CLIPTextEncode", "prompt")


def _legacy(app_id: str, name: str) -> App:
    fields = (
        _image("26", "image"),
        _share("25", "denoise", "0.15"),
        _resolution("75"),
        _text("128"),
    )
    return App(app_id, name, Work.UPSCALE, fields)


_VIDEO = Field("3", "video", "VIDEO", "VHS_LoadVideoPath", "video", default="example.mp4")

_APPS = (
    App(
        "2037188547966406658",
        "Upscaler: people without face",
        Work.UPSCALE,
        (_image("1", "image"), _resolution("548")),
    ),
    App(
        "2037184937371115522",
        "Upscaler: people with face",
        Work.UPSCALE,
        (_image("1", "image"), _share("102", "denoise", "0.15"), _resolution("547")),
    ),
    App("2018913880214343681", "Upscaler: old photo", Work.UPSCALE, (_image("139", "image"),)),
    App(
        "2015855359243587585",
        "Upscaler: food",
        Work.UPSCALE,
        (_image("50", "image"), _share("48", "strength", "0.85")),
    ),
    App(
        "2019239272464785409",
        "Upscaler: logo",
        Work.UPSCALE,
        (_image("39", "image"), _share("33", "strength", "0.40")),
    ),
    App(
        "2019234965992509442",
        "Upscaler: 3D render",
        Work.UPSCALE,
        (_image("301", "image"), _share("300", "strength", "0.80")),
    ),
    _legacy("2017030861371219969", "Upscaler: legacy standard"),
    _legacy("2020634325636616194", "Upscaler: legacy far"),
    _legacy("2015865378030755841", "Upscaler: legacy pro"),
    App(
        "2018451429635133442",
        "Pose Changer",
        Work.COMPOSITE,
        (_image("27", "person"), _image("60", "pose reference")),
    ),
    App(
        "2018755100210106369",
        "Veste AI",
        Work.COMPOSITE,
        (_image("41", "person"), _image("43", "clothing")),
    ),
    App("2018810750139109378", "Video Upscaler", Work.VIDEO_UPSCALE, (_VIDEO,)),
    App("2031815099811368962", "Background Remover", Work.CUTOUT, (_image("1", "image"),)),
)

_SAMPLER = (
    Field("3", "seed", "INT", "KSampler", "seed", "0", 0, 2**64 - 1),
    Field("3", "steps", "INT", "KSampler", "steps", "20", 1, 10_000),
    Field("3", "cfg", "FLOAT", "KSampler", "cfg", "1.0", 0.0, 100.0),
    Field("3", "denoise", "FLOAT", "KSampler", "denoise", "0.35", 0.0, 1.0),
)

GENERIC_WORKFLOW = "1900000000000000001"
UNSAVED_WORKFLOW = "1900000000000000002"

_WORKFLOWS = (
    App(
        GENERIC_WORKFLOW,
        "Image to image",
        Work.UPSCALE,
        (
            *_SAMPLER,
            Field("6", "text", "STRING", "CLIPTextEncode", "prompt"),
            _image("10", "image"),
        ),
    ),
    App(
        UNSAVED_WORKFLOW,
        "Never run in the web UI",
        Work.UPSCALE,
        (_image("10", "image"),),
        is_saved=False,
    ),
)

WEBAPPS: dict[str, App] = {app.app_id: app for app in _APPS}
WORKFLOWS: dict[str, App] = {app.app_id: app for app in _WORKFLOWS}
