"""A gRPC front door for a peer that has none: `python -m bench.peers.front_door <peer>`.

One unary call takes a job id and returns when the peer has taken the job. Prints its address, and
ends when stdin closes. Bytes on the wire: a message of one number is not worth a schema.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys

import grpc
import uvloop
from grpc import aio

from bench.peers.peer import Peer, Settings

SERVICE = "bench.FrontDoor"
METHOD = f"/{SERVICE}/Submit"


async def serve(peer: Peer) -> None:
    """Take jobs for `peer` until stdin closes."""
    await peer.open(Settings.from_env(os.environ))

    async def submit(request: bytes, context: aio.ServicerContext[bytes, bytes]) -> bytes:
        await peer.submit(int(request))
        return b""

    server = aio.server()
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Submit": grpc.unary_unary_rpc_method_handler(submit)
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await _stdin_closed()
    await server.stop(grace=1.0)


async def _stdin_closed() -> None:
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), closed.set)
    await closed.wait()
    loop.remove_reader(sys.stdin.fileno())


if __name__ == "__main__":
    module = importlib.import_module(f"bench.peers.{sys.argv[1]}")
    uvloop.run(serve(module.PEER))
