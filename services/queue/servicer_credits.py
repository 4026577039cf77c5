"""The gRPC edge of credits: parse, call, answer."""

from __future__ import annotations

from typing import Any

from etapa.queue.v1 import credits_pb2, credits_pb2_grpc
from services.queue import check
from services.queue import mapping_operations as mapping
from services.queue.ledger import Ledger
from services.runtime.page import page_size


class CreditsServicer(credits_pb2_grpc.CreditsServiceServicer):
    """Balances and the ledger behind them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def GetBalance(
        self, request: credits_pb2.GetBalanceRequest, context: Any
    ) -> credits_pb2.GetBalanceResponse:
        """Read a user's balances."""
        user_id = check.text("user_id", request.user_id, check.MAX_NAME, least=1)
        return mapping.balances_to_proto(await self._ledger.balances(user_id))

    async def GrantCredits(
        self, request: credits_pb2.GrantCreditsRequest, context: Any
    ) -> credits_pb2.GrantCreditsResponse:
        """Add credits to a user's bucket."""
        granted = await self._ledger.grant(mapping.grant_from(request))
        return credits_pb2.GrantCreditsResponse(
            entry=mapping.entry_to_proto(granted.entry), available=granted.available
        )

    async def ListLedger(
        self, request: credits_pb2.ListLedgerRequest, context: Any
    ) -> credits_pb2.ListLedgerResponse:
        """List entries, newest first."""
        size = page_size(request.page_size, default=100, highest=500)
        wanted = mapping.ledger_filter_from(request)
        page = await self._ledger.list_entries(wanted, size, request.page_token)
        return credits_pb2.ListLedgerResponse(
            entries=[mapping.entry_to_proto(entry) for entry in page.entries],
            next_page_token=page.next_token,
        )
