"""Debian's Chromium at a console with real gRPC services behind it. Nothing here is skipped."""

from __future__ import annotations

import io
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from PIL import Image
from playwright.async_api import Browser as Chromium
from playwright.async_api import async_playwright

from services.runtime.http_server import HttpServer
from tests.support.console_app import running_console
from tests.support.console_stage import Stage
from tests.support.console_world import World

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Return where Debian's Chromium is."""
    found = shutil.which("chromium")
    if found is None:
        pytest.fail("Chromium is missing: run `make chromium`, or `apt-get install chromium`")
    return found


@pytest.fixture
async def chromium(chromium_path: str) -> AsyncIterator[Chromium]:
    """Return a running browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
def language() -> str:
    """Return the browser's language; tests override it by parametrising."""
    return "pt-BR"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Return a picture on disk."""
    path = tmp_path / "retrato.png"
    path.write_bytes(_png(64, (90, 130, 200)))
    return path


@pytest.fixture
async def stage(chromium: Chromium, language: str) -> AsyncIterator[Stage]:
    """Return a page at a console. Whatever the browser complains of fails the test."""
    media = web.Application()
    media.router.add_get("/media/{name}", _picture)
    gateway = HttpServer("127.0.0.1:0", media)
    port = await gateway.start()
    world = World()
    origin = f"http://127.0.0.1:{port}"
    context = await chromium.new_context(locale=language, timezone_id="America/Sao_Paulo")
    async with running_console(world, media_origin=origin) as console:
        page = await context.new_page()
        page.set_default_timeout(15_000)
        found = Stage(page, console, world, f"{origin}/media/out.png")
        page.on("console", lambda said: _note(found.errors, said.type, said.text))
        page.on("pageerror", lambda error: found.errors.append(str(error)))
        yield found
        await context.close()
    await gateway.stop(1)
    assert found.errors == []


def _note(errors: list[str], kind: str, text: str) -> None:
    # A lost connection is what some tests are about; a policy that is broken never is.
    if kind == "error" and "net::ERR" not in text and "503" not in text:
        errors.append(text)


async def _picture(request: web.Request) -> web.Response:
    return web.Response(body=_png(256, (200, 140, 120)), content_type="image/png")


def _png(side: int, colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, "PNG")
    return file.getvalue()
