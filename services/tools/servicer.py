"""The gRPC edge: the generic service and one typed service a tool. Parses, calls, answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message
from grpc import aio

from etapa.tools.v1 import tools_pb2, tools_pb2_grpc
from services.runtime.errors import InvalidInputError, MalformedRequestError
from services.tools.domain import BadHeaderError, Text, UploadOrderError
from services.tools.intake import Intake
from services.tools.registry import Registry
from services.tools.request import Chunk
from services.tools.wire import (
    chunk_from_proto,
    request_from_header,
    tool_to_proto,
    upscaler_input_json,
)

MAX_PAGE = 200
DEFAULT_PAGE = 100
_NO_CHUNK = Text(
    "Uma parte do envio não pôde ser lida como mensagem. Envie o arquivo de novo.",
    "A part of the upload could not be read as a message. Send the file again.",
)
_SECOND_HEADER = Text(
    "O cabeçalho veio duas vezes; só a primeira mensagem o leva.",
    "The header came twice; only the first message carries it.",
)

Context = aio.ServicerContext[Any, Any]
HeaderT = TypeVar("HeaderT", bound=Message, covariant=True)


class _Part(Protocol[HeaderT]):
    """What all run requests share: first a header, then chunks."""

    @property
    def header(self) -> HeaderT: ...

    @property
    def chunk(self) -> tools_pb2.MediaChunk: ...

    def WhichOneof(self, oneof_group: Any) -> Any: ...


class BadPageError(InvalidInputError):
    """The page asked for does not exist."""

    reason = "BAD_PAGE"


class ToolsServicer(tools_pb2_grpc.ToolsServiceServicer):
    """Every tool, by name."""

    def __init__(self, registry: Registry, intake: Intake) -> None:
        self._registry = registry
        self._infos = {tool.name: tool_to_proto(tool) for tool in registry}
        self._intake = intake

    async def ListTools(
        self, request: tools_pb2.ListToolsRequest, context: Context
    ) -> tools_pb2.ListToolsResponse:
        """List the catalogue by name; the page token is the last name of the page before."""
        if not 0 <= request.page_size <= MAX_PAGE:
            raise BadPageError(f"page_size must be 0 to {MAX_PAGE}", "page_size")
        size = request.page_size or DEFAULT_PAGE
        rest = [info for name, info in self._infos.items() if name > request.page_token]
        page = rest[:size]
        return tools_pb2.ListToolsResponse(
            tools=page,
            next_page_token=page[-1].name if len(rest) > size else "",
        )

    async def DescribeTool(
        self, request: tools_pb2.DescribeToolRequest, context: Context
    ) -> tools_pb2.DescribeToolResponse:
        """Describe one tool with the JSON Schema of its inputs."""
        tool = self._registry.get(request.tool)
        return tools_pb2.DescribeToolResponse(tool=self._infos[tool.name])

    async def RunTool(
        self, request_iterator: AsyncIterator[tools_pb2.RunToolRequest], context: Context
    ) -> tools_pb2.RunToolResponse:
        """Run any tool on JSON inputs."""
        header = await read_header(request_iterator)
        request = request_from_header(header.run, header.tool, header.input_json)
        job = await self._intake.run(request, read_chunks(request_iterator))
        return tools_pb2.RunToolResponse(job=job)


class UpscalerServicer(tools_pb2_grpc.UpscalerServiceServicer):
    """The Upscaler, typed."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def Run(
        self,
        request_iterator: AsyncIterator[tools_pb2.UpscalerServiceRunRequest],
        context: Context,
    ) -> tools_pb2.UpscalerServiceRunResponse:
        """Run the Upscaler."""
        header = await read_header(request_iterator)
        request = request_from_header(header.run, "upscaler", upscaler_input_json(header))
        job = await self._intake.run(request, read_chunks(request_iterator))
        return tools_pb2.UpscalerServiceRunResponse(job=job)


class PoseChangerServicer(tools_pb2_grpc.PoseChangerServiceServicer):
    """The Pose Changer, typed."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def Run(
        self,
        request_iterator: AsyncIterator[tools_pb2.PoseChangerServiceRunRequest],
        context: Context,
    ) -> tools_pb2.PoseChangerServiceRunResponse:
        """Run the Pose Changer."""
        header = await read_header(request_iterator)
        request = request_from_header(header, "pose_changer", "")
        job = await self._intake.run(request, read_chunks(request_iterator))
        return tools_pb2.PoseChangerServiceRunResponse(job=job)


class VesteAiServicer(tools_pb2_grpc.VesteAiServiceServicer):
    """Veste AI, typed."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def Run(
        self,
        request_iterator: AsyncIterator[tools_pb2.VesteAiServiceRunRequest],
        context: Context,
    ) -> tools_pb2.VesteAiServiceRunResponse:
        """Run Veste AI."""
        header = await read_header(request_iterator)
        request = request_from_header(header, "veste_ai", "")
        job = await self._intake.run(request, read_chunks(request_iterator))
        return tools_pb2.VesteAiServiceRunResponse(job=job)


class VideoUpscalerServicer(tools_pb2_grpc.VideoUpscalerServiceServicer):
    """The Video Upscaler, typed."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def Run(
        self,
        request_iterator: AsyncIterator[tools_pb2.VideoUpscalerServiceRunRequest],
        context: Context,
    ) -> tools_pb2.VideoUpscalerServiceRunResponse:
        """Run the Video Upscaler."""
        header = await read_header(request_iterator)
        request = request_from_header(header, "video_upscaler", "")
        job = await self._intake.run(request, read_chunks(request_iterator))
        return tools_pb2.VideoUpscalerServiceRunResponse(job=job)


async def read_header(parts: AsyncIterator[_Part[HeaderT]]) -> HeaderT:
    """Return the header, which must be the first message. Raises `BadHeaderError`."""
    first = await anext(aiter(parts), None)
    if first is None or first.WhichOneof("part") != "header":
        raise BadHeaderError("the first message must be the header; chunks follow it", "header")
    return first.header


async def read_chunks(parts: AsyncIterator[_Part[Message]]) -> AsyncIterator[Chunk]:
    """Yield the pieces that follow the header. Raises `UploadOrderError` on anything else."""
    try:
        async for part in parts:
            if part.WhichOneof("part") != "chunk":
                raise UploadOrderError("header", _SECOND_HEADER)
            yield chunk_from_proto(part.chunk)
    except MalformedRequestError as err:  # there may be a job by now, and it should say so
        raise UploadOrderError("chunk", _NO_CHUNK) from err
