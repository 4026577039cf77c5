"""What operators and the catalogue tell the queue: the calls of OperationsService."""

from __future__ import annotations

from collections.abc import Sequence

from etapa.queue.v1 import operations_pb2, operations_pb2_grpc
from etapa_client.connection import READ_S, WRITE_S, Group


class OperationsClient(Group):
    """Accounts, tools, and the announced catalogue."""

    SERVICE = "etapa.queue.v1.OperationsService"

    @property
    def _stub(self) -> operations_pb2_grpc.OperationsServiceAsyncStub:
        return self._connection.stub(operations_pb2_grpc.OperationsServiceStub)

    async def list_accounts(self, *, timeout_s: float = READ_S) -> Sequence[operations_pb2.Account]:
        """List accounts by name, with health and load."""
        request = operations_pb2.ListAccountsRequest()
        response = await self._unary(
            "ListAccounts", self._stub.ListAccounts, request, timeout_s, repeatable=True
        )
        return response.accounts

    async def set_account(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        slots: int | None = None,
        paused: bool | None = None,
        reset_health: bool = False,
        timeout_s: float = WRITE_S,
    ) -> operations_pb2.Account:
        """Make an account or change what is given. Raises AccountNotFoundError."""
        request = operations_pb2.SetAccountRequest(
            name=name,
            base_url=base_url,
            api_key=api_key,
            slots=slots,
            paused=paused,
            reset_health=reset_health,
        )
        response = await self._unary(
            "SetAccount", self._stub.SetAccount, request, timeout_s, repeatable=True
        )
        return response.account

    async def set_tool(
        self, tool: str, *, paused: bool, timeout_s: float = WRITE_S
    ) -> operations_pb2.SetToolResponse:
        """Pause or resume a tool. Raises ToolNotFoundError."""
        request = operations_pb2.SetToolRequest(tool=tool, paused=paused)
        return await self._unary("SetTool", self._stub.SetTool, request, timeout_s, repeatable=True)

    async def announce_tools(
        self, tools: Sequence[operations_pb2.ToolAnnouncement], *, timeout_s: float = WRITE_S
    ) -> None:
        """Store the whole catalogue at the queue."""
        request = operations_pb2.AnnounceToolsRequest(tools=tools)
        await self._unary(
            "AnnounceTools", self._stub.AnnounceTools, request, timeout_s, repeatable=True
        )
