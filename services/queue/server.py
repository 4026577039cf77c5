"""The gRPC server of a queue process: which services it offers."""

from __future__ import annotations

from etapa.queue.v1.credits_pb2_grpc import add_CreditsServiceServicer_to_server
from etapa.queue.v1.operations_pb2_grpc import add_OperationsServiceServicer_to_server
from etapa.queue.v1.queue_pb2_grpc import add_QueueServiceServicer_to_server
from services.queue.assembly import Assembly
from services.queue.servicer import QueueServicer
from services.queue.servicer_credits import CreditsServicer
from services.queue.servicer_operations import OperationsServicer
from services.queue.settings import Settings
from services.runtime.grpc_server import GrpcServer

PACKAGE = "etapa.queue.v1"


def make_server(settings: Settings, parts: Assembly) -> GrpcServer:
    """Return the server with all services, not started."""
    server = GrpcServer(settings.listen)
    jobs = QueueServicer(
        parts.transitions,
        parts.intake,
        parts.callbacks,
        parts.reader,
        parts.waiters,
        parts.overview,
    )
    operations, ledger = OperationsServicer(parts.operations), CreditsServicer(parts.ledger)
    server.add(add_QueueServiceServicer_to_server, jobs, f"{PACKAGE}.QueueService")
    server.add(add_OperationsServiceServicer_to_server, operations, f"{PACKAGE}.OperationsService")
    server.add(add_CreditsServiceServicer_to_server, ledger, f"{PACKAGE}.CreditsService")
    return server
