"""What becomes of a start call's reply: a task id is never lost, whatever breaks on our side."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from etapa.observability.v1 import event_pb2
from services.queue import command as c
from services.queue.domain import Attempt, Change, JobStatus, Node, Phase, Submission
from services.queue.launch import Launcher
from services.queue.lease import LeaseKeeper
from services.queue.placement import Placement
from services.queue.recorder import INLINE_BYTES, Recorder
from services.queue.starter import Starter
from services.runninghub.client import RunningHubClient
from services.runtime.blobs import BlobStore
from tests.support import queue_play as play
from tests.support.observability import running_observability
from tests.support.outbox import waiting_events
from tests.support.postgres import MakeDatabase
from tests.support.queue_relay import emptied, relaying
from tests.support.queue_world import QueueWorld, open_world
from tests.support.raw_server import Peer, RawServer, raw_server
from tests.support.start_call import QUICK

TASK = "1990000000000000023"
TEXT_ONLY = Submission("2037188547966406658", (Node("548", "value", text="2048"),), ())
# Too long to lie inline, so that it needs the blob store.
PADDING = "x" * INLINE_BYTES
NO_REPLY = ("", b"")


@dataclass
class Bench:
    """One start call: the replies that the provider gives, and the blob store's folder."""

    dsn: str
    world: QueueWorld
    folder: Path
    provider: RawServer
    replies: list[tuple[str, bytes]]

    def break_blobs(self) -> None:
        """Let every write to the blob store fail from now on."""
        shutil.rmtree(self.folder)
        self.folder.write_bytes(b"not a folder")

    def mend_blobs(self) -> None:
        """Let writes succeed again."""
        self.folder.unlink()
        self.folder.mkdir()

    async def start(self) -> UUID:
        """Start one job as a queue process does."""
        job_id = await self.world.create()
        await self.world.intake.submit(job_id, TEXT_ONLY)
        transitions = self.world.transitions
        blobs = BlobStore(str(self.folder))
        recorder = Recorder(blobs)
        (claimed,) = await self.world.claim()
        async with RunningHubClient(QUICK) as client:
            placement = Placement(
                self.world.pool,
                client,
                blobs,
                recorder,
                transitions.clock,
                public_url="",
                media_key=b"key",
                time_scale=1,
            )
            keeper = LeaseKeeper(transitions)
            launcher = Launcher(recorder, public_url="")
            starter = Starter(transitions, client, placement, recorder, keeper, launcher)
            if PADDING.encode() in b"".join(body for _, body in self.replies):
                self.break_blobs()
            await starter.start(claimed)
        await self.world.check()
        return job_id

    async def reply(self, job_id: UUID) -> event_pb2.PayloadEvent:
        """Return what waits in the outbox of the start call's reply."""
        payloads = [e.payload for e in await waiting_events(self.world.pool, job_id)]
        (found,) = [p for p in payloads if p.info.kind == event_pb2.PAYLOAD_KIND_RESPONSE]
        return found

    async def attempt(self, job_id: UUID) -> Attempt:
        current = (await self.world.job(job_id)).current
        assert current is not None
        return current


@pytest.fixture
async def bench(make_database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Bench]:
    replies: list[tuple[str, bytes]] = []

    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            status, body = replies.pop(0)
            if (status, body) == NO_REPLY:
                peer.reset()
                return
            await peer.reply(body, status, "Content-Type: application/json\r\n")

    folder = tmp_path / "blobs"
    dsn = await make_database(["queue", "observability"])
    async with open_world(dsn) as world, raw_server(script) as provider:
        await world.fetch("UPDATE queue.accounts SET base_url = $1", provider.url)
        yield Bench(dsn, world, folder, provider, replies)


def reply(**fields: str) -> tuple[str, bytes]:
    return "200 OK", json.dumps({"taskId": "", "status": "", "errorCode": ""} | fields).encode()


async def test_a_task_id_is_booked_though_the_reply_cannot_be_kept(bench: Bench) -> None:
    bench.replies.append(reply(taskId=TASK, status="RUNNING", pad=PADDING))
    job_id = await bench.start()
    attempt = await bench.attempt(job_id)
    assert (attempt.phase, attempt.task_id) == (Phase.ACCEPTED, TASK)
    assert await bench.world.notes(job_id) == ["REPLY_NOT_KEPT"]


async def test_a_reply_is_kept_after_its_booking_where_that_works_then(bench: Bench) -> None:
    bench.replies.append(reply(taskId=TASK, status="RUNNING", pad=PADDING))

    def mend_once_accepted(changes: Sequence[Change]) -> None:
        if bench.folder.is_file() and changes[0].after.status is JobStatus.RUNNING:
            bench.mend_blobs()

    bench.world.transitions.listen(mend_once_accepted)
    job_id = await bench.start()
    sha256 = (await bench.reply(job_id)).blob_sha256
    assert TASK.encode() in await BlobStore(str(bench.folder)).get(sha256)
    assert await bench.world.notes(job_id) == []


async def test_a_refusal_is_booked_though_the_reply_cannot_be_kept(bench: Bench) -> None:
    bench.replies.append(reply(errorCode="803", errorMessage="NODE_INFO_MISMATCH", pad=PADDING))
    job = await bench.world.job(await bench.start())
    assert (job.status, job.error_class) == (JobStatus.FAILED, "config_node_mismatch")


async def test_a_doubtful_task_is_gone_on_with_though_the_answers_cannot_be_kept(
    bench: Bench,
) -> None:
    bench.replies += [
        reply(taskId=TASK, errorCode="421", errorMessage="queue limit", pad=PADDING),
        reply(taskId=TASK, status="RUNNING", pad=PADDING),
    ]
    job_id = await bench.start()
    attempt = await bench.attempt(job_id)
    assert (attempt.phase, attempt.task_id) == (Phase.ACCEPTED, TASK)
    assert await bench.world.notes(job_id) == ["REPLY_NOT_KEPT"] * 2


async def test_a_task_id_is_booked_though_its_evidence_cannot_be_written(bench: Bench) -> None:
    # A defect of ours that meets only what carries the reply.
    await bench.world.fetch(
        "ALTER TABLE queue.outbox ADD CHECK (position('replied'::bytea IN body) = 0)"
    )
    bench.replies.append(reply(taskId=TASK, status="RUNNING"))
    attempt = await bench.attempt(await bench.start())
    assert (attempt.phase, attempt.task_id) == (Phase.ACCEPTED, TASK)


async def test_a_reply_that_can_be_kept_is_kept_with_the_booking(bench: Bench) -> None:
    bench.replies.append(reply(taskId=TASK, status="RUNNING"))
    job_id = await bench.start()
    assert TASK.encode() in (await bench.reply(job_id)).body
    assert await bench.world.notes(job_id) == []


async def story(bench: Bench, job_id: UUID, folder: Path) -> Any:
    """Bring the history to observability; return the view's status and raw_api_response."""
    await bench.world.check()
    async with (
        running_observability(bench.dsn, folder) as service,
        relaying(bench.world, f"127.0.0.1:{service.port}"),
    ):
        await emptied(bench.world)
    (row,) = await bench.world.fetch(
        "SELECT status, raw_api_response FROM observability.job_story WHERE id = $1", job_id
    )
    raw = row["raw_api_response"]
    return row["status"], None if raw is None else json.loads(raw)


@pytest.mark.parametrize(
    ("status", "body", "raw"),
    [
        ("502 Bad Gateway", b"<html>Bad Gateway</html>", {"_text": "<html>Bad Gateway</html>"}),
        ("200 OK", b"<html>no JSON</html>", {"_text": "<html>no JSON</html>"}),
        ("500 Oops", b'{"message":"oops"}', {"message": "oops"}),
        ("503 Busy", b"", {"_text": ""}),
        ("502 Bad Gateway", b"\xff\xfe", {"_base64": "//4="}),
    ],
)
async def test_an_unreadable_reply_that_decided_is_in_the_view_as_it_came(
    bench: Bench, tmp_path: Path, status: str, body: bytes, raw: object
) -> None:
    bench.replies.append((status, body))
    job_id = await bench.start()
    bench.world.later(301)
    await bench.world.transitions.run(c.CheckDeadline(job_id))
    assert (await bench.world.job(job_id)).error_class == "submit_unknown"
    assert await story(bench, job_id, tmp_path) == ("failed", raw)


async def test_a_later_answer_takes_the_place_of_an_unreadable_reply(
    bench: Bench, tmp_path: Path
) -> None:
    bench.replies.append(("502 Bad Gateway", b"<html>Bad Gateway</html>"))
    job_id = await bench.start()
    await bench.world.transitions.run(play.callback(job_id, 1, bench.world.now))
    await bench.world.transitions.run(play.answer(job_id, 1, "oom"))
    assert await story(bench, job_id, tmp_path) == ("failed", {})


async def test_where_no_reply_came_the_view_holds_none(bench: Bench, tmp_path: Path) -> None:
    bench.replies.append(NO_REPLY)
    job_id = await bench.start()
    bench.world.later(301)
    await bench.world.transitions.run(c.CheckDeadline(job_id))
    assert await story(bench, job_id, tmp_path) == ("failed", None)
