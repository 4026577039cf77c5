"""Bad input through the whole stack: told clearly, with nothing lost and nothing charged.

Every item of issue 2, "Bad input", and the tests that hold it (those without a path are below):

| Item | Tests |
|---|---|
| unknown tool or parameter | `test_a_request_that_no_tool_takes_leaves_no_job` |
| value out of range | the same |
| missing file | the same, and `test_a_file_that_is_not_there_is_named_before_anything_is_sent` |
| wrong media type under a right name, 0-byte file | `test_bad_media_fails_the_job_at_upload` |
| oversized file, decompression bomb | the same |
| truncated upload stream | `test_a_truncated_stream_frees_the_user_at_once` |
| no credits | `test_a_job_without_credits_fails_at_credits` |
| one active job too many | `test_one_active_job_too_many_is_refused_by_its_name` |
| same request_id, another body | `test_a_request_id_with_another_body_is_refused` |
| unknown job id | `test_an_id_of_no_job_is_not_found_anywhere` |
| cancel of a finished job | `test_a_cancel_of_a_finished_job_changes_nothing` |
| callbacks | tests/e2e/test_strange_callbacks.py; oversized: |
| | tests/integration/webhook/test_app.py |
| Postgres absent | tests/integration/cli/test_stack.py `test_missing_postgres_…`, |
| | `test_a_database_that_is_away_…`; each service without one: `test_database_away.py` and |
| | `test_away.py` of the integration tests |
| Postgres gone in mid-run | tests/e2e/test_outages.py, tests/e2e/test_kills.py |
| a port in use | tests/e2e/cli/test_demo.py, tests/e2e/tools/test_process.py, |
| | tests/integration/runtime/test_{grpc,http}_server.py, tests/integration/cli/test_stack.py |
| a missing API key | `test_an_account_without_a_key_is_refused`; `etapa up` without one runs the |
| | emulator: tests/unit/cli/test_stack_settings.py |
| a wrong API key | `test_a_wrong_key_is_told_and_the_job_goes_on_with_the_right_one`; never set |
| | right: tests/integration/queue/test_transitions.py `test_a_wrong_key_…` |
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from etapa.queue.v1 import job_pb2, operations_pb2
from etapa.tools.v1 import tools_pb2, tools_pb2_grpc
from etapa_client import errors
from etapa_client.names import STATUS_NAMES, STEP_NAMES
from etapa_client.upload import Upload, Url
from services.runtime.ids import new_id
from tests.support.collect import own_troubles, settled
from tests.support.many_jobs import photo, until_final
from tests.support.tool_media import bomb_png, image_bytes, noise_bytes, two_halves, write_video
from tests.support.waiting import eventually
from tests.support.whole_stack import KEYS, Rig, running_rig

GRANT = 100
PRICE = 60
MIB = 1 << 20
ALERT = '"account_left_rotation"'
REFUSED_KEY = operations_pb2.ACCOUNT_HEALTH_UNAUTHORIZED
PHOTO = {"image": photo(40)}
HALF_A_PHOTO = image_bytes(two_halves())[:300]

pytestmark = [
    pytest.mark.xdist_group("e2e"),
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    folder: Path = tmp_path_factory.mktemp("bad-input")
    env = {"ETAPA_EMULATOR_TIME_SCALE": "0.02", "ETAPA_QUEUE_USER_ACTIVE_LIMIT": "1"}
    async with running_rig(folder, time_scale=0.05, env=env) as running:
        yield running
        await settled(running)
        # A wrong key is told to the operators, loudly.
        wrong = [each for each in await own_troubles(running) if ALERT not in each]
        assert not wrong, "\n".join(wrong)


async def user(rig: Rig, granted: int = GRANT) -> str:
    """Return a new user with that many credits."""
    user_id = f"user-{new_id()}"
    if granted:
        await rig.client.credits.grant_credits(request_id=user_id, user_id=user_id, amount=granted)
    return user_id


async def run(
    rig: Rig,
    user_id: str,
    media: Mapping[str, Any] = PHOTO,
    request_id: str | None = None,
    *,
    tool: str = "upscaler",
    inputs: str = "{}",
) -> job_pb2.Job:
    """Run a tool as a user does."""
    return await rig.client.tools.run(tool, inputs, media, user_id, request_id)


async def assert_untouched(rig: Rig, user_id: str, jobs: int = 0, left: int = GRANT) -> None:
    """Assert that the user has that many jobs, all of their credits, and none of them reserved."""
    listed = await rig.client.queue.list_jobs(user_id=user_id)
    assert len(listed.jobs) == jobs
    balance = await rig.client.credits.get_balance(user_id)
    assert (balance.available, balance.reserved) == (left, 0)


async def assert_failed(
    rig: Rig, job: job_pb2.Job, step: str, error_class: str, says: str, steps: list[str]
) -> None:
    """Assert that a job says where, why and what now; that its history is whole, its cost nil."""
    assert (STATUS_NAMES[job.status], STEP_NAMES[job.failed_at_step]) == ("failed", step)
    assert job.error_class == error_class
    assert says in job.error_message
    await settled(rig)
    trail = await rig.client.trail.get_trail(job.job_id)
    assert [STEP_NAMES[each.step] for each in trail.steps] == steps
    assert trail.job.error_message == job.error_message
    assert trail.verdict.advice
    assert list((await rig.client.credits.list_ledger(job_id=job.job_id)).entries) == []


REFUSED = [
    ("nope", "{}", PHOTO, "NOT_FOUND", "TOOL_NOT_FOUND", "the tools are: bg_remover"),
    ("upscaler", '{"zoom":2}', PHOTO, "INVALID_ARGUMENT", "UNKNOWN_PARAMETER", "it has: category"),
    ("bg_remover", '{"zoom":2}', PHOTO, "INVALID_ARGUMENT", "UNKNOWN_PARAMETER", "it takes none"),
    ("upscaler", '{"category":"x"}', PHOTO, "INVALID_ARGUMENT", "BAD_PARAMETER", "one of comida"),
    ("upscaler", '{"denoise":1.5}', PHOTO, "INVALID_ARGUMENT", "OUT_OF_RANGE", "from 0 to 1"),
    ("upscaler", '{"resolution":9000}', PHOTO, "INVALID_ARGUMENT", "OUT_OF_RANGE", "512 to 8192"),
    ("upscaler", "[]", PHOTO, "INVALID_ARGUMENT", "INPUT_NOT_JSON", "one JSON object"),
    ("upscaler", "{}", {}, "INVALID_ARGUMENT", "MEDIA_MISSING", "upload it or give its URL"),
    ("upscaler", "{}", {**PHOTO, "x": b"x"}, "INVALID_ARGUMENT", "UNKNOWN_MEDIA", "takes image"),
]


@pytest.mark.parametrize(("tool", "inputs", "media", "code", "reason", "says"), REFUSED)
async def test_a_request_that_no_tool_takes_leaves_no_job(
    rig: Rig, tool: str, inputs: str, media: dict[str, Any], code: str, reason: str, says: str
) -> None:
    user_id = await user(rig)
    with pytest.raises(errors.EtapaError, match=says) as caught:
        await run(rig, user_id, media, tool=tool, inputs=inputs)
    assert (caught.value.code.name, caught.value.reason) == (code, reason)
    await assert_untouched(rig, user_id)


async def test_a_file_that_is_not_there_is_named_before_anything_is_sent(
    rig: Rig, tmp_path: Path
) -> None:
    user_id = await user(rig)
    with pytest.raises(errors.InvalidInputError, match=r"no file .*foto\.jpg") as caught:
        await run(rig, user_id, {"image": tmp_path / "foto.jpg"})
    assert caught.value.reason == "FILE_NOT_FOUND"
    await assert_untouched(rig, user_id)


def video(folder: Path) -> bytes:
    return write_video(folder / "clip.mp4", seconds=0.2).read_bytes()


BAD_MEDIA: list[tuple[str, Callable[[Path], bytes], str, str, str]] = [
    ("video as a photo", video, "bad_media", "MEDIA_WRONG_KIND", "Send a JPEG"),
    ("text", lambda _: b"<html>", "bad_media", "MEDIA_WRONG_KIND", "content is text/html"),
    ("0 bytes", lambda _: b"", "bad_media", "MEDIA_EMPTY", "Choose it again"),
    ("damaged", lambda _: b"\xff\xd8\xff" + noise_bytes(999), "bad_media", "MEDIA_UNREADABLE", ""),
    (
        "cut",
        lambda _: image_bytes(two_halves(400, 400))[:-400],
        "bad_media",
        "MEDIA_TRUNCATED",
        "Send it again",
    ),
    ("16 MiB", lambda _: noise_bytes(16 * MIB), "file_too_big", "MEDIA_TOO_LARGE", "a smaller one"),
    (
        "bomb",
        lambda _: bomb_png(12_000, 12_000),
        "file_too_big",
        "MEDIA_TOO_MANY_PIXELS",
        "a smaller one",
    ),
]


@pytest.mark.parametrize(
    ("make", "error_class", "reason", "says"),
    [case[1:] for case in BAD_MEDIA],
    ids=[case[0] for case in BAD_MEDIA],
)
async def test_bad_media_fails_the_job_at_upload(
    rig: Rig,
    tmp_path: Path,
    make: Callable[[Path], bytes],
    error_class: str,
    reason: str,
    says: str,
) -> None:
    user_id = await user(rig)
    job = await run(rig, user_id, {"image": Upload(make(tmp_path), "foto.jpg")})
    await assert_failed(rig, job, "upload", error_class, says, ["upload", "failed"])
    (note,) = (await rig.client.trail.get_trail(job.job_id)).notes
    assert f'"{reason}"' in note.details_json
    assert '"foto.jpg"' in note.details_json
    await assert_untouched(rig, user_id, jobs=1)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/a", "http://a\x00b/", "http://x..y/", "ftp://x"]
)
async def test_a_url_that_is_not_fetched_fails_the_job_at_upload(rig: Rig, url: str) -> None:
    user_id = await user(rig)
    job = await run(rig, user_id, {"image": Url(url)})
    await assert_failed(
        rig, job, "upload", "media_unreachable", "or send the file itself", ["upload", "failed"]
    )
    await assert_untouched(rig, user_id, jobs=1)


async def test_a_truncated_stream_frees_the_user_at_once(rig: Rig) -> None:
    user_id = await user(rig)
    source = tools_pb2.MediaSource(name="image", upload_file_name="foto.jpg")
    header = tools_pb2.RunToolHeader(
        run=tools_pb2.RunHeader(request_id=str(new_id()), user_id=user_id, media=[source]),
        tool="upscaler",
    )
    piece = tools_pb2.MediaChunk(media="image", data=HALF_A_PHOTO)
    parts = [tools_pb2.RunToolRequest(header=header), tools_pb2.RunToolRequest(chunk=piece)]
    async with grpc.aio.insecure_channel(rig.stack.address("tools")) as channel:
        stub: Any = tools_pb2_grpc.ToolsServiceStub(channel)
        answer = await stub.RunTool(iter(parts), timeout=20)
    await assert_failed(
        rig, answer.job, "upload", "upload_truncated", "Send the file again", ["upload", "failed"]
    )
    again = await run(rig, user_id)
    assert STATUS_NAMES[(await until_final(rig.client, again.job_id)).status] == "completed"


async def test_a_job_without_credits_fails_at_credits(rig: Rig) -> None:
    user_id = await user(rig, PRICE - 1)
    job = await run(rig, user_id)
    steps = ["upload", "insert", "credits", "failed"]
    await assert_failed(rig, job, "credits", "no_credits", "add credits", steps)
    await assert_untouched(rig, user_id, jobs=1, left=PRICE - 1)


async def test_one_active_job_too_many_is_refused_by_its_name(rig: Rig) -> None:
    user_id = await user(rig)
    await rig.admin.add_fault("slow_run", file="40.jpg", seconds=100, count=1)
    first = await run(rig, user_id)
    # Large and often: an answer that comes in mid-upload must arrive as well.
    large = {"image": Upload(noise_bytes(8 * MIB), "foto.jpg")}
    for _ in range(10):
        with pytest.raises(errors.TooManyActiveJobsError, match="wait for it or cancel") as caught:
            await run(rig, user_id, large)
        assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert caught.value.active_job_ids == (first.job_id,)
    await rig.client.queue.cancel_job(first.job_id)
    await until_final(rig.client, first.job_id)
    await assert_untouched(rig, user_id, jobs=1)


OTHER_BODIES: list[tuple[str, str, dict[str, Any]]] = [
    ("upscaler", '{"denoise":0.5}', PHOTO),
    ("bg_remover", "{}", PHOTO),
    ("upscaler", "{}", {"image": photo(41)}),
]


@pytest.mark.parametrize(("tool", "inputs", "media"), OTHER_BODIES)
async def test_a_request_id_with_another_body_is_refused(
    rig: Rig, tool: str, inputs: str, media: dict[str, Any]
) -> None:
    user_id = await user(rig)
    first = await run(rig, user_id, request_id="once")
    assert (await run(rig, user_id, request_id="once")).job_id == first.job_id
    with pytest.raises(errors.RequestIdReusedError, match="use a new request_id") as caught:
        await run(rig, user_id, media, "once", tool=tool, inputs=inputs)
    assert caught.value.code is grpc.StatusCode.ALREADY_EXISTS
    assert caught.value.request_id == "once"
    assert "'once'" in caught.value.message
    await until_final(rig.client, first.job_id)
    await assert_untouched(rig, user_id, jobs=1, left=GRANT - PRICE)


@pytest.mark.parametrize(
    ("job_id", "error"),
    [
        ("01a20d13-0000-7000-8000-000000000000", errors.JobNotFoundError),
        ("x", errors.InvalidIdError),
        ("", errors.InvalidIdError),
        ("'; --", errors.InvalidIdError),
    ],
)
async def test_every_service_says_the_same_of_an_id_of_no_job(
    rig: Rig, job_id: str, error: type[errors.EtapaError]
) -> None:
    queue = rig.client.queue
    asked: list[Awaitable[Any]] = [
        queue.get_job(job_id),
        queue.wait_job(job_id, max_wait_s=1),
        queue.cancel_job(job_id),
        queue.retry_job(job_id, request_id="r"),
        queue.why_waiting(job_id),
        rig.client.trail.get_trail(job_id),
        anext(rig.client.trail.watch(job_id)),
    ]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(each) for each in found} == {error}


async def test_a_cancel_of_a_finished_job_changes_nothing(rig: Rig) -> None:
    user_id = await user(rig)
    job = await until_final(rig.client, (await run(rig, user_id)).job_id)
    assert STATUS_NAMES[job.status] == "completed"
    with pytest.raises(errors.JobAlreadyFinalError, match="final stays final") as caught:
        await rig.client.queue.cancel_job(job.job_id)
    assert caught.value.code is grpc.StatusCode.FAILED_PRECONDITION
    assert await rig.client.queue.get_job(job.job_id) == job
    await assert_untouched(rig, user_id, jobs=1, left=GRANT - PRICE)


async def test_an_account_without_a_key_is_refused(rig: Rig) -> None:
    with pytest.raises(errors.AccountNotFoundError, match="give base_url, api_key and slots"):
        await rig.client.operations.set_account("delta", base_url="http://127.0.0.1:1", slots=1)
    with pytest.raises(errors.InvalidInputError, match="api_key") as caught:
        await rig.client.operations.set_account("alpha", api_key="")
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert sorted(KEYS) == [each.name for each in await rig.client.operations.list_accounts()]


async def test_a_wrong_key_is_told_and_the_job_goes_on_with_the_right_one(rig: Rig) -> None:
    user_id = await user(rig)
    await set_keys(rig, dict.fromkeys(KEYS, "0" * 31 + "x"))
    job = await run(rig, user_id)

    async def all_refused() -> bool:
        accounts = await rig.client.operations.list_accounts()
        return all(each.health == REFUSED_KEY for each in accounts)

    await eventually(all_refused)
    log = (rig.stack.settings.logs / "queue.log").read_text()
    alerts = [line for line in log.splitlines() if ALERT in line]
    assert all(any(f'"{name}"' in line for line in alerts) for name in KEYS)
    why = await rig.client.queue.why_waiting(job.job_id)
    assert "key" in why.sentence_en
    waiting = await rig.client.queue.get_job(job.job_id)
    assert STATUS_NAMES[waiting.status] == "queued"

    await set_keys(rig, KEYS)
    done = await until_final(rig.client, job.job_id)
    assert STATUS_NAMES[done.status] == "completed"
    await assert_untouched(rig, user_id, jobs=1, left=GRANT - PRICE)
    assert len(await rig.admin.events("start_accepted", task_id=done.task_id)) == 1


async def set_keys(rig: Rig, keys: Mapping[str, str]) -> None:
    for name, key in keys.items():
        await rig.client.operations.set_account(name, api_key=key)
