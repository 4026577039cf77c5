"""A tool's form tells every limit before a file is sent."""

from __future__ import annotations

from tests.support.console_app import Browser


async def test_a_form_tells_all_limits_of_its_media(console: Browser) -> None:
    video = (await console.get("/tools/video_upscaler")).text
    assert "até 100 MB, 10 s e 1280 px de lado" in video
    assert "<small>MP4, WebM, MOV ou M4V.</small>" in video

    image = (await console.get("/tools/upscaler")).text
    assert "até 15,0 MB; reduzida a 1024 px se for maior" in image
