"""Small real servicers for the `etapa` command: they hold what a test puts into them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc

from etapa.queue.v1 import (
    credits_pb2,
    credits_pb2_grpc,
    job_pb2,
    operations_pb2,
    operations_pb2_grpc,
    queue_pb2,
)
from etapa.tools.v1 import tools_pb2, tools_pb2_grpc
from etapa_client.names import FINAL_STATUSES
from services.runtime.errors import ForbiddenTransitionError, NotFoundError, QuotaError
from services.runtime.ids import read_id
from tests.support.servicers import SmallQueue


class NoJobError(NotFoundError):
    """No job has this id."""

    reason = "JOB_NOT_FOUND"


class FinalError(ForbiddenTransitionError):
    """The job is final."""

    reason = "JOB_ALREADY_FINAL"


class NoToolError(NotFoundError):
    """No tool has this name."""

    reason = "TOOL_NOT_FOUND"


class BusyError(QuotaError):
    """The user has as many active jobs as allowed."""

    reason = "TOO_MANY_ACTIVE_JOBS"


async def _refuse(_request: Any, _context: Any) -> None:
    raise AssertionError("no command of a person makes this call")


class WorldQueue(SmallQueue):
    """Holds jobs; `waiters` are told who waits, so that a test can go on then."""

    def __init__(self) -> None:
        super().__init__(_refuse)
        self.jobs: dict[str, job_pb2.Job] = {}
        self.waited = asyncio.Event()
        self.changed = asyncio.Event()
        self.load = queue_pb2.GetQueueResponse()
        self.why = queue_pb2.WhyWaitingResponse()
        self.cancelled: list[queue_pb2.CancelJobRequest] = []
        self.retried: list[queue_pb2.RetryJobRequest] = []
        self.retry_as = ""
        self.is_overdue = False

    def end(self, job_id: str, status: job_pb2.JobStatus.ValueType, seq: int) -> None:
        """Let a job become final, and those who wait know it."""
        job = self.jobs[job_id]
        job.status, job.seq = status, seq
        self.changed.set()

    def _find(self, job_id: str) -> job_pb2.Job:
        read_id("job_id", job_id)
        if job_id not in self.jobs:
            raise NoJobError(f"there is no job {job_id}", {"job_id": job_id})
        return self.jobs[job_id]

    async def GetJob(self, request: Any, context: Any) -> Any:
        """Answer with the job, or in no good time."""
        if self.is_overdue:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "no answer in time")
        return queue_pb2.GetJobResponse(job=self._find(request.job_id))

    async def WaitJob(self, request: Any, context: Any) -> Any:
        """Block until the job is final."""
        job = self._find(request.job_id)
        self.waited.set()
        while job.status not in FINAL_STATUSES:
            await self.changed.wait()
        return queue_pb2.WaitJobResponse(job=job)

    async def CancelJob(self, request: Any, context: Any) -> Any:
        """Note the wish; a final job stays as it is."""
        job = self._find(request.job_id)
        if job.status in FINAL_STATUSES:
            raise FinalError(f"the job {job.job_id} is completed", {"job_id": job.job_id})
        self.cancelled.append(request)
        return queue_pb2.CancelJobResponse(job=job)

    async def RetryJob(self, request: Any, context: Any) -> Any:
        """Answer with the job that the test has made ready."""
        self.retried.append(request)
        return queue_pb2.RetryJobResponse(job=self._find(self.retry_as), created=True)

    async def GetQueue(self, request: Any, context: Any) -> Any:
        """Answer with the load."""
        return self.load

    async def WhyWaiting(self, request: Any, context: Any) -> Any:
        """Answer with the reason."""
        self._find(request.job_id)
        return self.why


class WorldCredits(credits_pb2_grpc.CreditsServiceServicer):
    """Holds one balance and what was granted."""

    def __init__(self) -> None:
        self.entries: list[credits_pb2.LedgerEntry] = []
        self.asked: list[credits_pb2.ListLedgerRequest] = []

    async def GetBalance(self, request: Any, context: Any) -> Any:
        """Answer with what was granted."""
        total = sum(each.amount for each in self.entries if each.user_id == request.user_id)
        balance = credits_pb2.Balance(bucket="lifetime", available=total, reserved=60)
        return credits_pb2.GetBalanceResponse(available=total, reserved=60, balances=[balance])

    async def GrantCredits(self, request: Any, context: Any) -> Any:
        """Keep the entry."""
        entry = credits_pb2.LedgerEntry(
            entry_id=f"e{len(self.entries)}",
            user_id=request.user_id,
            kind=credits_pb2.LEDGER_KIND_GRANT,
            bucket=request.bucket,
            amount=request.amount,
            debit="issuance",
            credit="available",
        )
        self.entries.append(entry)
        return credits_pb2.GrantCreditsResponse(entry=entry, available=request.amount)

    async def ListLedger(self, request: Any, context: Any) -> Any:
        """Answer in pages of two."""
        self.asked.append(request)
        start = int(request.page_token or 0)
        end = start + min(2, request.page_size)
        more = str(end) if end < len(self.entries) else ""
        return credits_pb2.ListLedgerResponse(entries=self.entries[start:end], next_page_token=more)


class WorldOperations(operations_pb2_grpc.OperationsServiceServicer):
    """Holds accounts."""

    def __init__(self) -> None:
        self.accounts: list[operations_pb2.Account] = []
        self.set: list[operations_pb2.SetAccountRequest] = []
        self.paused: dict[str, bool] = {}

    async def ListAccounts(self, request: Any, context: Any) -> Any:
        """Answer with the accounts."""
        return operations_pb2.ListAccountsResponse(accounts=self.accounts)

    async def SetAccount(self, request: Any, context: Any) -> Any:
        """Keep the request."""
        self.set.append(request)
        account = operations_pb2.Account(
            name=request.name, slots=request.slots, paused=request.paused
        )
        return operations_pb2.SetAccountResponse(account=account)

    async def AnnounceTools(self, request: Any, context: Any) -> Any:
        """Take it."""
        return operations_pb2.AnnounceToolsResponse()

    async def SetTool(self, request: Any, context: Any) -> Any:
        """Keep the state."""
        self.paused[request.tool] = request.paused
        return operations_pb2.SetToolResponse(tool=request.tool, paused=request.paused)


class WorldTools(tools_pb2_grpc.ToolsServiceServicer):
    """One tool; a run answers with the job that the test has made ready."""

    def __init__(self) -> None:
        self.tool = tools_pb2.ToolInfo(
            name="upscaler",
            label_pt="Upscaler",
            label_en="Upscaler",
            description_pt="Aumenta e restaura a foto.",
            description_en="Enlarges and restores the photo.",
            input_schema_json=json.dumps(
                {"properties": {"resolution": {"type": "integer", "minimum": 512, "maximum": 8192}}}
            ),
            media=[
                tools_pb2.MediaInput(
                    name="image",
                    kind="image",
                    label_pt="Foto",
                    label_en="Photo",
                    max_bytes=10**7,
                    max_side_px=1536,
                    help_pt="De perto.",
                    help_en="From near.",
                )
            ],
            credits_from=50,
            credits_to=60,
            output_kind="image",
            view="upscaler_jobs",
            variant_credits={"people": 60, "logo": 50},
        )
        self.runs: list[tools_pb2.RunToolHeader] = []
        self.body = b""
        self.job = job_pb2.Job()
        self.refusal: Exception | None = None

    async def ListTools(self, request: Any, context: Any) -> Any:
        """Answer with the tool."""
        return tools_pb2.ListToolsResponse(tools=[self.tool])

    async def DescribeTool(self, request: Any, context: Any) -> Any:
        """Answer with the tool, if it is asked for."""
        if request.tool != self.tool.name:
            raise NoToolError(f"there is no tool {request.tool!r}; the tools are: upscaler")
        return tools_pb2.DescribeToolResponse(tool=self.tool)

    async def RunTool(self, request_iterator: Any, context: Any) -> Any:
        """Take the media; answer with the job."""
        first = await anext(aiter(request_iterator))
        self.runs.append(first.header)
        self.body = b"".join([message.chunk.data async for message in request_iterator])
        if self.refusal is not None:
            raise self.refusal
        return tools_pb2.RunToolResponse(job=self.job)
