"""The front door: the calls of ToolsService and of the typed tool services."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from grpc import aio

from etapa.queue.v1 import job_pb2
from etapa.tools.v1 import tools_pb2, tools_pb2_grpc
from etapa_client.connection import READ_S, Connection, Group, Metadata, is_answer_missed
from etapa_client.upload import MediaSource, Upload, Url, media_chunks, media_sources, normalised

# Covers the upload of the largest media over a slow line.
RUN_S = 300.0
# How long a repeat waits with its media for the answer that the call before it lost.
_HOLD_S = 2.0

Part = TypeVar("Part")
Answer = TypeVar(
    "Answer",
    tools_pb2.RunToolResponse,
    tools_pb2.UpscalerServiceRunResponse,
    tools_pb2.PoseChangerServiceRunResponse,
    tools_pb2.VesteAiServiceRunResponse,
    tools_pb2.VideoUpscalerServiceRunResponse,
)


class ToolsClient(Group):
    """Tools: listed, described, run."""

    SERVICE = "etapa.tools.v1.ToolsService"

    def __init__(self, connection: Connection, caller: str = "") -> None:
        super().__init__(connection)
        self._caller = caller

    @property
    def _stub(self) -> tools_pb2_grpc.ToolsServiceAsyncStub:
        return self._connection.stub(tools_pb2_grpc.ToolsServiceStub)

    async def list_tools(
        self, *, page_size: int = 0, page_token: str = "", timeout_s: float = READ_S
    ) -> tools_pb2.ListToolsResponse:
        """List the catalogue, by name."""
        request = tools_pb2.ListToolsRequest(page_size=page_size, page_token=page_token)
        return await self._unary(
            "ListTools", self._stub.ListTools, request, timeout_s, repeatable=True
        )

    async def describe_tool(self, tool: str, *, timeout_s: float = READ_S) -> tools_pb2.ToolInfo:
        """Describe one tool with the JSON Schema of its inputs. Raises ToolNotFoundError."""
        request = tools_pb2.DescribeToolRequest(tool=tool)
        response = await self._unary(
            "DescribeTool", self._stub.DescribeTool, request, timeout_s, repeatable=True
        )
        return response.tool

    async def run(
        self,
        tool: str,
        inputs: Mapping[str, Any] | str,
        media: Mapping[str, MediaSource],
        user_id: str,
        request_id: str | None = None,
        *,
        timeout_s: float = RUN_S,
    ) -> job_pb2.Job:
        """Run a tool and return its job, queued or failed at `upload` or `credits`.

        `inputs` is a mapping or one JSON object as text. Without `request_id` one is made up, so
        that this call can repeat itself; give one to repeat the call yourself.
        Raises ToolNotFoundError, InvalidInputError, TooManyActiveJobsError, RequestIdReusedError,
        UploadsFullError.
        """
        sources = normalised(media)
        header = tools_pb2.RunToolHeader(
            run=self._run_header(user_id, request_id, sources),
            tool=tool,
            input_json=inputs if isinstance(inputs, str) else json.dumps(inputs),
        )
        if not sources:
            call = self._connection.stub(_run_tool_alone)
            alone = tools_pb2.RunToolRequest(header=header)
            answer = await self._unary("RunTool", call, alone, timeout_s, repeatable=True)
            return answer.job
        return await self._run(
            self._name("RunTool"),
            self._stub.RunTool,
            tools_pb2.RunToolRequest(header=header),
            lambda chunk: tools_pb2.RunToolRequest(chunk=chunk),
            sources,
            timeout_s,
        )

    async def run_upscaler(
        self,
        image: MediaSource,
        user_id: str,
        request_id: str | None = None,
        *,
        category: tools_pb2.UpscalerCategory.ValueType = tools_pb2.UPSCALER_CATEGORY_UNSPECIFIED,
        resolution: int | None = None,
        denoise: float | None = None,
        detail: float | None = None,
        timeout_s: float = RUN_S,
    ) -> job_pb2.Job:
        """Enlarge and restore a photo; as `run`, typed."""
        sources = normalised({"image": image})
        header = tools_pb2.UpscalerHeader(
            run=self._run_header(user_id, request_id, sources),
            category=category,
            resolution=resolution,
            denoise=denoise,
            detail=detail,
        )
        stub: tools_pb2_grpc.UpscalerServiceAsyncStub = self._connection.stub(
            tools_pb2_grpc.UpscalerServiceStub
        )
        return await self._run(
            "etapa.tools.v1.UpscalerService/Run",
            stub.Run,
            tools_pb2.UpscalerServiceRunRequest(header=header),
            lambda chunk: tools_pb2.UpscalerServiceRunRequest(chunk=chunk),
            sources,
            timeout_s,
        )

    async def run_pose_changer(
        self,
        person: MediaSource,
        reference: MediaSource,
        user_id: str,
        request_id: str | None = None,
        *,
        timeout_s: float = RUN_S,
    ) -> job_pb2.Job:
        """Put a person into the pose of a reference; as `run`, typed."""
        sources = normalised({"person": person, "reference": reference})
        header = self._run_header(user_id, request_id, sources)
        stub: tools_pb2_grpc.PoseChangerServiceAsyncStub = self._connection.stub(
            tools_pb2_grpc.PoseChangerServiceStub
        )
        return await self._run(
            "etapa.tools.v1.PoseChangerService/Run",
            stub.Run,
            tools_pb2.PoseChangerServiceRunRequest(header=header),
            lambda chunk: tools_pb2.PoseChangerServiceRunRequest(chunk=chunk),
            sources,
            timeout_s,
        )

    async def run_veste_ai(
        self,
        person: MediaSource,
        clothing: MediaSource,
        user_id: str,
        request_id: str | None = None,
        *,
        timeout_s: float = RUN_S,
    ) -> job_pb2.Job:
        """Dress a person in a piece of clothing; as `run`, typed."""
        sources = normalised({"person": person, "clothing": clothing})
        header = self._run_header(user_id, request_id, sources)
        stub: tools_pb2_grpc.VesteAiServiceAsyncStub = self._connection.stub(
            tools_pb2_grpc.VesteAiServiceStub
        )
        return await self._run(
            "etapa.tools.v1.VesteAiService/Run",
            stub.Run,
            tools_pb2.VesteAiServiceRunRequest(header=header),
            lambda chunk: tools_pb2.VesteAiServiceRunRequest(chunk=chunk),
            sources,
            timeout_s,
        )

    async def run_video_upscaler(
        self,
        video: MediaSource,
        user_id: str,
        request_id: str | None = None,
        *,
        timeout_s: float = RUN_S,
    ) -> job_pb2.Job:
        """Enlarge a short video; as `run`, typed."""
        sources = normalised({"video": video})
        header = self._run_header(user_id, request_id, sources)
        stub: tools_pb2_grpc.VideoUpscalerServiceAsyncStub = self._connection.stub(
            tools_pb2_grpc.VideoUpscalerServiceStub
        )
        return await self._run(
            "etapa.tools.v1.VideoUpscalerService/Run",
            stub.Run,
            tools_pb2.VideoUpscalerServiceRunRequest(header=header),
            lambda chunk: tools_pb2.VideoUpscalerServiceRunRequest(chunk=chunk),
            sources,
            timeout_s,
        )

    def _run_header(
        self, user_id: str, request_id: str | None, sources: Mapping[str, Url | Upload]
    ) -> tools_pb2.RunHeader:
        return tools_pb2.RunHeader(
            request_id=request_id or str(uuid.uuid4()),
            user_id=user_id,
            media=media_sources(sources),
            caller=self._caller,
        )

    async def _run(
        self,
        name: str,
        method: aio.StreamUnaryMultiCallable[Part, Answer],
        header: Part,
        part_of: Callable[[tools_pb2.MediaChunk], Part],
        sources: Mapping[str, Url | Upload],
        timeout_s: float,
    ) -> job_pb2.Job:
        answered_early = False

        async def once(left_s: float, metadata: Metadata) -> Answer:
            nonlocal answered_early
            unreadable: list[OSError] = []
            ended = asyncio.Event()
            held = ended if answered_early else None
            parts = _parts(header, part_of, sources, unreadable, held)
            call = method(parts, timeout=left_s, metadata=metadata)
            call.add_done_callback(lambda _call: ended.set())
            try:
                answer = await call
            except aio.AioRpcError as error:
                answered_early = is_answer_missed(error)
                if unreadable:
                    raise unreadable[0] from error
                raise
            if unreadable:
                raise unreadable[0]
            return answer

        # The request id makes a repeat safe, and every source can be read again.
        answer = await self._connection.call(name, once, timeout_s, repeatable=True)
        return answer.job


def _run_tool_alone(
    channel: aio.Channel,
) -> aio.UnaryUnaryMultiCallable[tools_pb2.RunToolRequest, tools_pb2.RunToolResponse]:
    """Return RunTool for a request without media.

    A stream of one message is on the wire what a unary call is, and costs this side a third less.
    """
    return channel.unary_unary(
        f"/{ToolsClient.SERVICE}/RunTool",
        request_serializer=tools_pb2.RunToolRequest.SerializeToString,
        response_deserializer=tools_pb2.RunToolResponse.FromString,
    )


async def _parts(
    header: Part,
    part_of: Callable[[tools_pb2.MediaChunk], Part],
    sources: Mapping[str, Url | Upload],
    unreadable: list[OSError],
    held: asyncio.Event | None,
) -> AsyncIterator[Part]:
    """Yield the header, then the media; `held`: only if the call has not ended before long."""
    yield header
    if held is not None and await _is_set_within(held, _HOLD_S):
        return
    try:
        async for chunk in media_chunks(sources):
            yield part_of(chunk)
    except OSError as error:
        # The stream then ends without a `last` piece, which the server takes as cut off.
        unreadable.append(error)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
