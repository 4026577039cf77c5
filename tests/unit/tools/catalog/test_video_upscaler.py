from __future__ import annotations

from services.tools.catalog.video_upscaler import TOOL
from services.tools.tool import Kind, MediaRef, Node, NoInputs


def test_video_is_sent_as_a_url() -> None:
    plan = TOOL.plan(NoInputs())
    assert plan.webapp_id == "2018810750139109378"
    assert plan.nodes == (Node("3", "video", MediaRef("video", as_url=True)),)
    assert TOOL.variant(plan.variant).price == 150


def test_video_is_bounded_in_bytes_side_and_length() -> None:
    (video,) = TOOL.media
    assert video.kind is TOOL.output is Kind.VIDEO
    assert (video.max_bytes, video.max_side_px, video.max_s) == (100 << 20, 1280, 10.0)


def test_video_may_run_longer_than_an_image() -> None:
    assert TOOL.time_limits.run_s == 900
