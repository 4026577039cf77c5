"""A start call against a raw server, and the scripts that several tests let it play."""

from __future__ import annotations

from services.runninghub.client import Limits, RunningHubClient
from services.runninghub.exchange import Call
from services.runninghub.report import StartReply
from services.runninghub.request import Account, NodeValue, StartRequest
from tests.support.raw_server import Peer, Script

KEY = "0123456789abcdef0123456789abcdef"
REQUEST = StartRequest(
    target_id="2037188547966406658",
    nodes=(NodeValue("1", "image", "openapi/ab.png"), NodeValue("548", "value", "2048")),
    webhook_url="https://jobs.example.test/runninghub/TOKEN",
)
ACCEPTED = b'{"taskId":"1990000000000000023","status":"RUNNING","errorCode":""}'
QUICK = Limits(connect_timeout_s=5, reply_timeout_s=5, start_reply_timeout_s=5)
IMPATIENT = Limits(connect_timeout_s=5, start_reply_timeout_s=0.3)


def account(base_url: str) -> Account:
    """Return an account at that site."""
    return Account("main", base_url, KEY)


async def start_at(base_url: str, limits: Limits = QUICK) -> Call[StartReply]:
    """Send one start call with a client of its own."""
    async with RunningHubClient(limits) as client:
        return await client.start(account(base_url), REQUEST)


async def accept(peer: Peer) -> None:
    """Serve one accepted start."""
    await peer.read_request()
    await peer.reply(ACCEPTED)


async def hang_up(peer: Peer) -> None:
    """Drop the connection after the first byte."""
    await peer.reader.read(1)
    peer.reset()


async def silence(peer: Peer) -> None:
    """Take everything and say nothing."""
    await peer.read_to_end()


def answer(body: bytes, status: str, headers: str = "") -> Script:
    """Return a script that gives every request the same answer."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await peer.reply(body, status, headers)

    return script
