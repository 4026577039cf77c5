"""Text from outside is hostile to the browser: it comes out as text, wherever it is shown."""

from __future__ import annotations

import re

from etapa.observability.v1 import event_pb2, trail_pb2
from tests.support import console_jobs as known
from tests.support.console_app import Browser

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}&#39;"


def assert_harmless(text: str) -> None:
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "49" not in re.findall(r">\D*(\d+)\D*&amp;#39;", text)
    assert "{{ 7*7 }}" in text


def poison(browser: Browser) -> None:
    job, trail = browser.world.jobs[known.FAILED], browser.world.trails[known.FAILED]
    job.error_message = trail.verdict.provider_words = EVIL
    job.user_id = job.tool = job.variant = job.error_class = trail.job.tool = EVIL
    trail.job.user_id = trail.job.error_message = trail.job.task_id = EVIL
    trail.verdict.message.pt = trail.verdict.advice.pt = EVIL
    trail.notes.add(seq=9, code=EVIL, text=EVIL, details_json='{"' + "x" + '": "<script>"}')
    trail.steps[0].details_json = f'{{"fileName": {_json(EVIL)}, {_json(EVIL)}: 1}}'
    trail.attempts[0].account = trail.attempts[0].outcome = EVIL
    trail.attempts[0].task_id = trail.attempts[0].coins = EVIL
    trail.ledger[0].bucket = EVIL
    info = trail.payloads[0]
    info.call = info.transport_error = info.url = info.method = EVIL
    info.http_status = 0
    info.headers.append(event_pb2.Header(name=EVIL, value=EVIL))
    job.input_json = f'{{"prompt": {_json(EVIL)}}}'
    job.outputs.add(url="https://x/" + EVIL, content_type="image/" + EVIL, text=EVIL)
    job.outputs.add(text=EVIL)


def _json(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


async def test_a_jobs_own_texts_are_escaped_on_every_part(console: Browser) -> None:
    poison(console)
    for path in (f"/jobs/{known.FAILED}", f"/jobs/{known.FAILED}/card", "/jobs"):
        reply = await console.get(path)
        assert reply.status == 200, path
        assert_harmless(reply.text)


async def test_payloads_are_escaped_formatted_and_raw(console: Browser) -> None:
    poison(console)
    for body in (EVIL.encode(), f"{{{_json(EVIL)}: {_json(EVIL)}}}".encode()):
        console.world.bodies["p-1"] = body
        reply = await console.part(f"/jobs/{known.FAILED}/payloads/p-1")
        assert reply.status == 200
        assert_harmless(reply.text)


async def test_tool_texts_are_escaped(console: Browser) -> None:
    tool = console.world.tools["upscaler"]
    tool.label_pt = tool.description_pt = tool.media[0].label_pt = EVIL
    tool.media[0].help_pt = EVIL
    tool.input_schema_json = tool.input_schema_json.replace("Categoria", "<script>alert(1)")
    assert_harmless((await console.get("/tools")).text)
    assert_harmless((await console.get("/tools/upscaler")).text)


async def test_what_the_address_says_is_escaped(console: Browser) -> None:
    for path in ("/find", "/jobs"):
        async with console.session.get(
            console.base + path, params={"q": EVIL, "user": EVIL, "tool": EVIL}
        ) as reply:
            assert_harmless(await reply.text())


async def test_pages_hold_no_inline_script_or_style(console: Browser) -> None:
    for path in ("/tools", "/tools/upscaler", "/jobs", "/queue", f"/jobs/{known.FAILED}", "/nope"):
        text = (await console.get(path)).text
        assert re.findall(r"<script(?![^>]*\bsrc=)", text) == []
        assert re.findall(r"<style|\sstyle=|\son[a-z]+=", text) == []


async def test_output_links_that_are_no_http_are_not_offered(console: Browser) -> None:
    job = console.world.jobs[known.COMPLETED]
    job.outputs[0].url = "javascript:alert(1)"
    trail = trail_pb2.GetTrailResponse()
    trail.CopyFrom(console.world.trails[known.COMPLETED])
    await console.world.put(job, trail)
    assert "javascript:" not in (await console.get(f"/jobs/{known.COMPLETED}")).text
