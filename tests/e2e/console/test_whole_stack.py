"""The console as deployed: every service a process, jobs at the emulator, results in the page."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

from services.cli.stack import Stack
from tests.support.stacks import own_env, running_stack

PAGE = {"Accept": "text/html"}


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    env = own_env() | {"ETAPA_EMULATOR_RENDER_FAST": "1"}
    async with running_stack(tmp_path, env=env) as running:
        await running.wait_ready()
        yield running


class Visitor:
    """A person at the console, by its pages alone."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base

    async def get(self, path: str) -> str:
        async with self.session.get(self.base + path, headers=PAGE) as reply:
            assert reply.status == 200, await reply.text()
            return await reply.text()

    async def post(self, path: str, data: aiohttp.FormData | dict[str, str]) -> str:
        found = re.search(r'"X-CSRF-Token": "([^"]+)"', await self.get("/tools"))
        assert found is not None
        headers = {"HX-Request": "true", "X-CSRF-Token": found[1]}
        async with self.session.post(self.base + path, data=data, headers=headers) as reply:
            assert reply.status < 400, await reply.text()
            return await reply.text()

    async def run_upscaler(self, file_name: str, shade: int) -> str:
        """Send a photo of that shade; return the id of its job."""
        file = io.BytesIO()
        Image.new("RGB", (96, 128), (shade, 120, 90)).save(file, "JPEG")
        data = aiohttp.FormData(quote_fields=False)
        data.add_field("input.category", "pessoas_perto")
        data.add_field("media.image", io.BytesIO(file.getvalue()), filename=file_name)
        card = await self.post("/tools/upscaler/jobs", data)
        found = re.search(r'id="card-([0-9a-f-]{36})"', card)
        assert found is not None
        return found[1]

    async def card_at(self, job_id: str, status: str) -> str:
        """Return the card once the stream of the job has led to a status."""
        async with (
            asyncio.timeout(60),
            self.session.get(f"{self.base}/jobs/{job_id}/events") as events,
        ):
            async for line in events.content:
                if line.startswith(b"event: changed"):
                    card = await self.get(f"/jobs/{job_id}/card")
                    if "data-open" not in card:
                        assert f'data-status="{status}"' in card
                        return card
        raise AssertionError(f"the stream ended before {status}")


@pytest.mark.timeout(240)
async def test_a_photo_is_upscaled_and_a_failure_explained_through_the_pages(
    stack: Stack,
) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        visitor = Visitor(session, f"http://{stack.address('console')}")
        await visitor.post("/credits", {"back": "/tools"})
        await _fail_files_named(session, stack, "vram")
        good = await visitor.run_upscaler("retrato.jpg", 180)
        card = await visitor.card_at(good, "completed")
        assert "60 créditos cobrados" in card
        await _assert_picture_larger_than(session, card, 128)
        bad = await visitor.run_upscaler("vram.jpg", 60)
        card = await visitor.card_at(bad, "failed")
        assert "Falhou em: Processando com IA" in card
        assert "Allocation on device 0 would exceed allowed memory" in card
        page = await visitor.get(f"/jobs/{bad}")
        for said in ("gpu_oom", "60 créditos devolvidos", "Callback Recebido", "Requisição"):
            assert said in page
        found = await visitor.get(f"/find?q={_task_id(page)}")
        assert bad in found


async def _fail_files_named(session: aiohttp.ClientSession, stack: Stack, name: str) -> None:
    rule = {"action": "fail", "classes": ["gpu_oom"], "file": name}
    url = f"http://{stack.address('emulator_admin')}/admin/faults"
    async with session.post(url, json=rule) as reply:
        assert reply.status < 300, await reply.text()


async def _assert_picture_larger_than(session: aiohttp.ClientSession, card: str, side: int) -> None:
    found = re.search(r'<img src="([^"]+)"', card)
    assert found is not None
    async with session.get(found[1].replace("&amp;", "&")) as reply:
        assert reply.status == 200
        picture = Image.open(io.BytesIO(await reply.read()))
    assert max(picture.size) > side


def _task_id(page: str) -> str:
    found = re.search(r'<dt>taskId</dt>.*?data-copy="(\d+)"', page, re.DOTALL)
    assert found is not None
    return found[1]
