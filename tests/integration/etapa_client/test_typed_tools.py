"""The typed tool services: each call reaches its own service, with its media by name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from etapa.queue.v1 import job_pb2
from etapa.tools.v1 import tools_pb2, tools_pb2_grpc
from etapa_client import EtapaClient
from services.runtime.grpc_server import GrpcServer


class Recorder:
    """Keeps the header and the media of one run."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.header: Any = None
        self.media: dict[str, bytes] = {}

    async def Run(self, request_iterator: AsyncIterator[Any], context: Any) -> Any:  # noqa: N802
        """Keep."""
        async for message in request_iterator:
            if message.WhichOneof("part") == "header":
                self.header = message.header
            else:
                chunk = message.chunk
                self.media[chunk.media] = self.media.get(chunk.media, b"") + chunk.data
        return self.response(job=job_pb2.Job(job_id="typed"))


CASES: list[tuple[str, Callable[[EtapaClient], Awaitable[job_pb2.Job]], dict[str, bytes]]] = [
    (
        "UpscalerService",
        lambda e: e.tools.run_upscaler(b"i", "u", category=tools_pb2.UPSCALER_CATEGORY_LOGO),
        {"image": b"i"},
    ),
    (
        "PoseChangerService",
        lambda e: e.tools.run_pose_changer(b"p", b"r", "u"),
        {"person": b"p", "reference": b"r"},
    ),
    (
        "VesteAiService",
        lambda e: e.tools.run_veste_ai(b"p", b"c", "u"),
        {"person": b"p", "clothing": b"c"},
    ),
    ("VideoUpscalerService", lambda e: e.tools.run_video_upscaler(b"v", "u"), {"video": b"v"}),
]


@pytest.mark.parametrize(("service", "run", "media"), CASES, ids=[case[0] for case in CASES])
async def test_a_typed_run_sends_its_media_by_name(
    service: str, run: Callable[[EtapaClient], Awaitable[job_pb2.Job]], media: dict[str, bytes]
) -> None:
    recorder = Recorder(getattr(tools_pb2, f"{service}RunResponse"))
    server = GrpcServer("127.0.0.1:0")
    adder = getattr(tools_pb2_grpc, f"add_{service}Servicer_to_server")
    server.add(adder, recorder, f"etapa.tools.v1.{service}")
    port = await server.start()
    async with EtapaClient(tools=f"127.0.0.1:{port}") as etapa:
        job = await run(etapa)
    await server.stop(1)
    header = getattr(recorder.header, "run", recorder.header)
    assert job.job_id == "typed"
    assert recorder.media == media
    assert (header.user_id, bool(header.request_id)) == ("u", True)


async def test_options_of_the_upscaler_that_are_not_given_stay_unset() -> None:
    recorder = Recorder(tools_pb2.UpscalerServiceRunResponse)
    server = GrpcServer("127.0.0.1:0")
    server.add(
        tools_pb2_grpc.add_UpscalerServiceServicer_to_server,
        recorder,
        "etapa.tools.v1.UpscalerService",
    )
    port = await server.start()
    async with EtapaClient(tools=f"127.0.0.1:{port}") as etapa:
        await etapa.tools.run_upscaler("https://host/a.png", "u", denoise=0.0)
    await server.stop(1)
    assert recorder.header.HasField("denoise")
    assert not recorder.header.HasField("resolution")
    assert recorder.header.run.media[0].url == "https://host/a.png"
