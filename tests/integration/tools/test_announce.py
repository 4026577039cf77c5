from __future__ import annotations

import asyncio
from collections.abc import Sequence

from etapa.queue.v1 import operations_pb2
from etapa_client import EtapaClient
from services.tools.announce import Announcer
from services.tools.registry import load_registry
from tests.support.servicer_recorder import QueueRecorder, TrailRecorder, recorder_server
from tests.support.sockets import free_port


async def test_catalogue_is_announced_with_prices_and_limits() -> None:
    recorder = QueueRecorder()
    server = recorder_server(recorder)
    address = f"127.0.0.1:{await server.start()}"
    async with EtapaClient(queue=address) as client:
        announce = client.operations.announce_tools
        task = asyncio.create_task(Announcer(load_registry(), "queue", announce, 60).run())
        await recorder.wait(recorder.announced, 1)
        task.cancel()
    tools = {tool.name: tool for tool in recorder.announced[0].tools}
    assert sorted(tools) == ["bg_remover", "pose_changer", "upscaler", "veste_ai", "video_upscaler"]
    prices = {variant.variant: variant.credits for variant in tools["upscaler"].variants}
    assert (prices["people"], prices["people_face"], prices["logo"]) == (60, 60, 50)
    assert tools["video_upscaler"].variants[0].credits == 150
    assert tools["video_upscaler"].time_limits.run.ToSeconds() == 900
    assert tools["upscaler"].view == "upscaler_jobs"
    await server.stop(0)


async def test_catalogue_is_announced_again_and_again() -> None:
    recorder = QueueRecorder()
    server = recorder_server(recorder)
    address = f"127.0.0.1:{await server.start()}"
    async with EtapaClient(queue=address) as client:
        announce = client.operations.announce_tools
        task = asyncio.create_task(Announcer(load_registry(), "queue", announce, 0.05).run())
        await recorder.wait(recorder.announced, 3)
        task.cancel()
    assert recorder.announced[0] == recorder.announced[2]
    await server.stop(0)


async def test_an_error_of_ours_costs_one_announcement_only() -> None:
    errors = [RuntimeError("an error of ours")]

    async def announce(_tools: Sequence[operations_pb2.ToolAnnouncement]) -> None:
        if errors:
            raise errors.pop()

    announcer = Announcer(load_registry(), "queue", announce, 60)
    task = asyncio.create_task(announcer.run())
    try:
        async with asyncio.timeout(30):
            await announcer.announced.wait()
    finally:
        task.cancel()
    assert not errors


async def test_listener_that_starts_late_hears_it() -> None:
    port = free_port()
    async with EtapaClient(observability=f"127.0.0.1:{port}") as client:
        announcer = Announcer(load_registry(), "observability", client.intake.announce_tools, 60)
        task = asyncio.create_task(announcer.run())
        trail = TrailRecorder()
        server = recorder_server(QueueRecorder(), trail, f"127.0.0.1:{port}")
        await server.start()
        async with asyncio.timeout(30):
            await trail.announced.wait()
            await announcer.announced.wait()
        task.cancel()
    await server.stop(0)
