"""A trace collector that takes spans and forgets them: `python -m bench.otlp_sink`.

Prints one JSON line {"port": ...}, and at its end {"spans": ...}. Ends when stdin closes.
"""

from __future__ import annotations

import asyncio
import json
import sys

from grpc import aio
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as wire
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as rpc


class Sink(rpc.TraceServiceServicer):
    """Counts spans."""

    def __init__(self) -> None:
        self.spans = 0

    async def Export(  # noqa: N802 - the protocol's name
        self, request: wire.ExportTraceServiceRequest, context: object
    ) -> wire.ExportTraceServiceResponse:
        """Take spans."""
        for resource in request.resource_spans:
            self.spans += sum(len(scope.spans) for scope in resource.scope_spans)
        return wire.ExportTraceServiceResponse()


async def main() -> None:
    """Listen on a free loopback port."""
    sink, server = Sink(), aio.server()
    rpc.add_TraceServiceServicer_to_server(sink, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(json.dumps({"port": port}), flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    await server.stop(1)
    print(json.dumps({"spans": sink.spans}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
