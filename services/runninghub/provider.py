"""What the queue asks of a provider: the one seam where a second implementation is real."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from services.runninghub.envelope import AckReply, UploadReply
from services.runninghub.exchange import Call
from services.runninghub.report import StartReply, TaskReport
from services.runninghub.request import Account, Media, StartRequest
from services.runninghub.sender import BeforeFirstByte
from services.runtime.fetch import Fetched, FetchLimits


class Provider(Protocol):
    """What the queue asks of a provider. Network errors are values in `Call.transport`."""

    async def start(
        self,
        account: Account,
        request: StartRequest,
        *,
        before_first_byte: BeforeFirstByte | None = None,
    ) -> Call[StartReply]:
        """Start a run, once. The hook runs when the connection stands, before the first byte."""
        ...

    async def query(self, account: Account, task_id: str) -> Call[TaskReport]:
        """Ask for a task's state and results."""
        ...

    async def upload(self, account: Account, media: Media) -> Call[UploadReply]:
        """Give a file to the account; free to repeat."""
        ...

    async def cancel(self, account: Account, task_id: str) -> Call[AckReply]:
        """Ask for a cancel; the task's own state says when it happened."""
        ...

    async def download(
        self, account: Account, url: str, path: Path, limits: FetchLimits
    ) -> Fetched:
        """Write an output to a file. Raises FetchError or ForbiddenAddressError."""
        ...
