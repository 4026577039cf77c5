from __future__ import annotations

from typing import Any

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.cli.addresses import PortBlock
from services.cli.health import grpc_is_serving, http_is_healthy
from services.cli.stack_env import grpc_target
from services.runtime.grpc_server import GrpcServer
from tests.support.waiting import eventually


async def test_a_grpc_service_is_healthy_only_while_it_says_so() -> None:
    server = GrpcServer("127.0.0.1:0")
    address = f"127.0.0.1:{await server.start()}"
    assert not await grpc_is_serving(address)
    server.set_serving(True)
    await eventually(lambda: grpc_is_serving(address))
    await server.stop(0)
    assert not await grpc_is_serving(address)


async def test_nobody_listening_is_not_healthy() -> None:
    ports = PortBlock()
    address = ports.take()
    assert not await grpc_is_serving(address)
    assert not await http_is_healthy(address)
    ports.close()


async def test_the_address_of_replicas_reaches_the_one_that_lives() -> None:
    ports = PortBlock()
    dead = ports.take()
    server = GrpcServer("127.0.0.1:0")
    alive = f"127.0.0.1:{await server.start()}"
    async with aio.insecure_channel(grpc_target([dead, alive])) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # its typed stub knows no aio
        reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert reply.status == health_pb2.HealthCheckResponse.NOT_SERVING
    await server.stop(0)
    ports.close()
