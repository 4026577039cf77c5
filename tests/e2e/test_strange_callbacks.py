"""Callbacks that are forged, unknown, malformed, too large, repeated or late: kept, and no more."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from etapa.observability.v1 import event_pb2, trail_pb2
from etapa.queue.v1 import job_pb2
from etapa_client.errors import PayloadNotFoundError
from tests.support.collect import settled
from tests.support.many_jobs import Order, photo, submit, until_final
from tests.support.waiting import eventually
from tests.support.whole_stack import Rig, running_rig

TOO_LARGE = 8 * 1024
LIE = "http://127.0.0.1:9/forged.png"

pytestmark = [
    pytest.mark.xdist_group("e2e"),
    pytest.mark.timeout(120),
    pytest.mark.asyncio(loop_scope="module"),
]


@dataclass
class Target:
    """A job and the path at which its callbacks arrive, as only the provider knows it."""

    rig: Rig
    job_id: str
    task_id: str
    path: str

    async def post(self, body: bytes, path: str = "") -> int:
        """Send a callback to the real gateway; return the HTTP status."""
        url = self.rig.gateway + (path or self.path)
        async with self.rig.http.post(url, data=body) as reply:
            await reply.read()
            return reply.status

    async def state(self) -> tuple[Any, ...]:
        """Return all of the job that a callback must not change once it is over."""
        job = await self.rig.client.queue.get_job(self.job_id)
        ledger = await self.rig.client.credits.list_ledger(job_id=self.job_id)
        outputs = [output.sha256 for output in job.outputs]
        return job.status, job.error_class, outputs, [str(entry) for entry in ledger.entries]

    async def kept(self, body: bytes, times: int = 1) -> list[event_pb2.PayloadInfo]:
        """Wait until the job's history has these bytes so often; check them to the byte."""
        found: list[event_pb2.PayloadInfo] = []

        async def is_there() -> bool:
            infos = (await self.trail()).payloads
            found[:] = [i for i in infos if i.sha256 == hashlib.sha256(body).digest()]
            return len(found) == times

        await eventually(is_there)
        for info in found:
            assert await read(self.rig, info.payload_id, self.job_id) == body
        return found

    async def trail(self) -> trail_pb2.GetTrailResponse:
        """Read the whole story."""
        return await self.rig.client.trail.get_trail(self.job_id)

    async def notes(self) -> list[str]:
        """Return the codes of the notes."""
        return [note.code for note in (await self.trail()).notes]


async def read(rig: Rig, payload_id: str, job_id: str = "") -> bytes:
    """Wait until both the bytes and the event about them have come; return the bytes."""
    bodies: list[bytes] = []

    async def is_there() -> bool:
        try:
            payload = await rig.client.trail.get_payload(payload_id, job_id=job_id)
        except PayloadNotFoundError:
            return False
        bodies.append(payload.body)
        return True

    await eventually(is_there)
    return bodies[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    folder: Path = tmp_path_factory.mktemp("callbacks")
    async with running_rig(
        folder,
        time_scale=0.05,
        env={
            "ETAPA_EMULATOR_TIME_SCALE": "0.02",
            "ETAPA_WEBHOOK_MAX_BYTES": str(TOO_LARGE),
            "ETAPA_QUEUE_USER_ACTIVE_LIMIT": "20",
        },
    ) as running:
        await running.client.credits.grant_credits(request_id="g", user_id="ana", amount=10_000)
        yield running


async def start(rig: Rig, name: str, run_s: float) -> Target:
    """Run a job, for that many provider seconds, until the provider has accepted it."""
    await rig.admin.add_fault("slow_run", file=name, seconds=run_s)
    media = {"image": photo(len(name), name)}
    job_id = await submit(rig.client, Order(name, "ana", "bg_remover", {}, media))

    async def is_running() -> bool:
        return (await rig.client.queue.get_job(job_id)).status == job_pb2.JOB_STATUS_RUNNING

    await eventually(is_running)
    job = await rig.client.queue.get_job(job_id)
    (line,) = await rig.admin.events("start_accepted", task_id=job.task_id)
    return Target(rig, job_id, job.task_id, urlsplit(line["webhook_url"]).path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def over(rig: Rig) -> Target:
    """Return a completed job."""
    target = await start(rig, "over", 10)
    await until_final(rig.client, target.job_id)
    await settled(rig)
    return target


def end_of(task_id: str, status: str = "SUCCESS", **more: Any) -> bytes:
    """Return a callback in the provider's form that tells of a task's end."""
    data = {"taskId": task_id, "status": status, "results": [], **more}
    return json.dumps({"event": "TASK_END", "taskId": task_id, "eventData": data}).encode()


async def unmatched(rig: Rig, body: bytes) -> event_pb2.PayloadInfo:
    """Wait until a callback that belongs to no job is kept to the byte; return what is known."""
    found: list[event_pb2.PayloadInfo] = []

    async def is_there() -> bool:
        query = (
            "SELECT delivery_id::text FROM observability.deliveries WHERE delivery_id NOT IN "
            "(SELECT payload_id FROM observability.payloads "
            "WHERE frame IS NULL AND blob_sha256 IS NULL)"
        )
        for row in await rig.fetch(query):
            payload = await rig.client.trail.get_payload(row["delivery_id"])
            if payload.body == body:
                found.append(payload.info)
        return bool(found)

    await eventually(is_there)
    return found[0]


STRANGE = {
    "late, as it was": end_of("{task}", results=[{"url": LIE, "outputType": "png"}]),
    "late, the contrary": end_of("{task}", "FAILED", errorCode="805"),
    "of another task": end_of("1999999999999999999"),
    "of an unknown kind": b'{"event": "TASK_PROGRESS", "taskId": "{task}", "eventData": {}}',
    "cut short": b'{"event": "TASK_END", "taskId": "{task}", "eventData": "{',
    "no JSON": b"\xff\xfe\x00 neither JSON nor text",
    "JSON that is no object": b"[1, 2, 3]",
    "deep JSON": b'{"eventData": ' + b"[" * 3000 + b"]" * 3000 + b"}",
    "empty": b"",
}


@pytest.mark.parametrize("form", STRANGE.values(), ids=STRANGE)
async def test_a_strange_callback_of_a_finished_job_changes_nothing_and_is_kept(
    over: Target, form: bytes
) -> None:
    body, before = form.replace(b"{task}", over.task_id.encode()), await over.state()
    assert await over.post(body) == 200
    (info,) = await over.kept(body)
    assert (info.kind, info.truncated) == (event_pb2.PAYLOAD_KIND_CALLBACK, False)
    assert "LATE_CALLBACK" in await over.notes()
    assert await over.state() == before


async def test_the_alias_for_videos_keeps_a_callback_as_well(over: Target) -> None:
    body, before = end_of(over.task_id, via="alias"), await over.state()
    assert await over.post(body, over.path.replace("/runninghub/", "/runninghub/video/")) == 200
    await over.kept(body)
    assert await over.state() == before


async def test_a_repeated_callback_is_kept_each_time_and_acts_once(over: Target) -> None:
    body, before = end_of(over.task_id, repeated=True), await over.state()
    assert [await over.post(body) for _ in range(3)] == [200, 200, 200]
    await over.kept(body, times=3)
    assert (await over.notes()).count("DUPLICATE_CALLBACK") >= 2
    assert await over.state() == before


async def test_an_oversized_callback_is_refused_and_kept_as_such(over: Target) -> None:
    body, before = end_of(over.task_id, filler="x" * TOO_LARGE), await over.state()
    assert await over.post(body) == 413

    async def told() -> list[event_pb2.PayloadInfo]:
        return [info for info in (await over.trail()).payloads if info.transport == "too_large"]

    async def is_there() -> bool:
        return bool(await told())

    await eventually(is_there)
    (info,) = await told()
    assert (info.truncated, info.bytes > TOO_LARGE) == (True, True)
    assert body.startswith(await read(over.rig, info.payload_id, over.job_id))
    assert await over.state() == before


@pytest.mark.parametrize(
    "body", [end_of("1888888888888888888"), b"", b"not even JSON"], ids=["task", "empty", "text"]
)
async def test_a_callback_of_nobody_is_answered_and_kept(over: Target, body: bytes) -> None:
    path = f"/runninghub/{'x' * 43}"
    assert await over.post(body, path) == 200
    info = await unmatched(over.rig, body)
    assert info.sha256 == hashlib.sha256(body).digest()
    assert "x" * 20 not in info.url


async def test_a_forged_success_of_a_running_job_is_asked_about_not_believed(rig: Rig) -> None:
    target = await start(rig, "forged", 250)
    body = end_of(target.task_id, results=[{"url": LIE, "outputType": "png"}])
    assert await target.post(body) == 200
    await target.kept(body)

    async def is_asked() -> bool:
        calls = [info.call for info in (await target.trail()).payloads]
        return "query" in calls

    await eventually(is_asked)
    job = await rig.client.queue.get_job(target.job_id)
    assert (job.status, list(job.outputs)) == (job_pb2.JOB_STATUS_RUNNING, [])
    job = await until_final(rig.client, target.job_id)
    (ended,) = await rig.admin.events("run_ended", task_id=target.task_id)
    assert job.status == job_pb2.JOB_STATUS_COMPLETED
    assert [one.sha256 for one in job.outputs] == [one["sha256"] for one in ended["outputs"]]


async def test_a_callback_by_a_guessed_path_can_only_make_us_ask(rig: Rig) -> None:
    target = await start(rig, "guessed", 150)
    body = end_of(target.task_id, "FAILED", errorCode="805", guessed=True)
    assert await target.post(body, f"/runninghub/{'y' * 43}") == 200
    await target.kept(body)
    job = await until_final(rig.client, target.job_id)
    assert job.status == job_pb2.JOB_STATUS_COMPLETED
