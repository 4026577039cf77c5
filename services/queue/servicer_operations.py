"""The gRPC edge of accounts and tools: parse, call, answer."""

from __future__ import annotations

from typing import Any

from etapa.queue.v1 import operations_pb2, operations_pb2_grpc
from services.queue import check
from services.queue import mapping_operations as mapping
from services.queue.operations import Operations


class OperationsServicer(operations_pb2_grpc.OperationsServiceServicer):
    """Accounts, tools, and the announced catalogue."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def ListAccounts(
        self, request: operations_pb2.ListAccountsRequest, context: Any
    ) -> operations_pb2.ListAccountsResponse:
        """List accounts by name."""
        accounts = await self._operations.list_accounts()
        return operations_pb2.ListAccountsResponse(
            accounts=[mapping.account_to_proto(account) for account in accounts]
        )

    async def SetAccount(
        self, request: operations_pb2.SetAccountRequest, context: Any
    ) -> operations_pb2.SetAccountResponse:
        """Make or change an account."""
        account = await self._operations.set_account(mapping.account_from(request))
        return operations_pb2.SetAccountResponse(account=mapping.account_to_proto(account))

    async def SetTool(
        self, request: operations_pb2.SetToolRequest, context: Any
    ) -> operations_pb2.SetToolResponse:
        """Pause or resume a tool."""
        tool = check.text("tool", request.tool, check.MAX_NAME, least=1)
        await self._operations.set_tool(tool, paused=request.paused)
        return operations_pb2.SetToolResponse(tool=tool, paused=request.paused)

    async def AnnounceTools(
        self, request: operations_pb2.AnnounceToolsRequest, context: Any
    ) -> operations_pb2.AnnounceToolsResponse:
        """Store the catalogue."""
        await self._operations.announce_tools(
            [mapping.announcement_from(tool) for tool in request.tools]
        )
        return operations_pb2.AnnounceToolsResponse()
