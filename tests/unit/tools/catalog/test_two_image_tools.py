from __future__ import annotations

import pytest

from services.tools.catalog import pose_changer, veste_ai
from services.tools.tool import AnyTool, MediaRef, Node, NoInputs


@pytest.mark.parametrize(
    ("tool", "webapp_id", "nodes"),
    [
        (
            pose_changer.TOOL,
            "2018451429635133442",
            (
                Node("27", "image", MediaRef("person")),
                Node("60", "image", MediaRef("reference")),
            ),
        ),
        (
            veste_ai.TOOL,
            "2018755100210106369",
            (
                Node("41", "image", MediaRef("person")),
                Node("43", "image", MediaRef("clothing")),
            ),
        ),
    ],
)
def test_person_and_reference_go_to_their_nodes(
    tool: AnyTool, webapp_id: str, nodes: tuple[Node, ...]
) -> None:
    plan = tool.plan(NoInputs())
    assert plan.webapp_id == webapp_id
    assert plan.nodes == nodes
    assert tool.variant(plan.variant).price == 60


@pytest.mark.parametrize("tool", [pose_changer.TOOL, veste_ai.TOOL])
def test_images_are_bounded_to_1536_px_and_15_mib(tool: AnyTool) -> None:
    assert {(media.max_side_px, media.max_bytes) for media in tool.media} == {(1536, 15 << 20)}
