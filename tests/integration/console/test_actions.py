from __future__ import annotations

import io
import json
import os
import re
import tempfile
from pathlib import Path

import aiohttp
import pytest

from tests.support import console_jobs as known
from tests.support.console_app import PAGE, Browser, running_console
from tests.support.console_world import World

# aiohttp's own reader of forms still calls what it has declared deprecated (3.14, 2026-11).
pytestmark = pytest.mark.filterwarnings("ignore:unread_data:DeprecationWarning")
PHOTO = b"\xff\xd8" + bytes(range(256)) * 4096


def form(**fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData(quote_fields=False)  # as browsers do
    for name, value in {"request_id": "r-1", **fields}.items():
        data.add_field(name.replace("__", "."), value)
    return data


def with_photo(**fields: str) -> aiohttp.FormData:
    data = form(**fields)
    data.add_field(
        "media.image", io.BytesIO(PHOTO), filename="foto grande.jpg", content_type="image/jpeg"
    )
    return data


async def test_a_run_sends_media_and_parameters_and_answers_with_the_card(
    console: Browser,
) -> None:
    data = with_photo(input__category="pessoas_perto", input__denoise="0.6", input__detail="")
    reply = await console.post("/tools/upscaler/jobs", data)
    assert reply.status == 201
    header, media = console.world.runs[0]
    assert media == {"image": PHOTO}
    assert header.run.media[0].upload_file_name == "foto grande.jpg"
    assert (header.run.user_id, header.run.request_id) == ("demo", "r-1")
    assert json.loads(header.input_json) == {"category": "pessoas_perto", "denoise": 0.6}
    assert 'id="card-' in reply.text
    assert "Aguardando na fila" in reply.text


async def test_the_next_run_gets_a_request_id_of_its_own(console: Browser) -> None:
    reply = await console.post("/tools/upscaler/jobs", with_photo())
    found = re.search(r'id="request-id" name="request_id" value="([^"]+)" hx-swap-oob', reply.text)
    assert found is not None
    assert found[1] != "r-1"


async def test_media_goes_on_in_pieces_and_leaves_nothing_behind(
    console: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert (await console.post("/tools/upscaler/jobs", with_photo())).status == 201
    assert 0 < console.world.largest_chunk <= 256 * 1024
    assert os.listdir(tmp_path) == []


async def test_media_may_be_an_address(console: Browser) -> None:
    data = form(media_url__image="https://example.com/a.jpg")
    assert (await console.post("/tools/upscaler/jobs", data)).status == 400
    multipart = aiohttp.FormData(default_to_multipart=True)
    multipart.add_field("media_url.image", "https://example.com/a.jpg")
    assert (await console.post("/tools/upscaler/jobs", multipart)).status == 201
    assert console.world.runs[0][0].run.media[0].url == "https://example.com/a.jpg"


async def test_without_media_nothing_runs_and_the_form_is_told(console: Browser) -> None:
    data = aiohttp.FormData(default_to_multipart=True)
    data.add_field("media.image", b"", filename="", content_type="application/octet-stream")
    reply = await console.post("/tools/upscaler/jobs", data)
    assert reply.status == 400
    assert "Escolha um arquivo." in reply.text
    assert reply.headers["HX-Retarget"] == "#run-error"
    assert console.world.runs == []


async def test_a_number_that_is_none_is_refused_by_name(console: Browser) -> None:
    reply = await console.post("/tools/upscaler/jobs", with_photo(input__denoise="muito"))
    assert reply.status == 400
    assert "denoise" in reply.text


async def test_an_upload_beyond_the_limit_is_cut_off() -> None:
    async with running_console(World(), max_upload_bytes=100_000) as browser:
        reply = await browser.post("/tools/upscaler/jobs", with_photo())
        assert reply.status == 413
        assert "97,7 KB" in reply.text
        assert browser.world.runs == []


async def test_one_active_job_too_many_names_the_active_one(console: Browser) -> None:
    console.world.active_limit = 1
    reply = await console.post("/tools/upscaler/jobs", with_photo())
    assert reply.status == 429
    assert "Limite de jobs em andamento atingido." in reply.text
    assert 'href="/jobs/019ab0c0' in reply.text
    english = await console.post("/tools/upscaler/jobs?lang=en", with_photo())
    assert "You have as many jobs under way as allowed." in english.text


async def test_an_upload_without_script_needs_the_token_before_the_file(
    console: Browser,
) -> None:
    await console.visit()
    late = with_photo()
    late.add_field("csrf", console.token)
    refused = await console.post("/tools/upscaler/jobs", late, headers=PAGE)
    assert refused.status == 403
    early = aiohttp.FormData()
    early.add_field("csrf", console.token)
    early.add_field("media.image", io.BytesIO(PHOTO), filename="a.jpg")
    reply = await console.post("/tools/upscaler/jobs", early, headers=PAGE)
    assert reply.status == 303
    assert reply.headers["Location"].startswith("/jobs/")
    assert len(console.world.runs) == 1


async def test_a_broken_upload_is_the_senders_fault(console: Browser) -> None:
    await console.visit()
    headers = {
        "X-CSRF-Token": console.token,
        "Content-Type": "multipart/form-data; boundary=x",
        "HX-Request": "true",
    }
    reply = await console.post("/tools/upscaler/jobs", b"no boundary here", headers=headers)
    assert reply.status == 400
    assert console.world.runs == []


async def test_retry_makes_a_new_job_and_shows_its_card(console: Browser) -> None:
    reply = await console.post(f"/jobs/{known.FAILED}/retry", {"request_id": "again-1"})
    assert reply.status == 201
    request = console.world.retried[0]
    assert (request.job_id, request.request_id, request.caller) == (
        known.FAILED,
        "again-1",
        "console",
    )
    assert 'id="card-' in reply.text


async def test_retry_on_the_job_page_leads_to_the_new_job(console: Browser) -> None:
    data = {"request_id": "again-1", "view": "page"}
    reply = await console.post(f"/jobs/{known.FAILED}/retry", data)
    assert re.fullmatch(r"/jobs/[0-9a-f-]{36}", reply.headers["HX-Redirect"])


async def test_cancel_asks_for_the_end_and_shows_that_it_was_asked(console: Browser) -> None:
    reply = await console.post(f"/jobs/{known.RUNNING}/cancel")
    assert reply.status == 200
    assert "cancelando..." in reply.text
    assert "/cancel" not in reply.text


async def test_cancel_of_a_finished_job_says_why_not(console: Browser) -> None:
    reply = await console.post(f"/jobs/{known.COMPLETED}/cancel")
    assert reply.status == 409
    assert "Este job já terminou." in reply.text


async def test_another_user_is_acted_as_from_then_on(console: Browser) -> None:
    await console.post("/user", {"user": "ana", "back": "/"})
    await console.post("/tools/upscaler/jobs", with_photo())
    assert console.world.runs[0][0].run.user_id == "ana"
    refused = await console.post("/user", {"user": "a b<script>"})
    assert refused.status == 400


async def test_credits_can_be_added_to_try_things(console: Browser) -> None:
    await console.post("/credits", {"back": "/"})
    assert "1.040 créditos" in (await console.part("/balance")).text
