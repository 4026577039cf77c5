from __future__ import annotations

import pytest
from playwright.async_api import expect

from etapa.observability.v1 import trail_pb2
from tests.support import console_jobs as known
from tests.support.console_jobs import fill, open_job
from tests.support.console_stage import Stage

# One Chromium at a time: two would starve each other.
pytestmark = pytest.mark.xdist_group("browser")


async def test_the_job_page_answers_without_a_click_and_shows_the_proof(stage: Stage) -> None:
    page = stage.page
    await fill(stage.world, stage.media_url)
    await stage.open(f"/jobs/{known.FAILED}")
    await expect(page.locator(".verdict h2")).to_contain_text("Falhou em “Processando com IA”")
    await expect(page.locator(".proof")).to_contain_text("torch.OutOfMemoryError")
    await expect(page.locator("li.culprit time")).to_have_text("14:05:26,104")
    await expect(page.locator("[data-zone]")).to_have_text("BRT")
    await page.get_by_role("button", name="Bruto").click()
    await expect(page.locator("[data-shows=raw]")).to_contain_text('"event": "TASK_END"')
    await page.get_by_role("tab", name="Callback").press("ArrowLeft")
    await page.get_by_role("tab", name="Resposta").press("ArrowLeft")
    await (
        page.get_by_role("button", name="start sent")
        .or_(page.locator(".payload-row:visible"))
        .first.click()
    )
    await page.get_by_role("button", name="Bruto").click()
    await expect(page.locator("mark.masked")).to_have_text("****************")


async def test_a_live_job_page_grows_and_keeps_what_was_opened(stage: Stage) -> None:
    page = stage.page
    await known.put_running(stage.world)
    await stage.open(f"/jobs/{known.RUNNING}")
    steps = page.locator("li.step")
    await expect(steps).to_have_count(7)
    trail = trail_pb2.GetTrailResponse()
    trail.CopyFrom(stage.world.trails[known.RUNNING])
    trail.steps[0].details_json = '{"fileName": "retrato.jpg"}'
    trail.through_seq = 8
    job = open_job(known.RUNNING, "running", "running", seq=8)
    await stage.world.put(job, trail)
    await steps.first.locator("summary").click()
    await expect(steps.first.get_by_text("retrato.jpg")).to_be_visible()
    grown = trail_pb2.GetTrailResponse()
    grown.CopyFrom(trail)
    grown.steps.add(seq=9, step=trail.steps[6].step).timestamp.GetCurrentTime()
    grown.through_seq = 9
    await stage.world.put(open_job(known.RUNNING, "running", "running", seq=9), grown)
    await expect(steps).to_have_count(8)
    await expect(steps.first.get_by_text("retrato.jpg")).to_be_visible()


async def test_with_services_away_the_page_keeps_what_it_knew_and_says_so(stage: Stage) -> None:
    page = stage.page
    await known.put_running(stage.world)
    await stage.open(f"/jobs/{known.RUNNING}")
    await expect(page.locator("li.step")).to_have_count(7)
    await stage.world.set_away("queue", "observability")
    state = page.locator("#live-state")
    await expect(state).to_have_text("sem atualização ao vivo; consultando")
    await expect(page.locator("li.step")).to_have_count(7)
    await expect(page.locator("#toasts")).to_be_empty()
    await stage.world.set_away()
    await expect(state).to_have_text("")
    stage.errors[:] = [said for said in stage.errors if "503" not in said]


async def test_it_can_be_used_by_the_keyboard(stage: Stage) -> None:
    page = stage.page
    await fill(stage.world, stage.media_url)
    await stage.open("/jobs")
    await page.keyboard.press("/")
    await expect(page.locator("#search")).to_be_focused()
    await page.keyboard.type(known.FAILED)
    await page.keyboard.press("Enter")
    await expect(page.locator(".verdict.failed")).to_be_visible()


@pytest.mark.parametrize("path", ["/tools", "/jobs", "/queue", "/tools/upscaler"])
async def test_no_page_is_wider_than_a_phone(stage: Stage, path: str) -> None:
    await fill(stage.world, stage.media_url)
    await stage.page.set_viewport_size({"width": 375, "height": 700})
    await stage.open(path)
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await stage.page.evaluate(wide) == 0
