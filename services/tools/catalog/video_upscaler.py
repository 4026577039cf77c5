"""Video Upscaler: enlarges and sharpens one short video.

App id, node and limits: docs/tool-mappings.md (read 2026-11-24). Its node
loads a public URL, not an uploaded file.
"""

from __future__ import annotations

from services.tools.domain import Text
from services.tools.tool import (
    MIB,
    Kind,
    MediaInput,
    MediaRef,
    Node,
    NoInputs,
    RunPlan,
    TimeLimits,
    Tool,
    Variant,
    run_of,
)

STANDARD = Variant(
    name="standard",
    webapp_id="2018810750139109378",
    price=150,
)


def plan(inputs: NoInputs) -> RunPlan:
    """Send the video as a URL."""
    return run_of(STANDARD, Node("3", "video", MediaRef("video", as_url=True)))


TOOL = Tool(
    name="video_upscaler",
    view="video_upscaler_jobs",
    label=Text("Video Upscaler", "Video Upscaler"),
    description=Text("Aumenta e melhora um vídeo curto.", "Enlarges and sharpens a short video."),
    inputs=NoInputs,
    media=(
        MediaInput(
            name="video",
            kind=Kind.VIDEO,
            label=Text("Vídeo", "Video"),
            help=Text(
                "MP4, WebM, MOV ou M4V.",
                "MP4, WebM, MOV or M4V.",
            ),
            max_bytes=100 * MIB,
            max_side_px=1280,
            max_s=10.0,
        ),
    ),
    variants=(STANDARD,),
    plan=plan,
    output=Kind.VIDEO,
    time_limits=TimeLimits(run_s=900),
)
