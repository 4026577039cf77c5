"""What the queue asks of a provider: the one seam where a second implementation is real."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from services.runninghub.envelope import (
    AccountReply,
    AckReply,
    AppDemoReply,
    QueueReply,
    UploadReply,
    WebhookDetailReply,
)
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

    async def app_demo(self, account: Account, webapp_id: str) -> Call[AppDemoReply]:
        """Describe an app: its node fields."""
        ...

    async def account_status(self, account: Account) -> Call[AccountReply]:
        """Read balance and load of the account."""
        ...

    async def queue_status(self, account: Account) -> Call[QueueReply]:
        """Read concurrency and load of the account."""
        ...

    async def webhook_detail(self, account: Account, task_id: str) -> Call[WebhookDetailReply]:
        """Read what the provider recorded of its callbacks about a task."""
        ...

    async def retry_webhook(
        self, account: Account, webhook_id: str, webhook_url: str | None = None
    ) -> Call[AckReply]:
        """Ask the provider to call back once more, possibly to another URL."""
        ...

    async def download(
        self, account: Account, url: str, path: Path, limits: FetchLimits
    ) -> Fetched:
        """Write an output to a file. Raises FetchError or ForbiddenAddressError."""
        ...
