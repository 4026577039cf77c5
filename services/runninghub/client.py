"""The client of RunningHub: v2 where it exists, v1 for what only v1 has.

Each call is sent once and returns its record beside the parsed reply; when to repeat is the
caller's business. Base URL and key come with the account of each call.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import aiohttp
from yarl import URL

from services.runninghub import envelope, wire
from services.runninghub.envelope import (
    AckReply,
    AppDemoReply,
    UploadReply,
    WebhookDetailReply,
)
from services.runninghub.exchange import Call, MediaNote, Transport
from services.runninghub.pool import ConnectionPool
from services.runninghub.report import StartReply, TaskReport
from services.runninghub.request import (
    Account,
    Media,
    StartRequest,
    json_body,
    multipart_edges,
)
from services.runninghub.sender import BeforeFirstByte, Outgoing, send
from services.runtime.fetch import Fetched, FetchLimits, fetch_file
from services.runtime.net import Network, public_connector

T = TypeVar("T")
_JSON: Final = "application/json"
# How long the connection of a call that may be repeated is kept for the next one; servers keep
# theirs for longer (nginx 75 s).
KEEP_S: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of the client; times in seconds.

    `reply_timeout_s` runs from the first byte of a request to the last of its reply.
    `max_idle_s` is how long the connection of a start call may have idled at its first byte.
    """

    connect_timeout_s: float = 10.0
    reply_timeout_s: float = 30.0
    start_reply_timeout_s: float = 60.0
    upload_reply_timeout_s: float = 300.0
    max_idle_s: float = 2.0
    max_reply_bytes: int = 4 * 1024 * 1024
    max_starts: int = 64
    max_calls: int = 64
    max_uploads: int = 16
    max_downloads: int = 16


class RunningHubClient:
    """Speaks to RunningHub for any number of accounts. Make it inside a running event loop.

    `fetch_allow` admits address ranges for output downloads beyond the public internet and the
    account's own host.
    """

    def __init__(self, limits: Limits | None = None, fetch_allow: Sequence[Network] = ()) -> None:
        limits = self._limits = limits or Limits()
        # A start takes no connection that has idled for long: one that the server has just closed
        # would look like a request that may have been received, and hold a slot until the run
        # deadline. Half of the time is the pool's, the rest that of the commit before the start.
        self._starts = ConnectionPool(limits.max_starts, limits.max_idle_s / 2)
        self._calls = ConnectionPool(limits.max_calls, KEEP_S)
        self._uploads = ConnectionPool(limits.max_uploads, 0)
        resolver = aiohttp.ThreadedResolver()
        self._trusted = new_session(
            aiohttp.TCPConnector(limit=limits.max_downloads, resolver=resolver)
        )
        self._public = new_session(public_connector(fetch_allow, limit=limits.max_downloads))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        for pool in (self._starts, self._calls, self._uploads, self._trusted, self._public):
            await pool.close()

    async def start(
        self,
        account: Account,
        request: StartRequest,
        *,
        before_first_byte: BeforeFirstByte | None = None,
    ) -> Call[StartReply]:
        """Start a run, once, on a connection that has not idled for long.

        `before_first_byte` runs when that connection stands and nothing has been written: the
        place to commit "submitting". What it raises comes out of here, with nothing sent.
        """
        outgoing = self._outgoing(
            account,
            "start",
            "POST",
            request.path,
            body=request.body,
            reply_timeout_s=self._limits.start_reply_timeout_s,
            max_idle_s=self._limits.max_idle_s,
            before_first_byte=before_first_byte,
        )
        return await _call(self._starts, outgoing, wire.parse_start)

    async def query(self, account: Account, task_id: str) -> Call[TaskReport]:
        """Ask for a task's state and results (v2)."""
        body = json_body({"taskId": task_id})
        outgoing = self._outgoing(account, "query", "POST", "/openapi/v2/query", body=body)
        return await _call(self._calls, outgoing, wire.parse_query)

    async def upload(self, account: Account, media: Media) -> Call[UploadReply]:
        """Give a file to the account (v2). The record holds its digest, not its bytes."""
        boundary = f"etapa-{secrets.token_hex(16)}"
        head, tail = multipart_edges(media, boundary)

        async def stream() -> AsyncIterator[bytes]:
            yield head
            async for chunk in media.open():
                yield chunk
            yield tail

        note = MediaNote(media.file_name, media.content_type, media.size_bytes, media.sha256)
        outgoing = self._outgoing(
            account,
            "upload",
            "POST",
            "/openapi/v2/media/upload/binary",
            headers={
                "Content-Type": f"multipart/form-data; boundary={boundary}",
                "Content-Length": str(len(head) + media.size_bytes + len(tail)),
            },
            stream=stream,
            media=note,
            reply_timeout_s=self._limits.upload_reply_timeout_s,
        )
        return await _call(self._uploads, outgoing, envelope.parse_upload)

    async def cancel(self, account: Account, task_id: str) -> Call[AckReply]:
        """Ask for a cancel (v1, which alone has it); then keep polling."""
        outgoing = self._v1(account, "cancel", "/task/openapi/cancel", taskId=task_id)
        return await _call(self._calls, outgoing, envelope.parse_ack)

    async def app_demo(self, account: Account, webapp_id: str) -> Call[AppDemoReply]:
        """Describe an app: its node fields (v1)."""
        query = f"apiKey={quote(account.api_key, safe='')}&webappId={quote(webapp_id, safe='')}"
        path = f"/api/webapp/apiCallDemo?{query}"
        outgoing = self._outgoing(account, "app_demo", "GET", path)
        return await _call(self._calls, outgoing, envelope.parse_app_demo)

    async def webhook_detail(self, account: Account, task_id: str) -> Call[WebhookDetailReply]:
        """Read what the provider recorded of its callbacks about a task (v1)."""
        path = "/task/openapi/getWebhookDetail"
        outgoing = self._v1(account, "webhook_detail", path, taskId=task_id)
        return await _call(self._calls, outgoing, envelope.parse_webhook_detail)

    async def retry_webhook(
        self, account: Account, webhook_id: str, webhook_url: str | None = None
    ) -> Call[AckReply]:
        """Ask the provider to call back once more, possibly to another URL (v1)."""
        where = {"webhookUrl": webhook_url} if webhook_url is not None else {}
        path = "/task/openapi/retryWebhook"
        outgoing = self._v1(account, "retry_webhook", path, webhookId=webhook_id, **where)
        return await _call(self._calls, outgoing, envelope.parse_ack)

    async def download(
        self, account: Account, url: str, path: Path, limits: FetchLimits
    ) -> Fetched:
        """Write an output to a file, from the public internet or the account's own host.

        Raises FetchError or ForbiddenAddressError; a partial file is removed.
        """
        own_host = URL(account.base_url).host

        def session_of(hop: URL) -> aiohttp.ClientSession:
            return self._trusted if hop.host == own_host else self._public

        return await fetch_file(url, path, session_of, limits)

    def _v1(self, account: Account, endpoint: str, path: str, **fields: str) -> Outgoing:
        body = json_body({"apiKey": account.api_key, **fields})
        return self._outgoing(account, endpoint, "POST", path, body=body)

    def _outgoing(
        self, account: Account, endpoint: str, method: str, path: str, **more: Any
    ) -> Outgoing:
        headers = {
            "Authorization": f"Bearer {account.api_key}",
            "Accept": _JSON,
            "Accept-Encoding": "identity",
            "User-Agent": "etapa",
            **({"Content-Type": _JSON} if "body" in more else {}),
            **more.pop("headers", {}),
        }
        bounds = {
            "connect_timeout_s": self._limits.connect_timeout_s,
            "reply_timeout_s": self._limits.reply_timeout_s,
            "max_reply_bytes": self._limits.max_reply_bytes,
        }
        url = account.base_url.rstrip("/") + path
        return Outgoing(
            endpoint=endpoint, method=method, url=url, headers=headers, **(bounds | more)
        )


def new_session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    """Return a session for downloads. It owns its connector."""
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    )


async def _call(
    pool: ConnectionPool, outgoing: Outgoing, parse: Callable[[bytes, int], T]
) -> Call[T]:
    exchange = await send(pool, outgoing)
    if exchange.transport is not Transport.REPLIED or exchange.response_status is None:
        return Call(exchange, None)
    return Call(exchange, parse(exchange.response_body, exchange.response_status))
