from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Route, expect

from etapa.queue.v1 import job_pb2
from tests.support import console_jobs as known
from tests.support.console_jobs import AT_WORK, DONE, IN_QUEUE, ago, fill, open_job, trail_of
from tests.support.console_stage import Stage
from tests.support.trails import failed_job, failed_trail

# One Chromium at a time: two would starve each other.
pytestmark = pytest.mark.xdist_group("browser")


async def run_tool(stage: Stage, photo: Path, button: str = "Processar") -> job_pb2.Job:
    """Send the photo and return the job that came of it."""
    await stage.open("/tools/upscaler")
    await stage.page.set_input_files("input[type=file]", photo)
    await stage.page.get_by_role("button", name=button).click()
    await expect(stage.page.locator("article.card.queued")).to_be_visible()
    return next(iter(stage.world.jobs.values()))


async def let_run(stage: Stage, job_id: str) -> None:
    """Let the job run at 45 %."""
    progress = job_pb2.Progress(percent=45, estimated=True)
    job = open_job(job_id, "running", "running", progress=progress, seq=8)
    await stage.world.put(job, trail_of(job, AT_WORK))


async def let_complete(stage: Stage, job_id: str) -> None:
    """Let the job complete with one picture."""
    job = open_job(job_id, "completed", "completed", seq=9)
    job.completed_at.CopyFrom(ago(1))
    job.outputs.add(url=stage.media_url, content_type="image/png", bytes=700, sha256="9c" * 32)
    await stage.world.put(job, trail_of(job, DONE))


async def let_fail(stage: Stage, job_id: str) -> None:
    """Let the job run out of GPU memory."""
    job, trail = failed_job(), failed_trail()
    job.job_id = trail.job.job_id = job_id
    await stage.world.put(job, trail)


async def test_a_photo_goes_from_the_form_to_a_before_and_after(stage: Stage, photo: Path) -> None:
    page = stage.page
    await stage.open("/tools/upscaler")
    await expect(page.get_by_text("Os jobs aparecem aqui")).to_have_count(0)
    await page.set_input_files("input[type=file]", photo)
    await expect(page.locator(".preview img")).to_be_visible()
    await expect(page.locator(".file-name")).to_contain_text("retrato.png · 64×64")
    await page.get_by_text("Pessoas de perto", exact=True).click()
    await page.locator("input[type=range]").first.fill("0.6")
    await expect(page.get_by_label("Detalhe", exact=True).last).to_be_hidden()
    await page.get_by_role("button", name="Processar · 50–60 créditos").click()
    card = page.locator("article.card")
    await expect(card).to_contain_text("Aguardando na fila")
    header, media = stage.world.runs[0]
    assert media == {"image": photo.read_bytes()}  # noqa: ASYNC240 - a small local file
    assert header.input_json == '{"category": "pessoas_perto", "denoise": 0.6, "resolution": 2048}'
    job_id = next(iter(stage.world.jobs))
    await let_run(stage, job_id)
    await expect(card).to_contain_text("Processando com IA...")
    await expect(card).to_contain_text("45 %")
    await expect(card).to_contain_text("(estimativa)")
    await let_complete(stage, job_id)
    await expect(card).to_contain_text("Concluído!")
    slider = page.get_by_label("Comparar antes e depois")
    await expect(slider).to_be_attached()
    await slider.fill("20")
    assert await page.locator(".compare").evaluate("e => e.style.getPropertyValue('--cut')") == (
        "20%"
    )
    await page.get_by_role("button", name="Processar").click()
    await expect(page.locator("article.card")).to_have_count(2)
    ids = [header.run.request_id for header, _ in stage.world.runs]
    assert len(set(ids)) == 2


async def test_a_failure_is_a_toast_a_card_a_modal_and_a_second_try(
    stage: Stage, photo: Path
) -> None:
    page = stage.page
    job = await run_tool(stage, photo)
    await let_fail(stage, job.job_id)
    toast = page.locator(".toast")
    await expect(toast).to_contain_text('Erro em "Processando com IA": Allocation on device 0')
    await expect(toast).to_contain_text("Toque para ver detalhes")
    card = page.locator("article.card.failed")
    await expect(card).to_contain_text("Falhou em: Processando com IA")
    await expect(card).to_contain_text("60 créditos devolvidos")
    modal = page.locator("dialog")
    await toast.click()
    await expect(modal.get_by_text("Linha do tempo")).to_be_visible()
    await expect(modal.locator("li.step")).to_have_count(9)
    await page.keyboard.press("Escape")
    await expect(modal).to_be_hidden()
    await card.get_by_text("Ver Detalhes").click()
    await expect(modal.get_by_text("lado: provedor")).to_be_visible()
    await modal.get_by_role("button", name="Tentar Novamente").click()
    await expect(modal).to_be_hidden()
    await expect(page.locator("article.card").first).to_contain_text("Aguardando na fila")
    await expect(page.locator("article.card")).to_have_count(2)
    assert stage.world.retried[0].job_id == job.job_id


async def test_a_reload_and_a_restarted_console_lose_nothing(stage: Stage, photo: Path) -> None:
    job = await run_tool(stage, photo)
    card = stage.page.locator("article.card")
    await let_run(stage, job.job_id)
    await expect(card).to_contain_text("45 %")
    await stage.page.reload()
    await expect(card).to_contain_text("45 %")
    await stage.console.restart()
    await let_complete(stage, job.job_id)
    await expect(card).to_contain_text("Concluído!")
    # The photo that was sent is still in this browser, so there is a before.
    await expect(stage.page.get_by_label("Comparar antes e depois")).to_be_attached()
    # What htmx says of the polls that met no console.
    stage.errors[:] = [said for said in stage.errors if not said.startswith("htmx:")]


async def test_what_the_server_refuses_is_told_beside_the_form(stage: Stage, photo: Path) -> None:
    waiting = open_job("019ab0c0-0000-7000-8000-00000000000a", "queued", "queued")
    await stage.world.put(waiting, trail_of(waiting, IN_QUEUE))
    stage.world.active_limit = 1
    await stage.open("/tools/upscaler")
    button = stage.page.get_by_role("button", name="Processar")
    await button.click()
    told = stage.page.locator("#run-error")
    await expect(told).to_contain_text("Escolha um arquivo.")
    await stage.page.set_input_files("input[type=file]", photo)
    await button.click()
    await expect(told).to_contain_text("Limite de jobs em andamento atingido.")
    await expect(button).to_be_enabled()
    stage.errors[:] = [said for said in stage.errors if not re.search("400|429", said)]


@pytest.mark.parametrize("language", ["en-US"])
async def test_it_speaks_english_to_an_english_browser(stage: Stage, photo: Path) -> None:
    page = stage.page
    job = await run_tool(stage, photo, "Run · 50–60 credits")
    await expect(page.locator("article.card")).to_contain_text("Waiting in queue")
    await let_fail(stage, job.job_id)
    await expect(page.locator(".toast")).to_contain_text('Error at "Processing with AI"')
    await expect(page.locator("article.card")).to_contain_text("Try a smaller file.")
    await page.get_by_title("Português").click()
    await expect(page.get_by_role("button", name="Processar")).to_be_visible()


async def test_a_page_whose_place_is_forgotten_reads_all_its_cards_anew(stage: Stage) -> None:
    """And a page that is refused comes back to where it was, not to the beginning."""
    await fill(stage.world, stage.media_url)
    streams: list[dict[str, Any]] = [
        {"content_type": "text/event-stream", "body": "id: p1\nevent: refresh\ndata: {}\n\n"},
        {"status": 503, "body": ""},
    ]

    async def answer(route: Route) -> None:
        if streams:
            await route.fulfill(**streams.pop(0))
        else:
            await route.continue_()

    await stage.page.route("**/events?*", answer)
    async with stage.page.expect_request(f"**/jobs/{known.COMPLETED}/card"):
        await stage.open("/tools/upscaler")
    async with stage.page.expect_request("**/events?*after=p1"):
        pass
    await expect(stage.page.locator("#live-state")).to_have_text("")
