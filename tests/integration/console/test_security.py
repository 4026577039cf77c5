from __future__ import annotations

import pytest

from tests.support import console_jobs as known
from tests.support.console_app import PART, Browser, running_console
from tests.support.console_world import World

CANCEL = f"/jobs/{known.QUEUED}/cancel"


@pytest.mark.parametrize("path", ["/tools", "/nope", "/healthz", "/static/live.js"])
async def test_every_answer_carries_the_policy(console: Browser, path: str) -> None:
    headers = (await console.get(path)).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_pictures_may_come_from_the_gateway_and_nowhere_else() -> None:
    async with running_console(World(), media_origin="https://media.example.com") as browser:
        policy = (await browser.get("/healthz")).headers["Content-Security-Policy"]
    assert "img-src 'self' blob: https://media.example.com;" in policy
    assert "media-src 'self' blob: https://media.example.com;" in policy


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-CSRF-Token": "x" * 43},
        {"X-CSRF-Token": "TOKEN", "Sec-Fetch-Site": "cross-site"},
        {"X-CSRF-Token": "TOKEN", "Sec-Fetch-Site": "same-site"},
        {"X-CSRF-Token": "TOKEN", "Origin": "https://evil.example"},
        {"X-CSRF-Token": "TOKEN", "Origin": "null"},
    ],
)
async def test_a_change_from_elsewhere_is_refused(
    console: Browser, headers: dict[str, str]
) -> None:
    await console.visit()
    sent = {name: console.token if value == "TOKEN" else value for name, value in headers.items()}
    reply = await console.post(CANCEL, headers=PART | sent)
    assert reply.status == 403
    assert "CSRF_REFUSED" in reply.text
    assert not console.world.jobs[known.QUEUED].HasField("cancel_requested_at")


async def test_a_token_without_its_cookie_is_refused(console: Browser) -> None:
    await console.visit()
    console.session.cookie_jar.clear()
    reply = await console.post(CANCEL, headers={"X-CSRF-Token": console.token})
    assert reply.status == 403


async def test_a_form_without_script_carries_the_token_in_a_field(console: Browser) -> None:
    await console.visit()
    reply = await console.post(CANCEL, {"csrf": console.token}, headers={"Accept": "text/html"})
    assert (reply.status, reply.headers["Location"]) == (303, f"/jobs/{known.QUEUED}")


async def test_the_token_is_out_of_reach_of_scripts_and_other_sites(console: Browser) -> None:
    cookie = (await console.get("/jobs")).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1"])
async def test_a_name_that_is_not_ours_is_refused(console: Browser, host: str) -> None:
    reply = await console.get("/jobs", Host=host)
    assert reply.status in (400, 421)
    assert "data-row" not in reply.text


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:80", "console.internal"])
async def test_addresses_localhost_and_configured_names_are_answered(host: str) -> None:
    async with running_console(World(), hosts=("console.internal",)) as browser:
        assert (await browser.get("/jobs", Host=host)).status == 200


async def test_a_redirect_after_a_change_stays_on_the_site(console: Browser) -> None:
    for back in ("//evil.example", "https://evil.example", "/\\evil.example"):
        reply = await console.post("/user", {"user": "ana", "back": back})
        assert reply.headers["Location"] == "/"
    reply = await console.post("/user", {"user": "ana", "back": "/jobs?tool=x"})
    assert reply.headers["Location"] == "/jobs?tool=x"
