"""A tool as the catalogue announces it."""

from __future__ import annotations

from etapa.queue.v1 import operations_pb2


def announcement(name: str = "upscaler", price: int = 60) -> operations_pb2.ToolAnnouncement:
    """Return an announcement in which nothing is wrong."""
    made = operations_pb2.ToolAnnouncement(
        name=name,
        view=f"{name}_jobs",
        label_pt="Ampliar",
        label_en="Upscale",
        variants=[operations_pb2.VariantPrice(variant="", credits=price)],
        output_kind="image",
    )
    for field in ("upload", "queue_wait", "start", "run", "finalise"):
        getattr(made.time_limits, field).FromSeconds(60)
    return made
