"""What a browser test of the console stands on."""

from __future__ import annotations

from dataclasses import dataclass, field

from playwright.async_api import Page

from tests.support.console_app import Browser
from tests.support.console_world import World


@dataclass
class Stage:
    """A page, the console that serves it, and the world behind both."""

    page: Page
    console: Browser
    world: World
    media_url: str
    errors: list[str] = field(default_factory=list)

    async def open(self, path: str) -> None:
        """Go to a page of the console."""
        await self.page.goto(self.console.base + path)
