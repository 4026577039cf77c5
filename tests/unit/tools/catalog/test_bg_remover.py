from __future__ import annotations

from services.tools.catalog.bg_remover import TOOL
from services.tools.tool import MediaRef, Node, NoInputs


def test_image_goes_to_node_1_for_10_credits() -> None:
    plan = TOOL.plan(NoInputs())
    assert plan.webapp_id == "2031815099811368962"
    assert plan.nodes == (Node("1", "image", MediaRef("image")),)
    assert TOOL.variant(plan.variant).price == 10
    assert TOOL.view == "bg_remover_jobs"
