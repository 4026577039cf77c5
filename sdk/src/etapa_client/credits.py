"""Balances and the ledger: the calls of CreditsService."""

from __future__ import annotations

from etapa.queue.v1 import credits_pb2, credits_pb2_grpc
from etapa_client.connection import READ_S, WRITE_S, Group


class CreditsClient(Group):
    """Balances and the ledger behind them."""

    SERVICE = "etapa.queue.v1.CreditsService"

    @property
    def _stub(self) -> credits_pb2_grpc.CreditsServiceAsyncStub:
        return self._connection.stub(credits_pb2_grpc.CreditsServiceStub)

    async def get_balance(
        self, user_id: str, *, timeout_s: float = READ_S
    ) -> credits_pb2.GetBalanceResponse:
        """Read a user's balances; a user never seen has none."""
        request = credits_pb2.GetBalanceRequest(user_id=user_id)
        return await self._unary(
            "GetBalance", self._stub.GetBalance, request, timeout_s, repeatable=True
        )

    async def grant_credits(
        self,
        *,
        request_id: str,
        user_id: str,
        amount: int,
        bucket: str = "",
        timeout_s: float = WRITE_S,
    ) -> credits_pb2.GrantCreditsResponse:
        """Add credits. Repeated safely under the same `request_id`."""
        request = credits_pb2.GrantCreditsRequest(
            request_id=request_id, user_id=user_id, bucket=bucket, amount=amount
        )
        return await self._unary(
            "GrantCredits",
            self._stub.GrantCredits,
            request,
            timeout_s,
            repeatable=bool(request_id),
        )

    async def list_ledger(
        self,
        *,
        user_id: str = "",
        job_id: str = "",
        page_size: int = 0,
        page_token: str = "",
        timeout_s: float = READ_S,
    ) -> credits_pb2.ListLedgerResponse:
        """List ledger entries of a user or a job, newest first."""
        request = credits_pb2.ListLedgerRequest(
            user_id=user_id, job_id=job_id, page_size=page_size, page_token=page_token
        )
        return await self._unary(
            "ListLedger", self._stub.ListLedger, request, timeout_s, repeatable=True
        )
