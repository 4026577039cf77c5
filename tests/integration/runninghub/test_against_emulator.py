"""The client against the emulator: a run from upload to output, and every fault judged rightly."""

from __future__ import annotations

import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from services.emulator.reasons import REASONS
from services.runninghub.client import Limits, RunningHubClient
from services.runninghub.exchange import Call, Transport
from services.runninghub.report import StartOutcome, StartReply, TaskReport, TaskState
from services.runninghub.request import Account, Media, NodeValue, StartRequest
from services.runninghub.verdicts import CLASSES, Stage, classify, evidence_of
from services.runtime.fetch import FetchError, FetchLimits
from tests.support.emulator import KEY, SECOND_KEY, EmulatorHandle, running_emulator
from tests.support.runninghub_http import UPSCALER, photo
from tests.support.task_verdict import Ended, ended_by

IMPATIENT = Limits(start_reply_timeout_s=1.0)
OUTPUT = FetchLimits(max_bytes=10_000_000, total_timeout_s=10)


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[EmulatorHandle]:
    async with running_emulator(tmp_path / "emulator") as handle:
        yield handle


@pytest.fixture
async def client() -> AsyncIterator[RunningHubClient]:
    async with RunningHubClient() as opened:
        yield opened


@pytest.fixture
def account(emulator: EmulatorHandle) -> Account:
    return Account("main", emulator.base_url, KEY)


def picture(content: bytes) -> Media:
    async def source() -> AsyncIterator[bytes]:
        yield content

    return Media(
        file_name="photo.jpg",
        content_type="image/jpeg",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        open=source,
    )


def upscale(image: str = "", webhook_url: str | None = None) -> StartRequest:
    nodes = (NodeValue("1", "image", image),) if image else ()
    return StartRequest(target_id=UPSCALER, nodes=nodes, webhook_url=webhook_url)


async def uploaded(client: RunningHubClient, account: Account) -> str:
    call = await client.upload(account, picture(photo(60, 40)))
    assert call.reply is not None
    assert call.reply.is_ok, call
    return call.reply.file_name


async def started(client: RunningHubClient, account: Account, request: StartRequest) -> str:
    call = await client.start(account, request)
    assert call.reply is not None
    assert call.reply.outcome is StartOutcome.ACCEPTED, call
    return call.reply.task_id


async def ended(
    emulator: EmulatorHandle, client: RunningHubClient, account: Account, task_id: str
) -> TaskReport:
    await emulator.admin.wait_for("run_ended", task_id=task_id)
    reply = (await client.query(account, task_id)).reply
    assert reply is not None
    assert not reply.strange
    return reply


def failed_by(report: TaskReport) -> Ended:
    """Return how the queue fails a job of which the provider says this."""
    found = ended_by(report)
    assert found is not None
    assert found.status == "failed"
    return found


async def test_photo_goes_all_the_way_to_a_larger_image(
    emulator: EmulatorHandle, client: RunningHubClient, account: Account, tmp_path: Path
) -> None:
    task_id = await started(client, account, upscale(await uploaded(client, account)))

    report = await ended(emulator, client, account, task_id)
    fetched = await client.download(account, report.outputs[0].url, tmp_path / "out", OUTPUT)

    assert (report.state, ended_by(report)) == (TaskState.SUCCEEDED, None)
    assert int(report.usage.consume_coins or 0) > 0
    data = (tmp_path / "out").read_bytes()
    assert Image.open(io.BytesIO(data)).size == (120, 80)
    assert hashlib.sha256(data).hexdigest() == fetched.sha256


@pytest.mark.parametrize("name", sorted(REASONS))
async def test_every_failure_reason_gets_its_class_and_keeps_its_words(
    emulator: EmulatorHandle, client: RunningHubClient, account: Account, name: str
) -> None:
    await emulator.admin.add_fault("fail", classes=[name])
    task_id = await started(client, account, upscale())

    failed = failed_by(await ended(emulator, client, account, task_id))

    assert failed.error_class == REASONS[name].error_class
    assert REASONS[name].exception_message in failed.words
    assert failed.failed_at_step == "running"


async def test_success_without_outputs_is_no_output(
    emulator: EmulatorHandle, client: RunningHubClient, account: Account
) -> None:
    await emulator.admin.add_fault("fail", classes=["no_output"])
    task_id = await started(client, account, upscale())

    failed = failed_by(await ended(emulator, client, account, task_id))

    assert failed.error_class == "no_output"


async def test_file_of_another_account_is_our_fault(
    emulator: EmulatorHandle, client: RunningHubClient, account: Account
) -> None:
    other = Account("second", emulator.base_url, SECOND_KEY)
    task_id = await started(client, account, upscale(await uploaded(client, other)))

    failed = failed_by(await ended(emulator, client, account, task_id))

    assert (failed.error_class, CLASSES[failed.error_class].side) == ("input_missing", "us")


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("api/gone.jpg", "input_missing"),
        ("{emulator}/output/x/gone.jpg", "input_missing"),
        ("http://127.0.0.1:1/away.jpg", "infra"),
    ],
)
async def test_an_input_that_can_t_be_loaded_has_the_class_of_the_emulator_s_log(
    emulator: EmulatorHandle, client: RunningHubClient, account: Account, image: str, found: str
) -> None:
    wanted = upscale(image.format(emulator=emulator.base_url))
    task_id = await started(client, account, wanted)

    failed = failed_by(await ended(emulator, client, account, task_id))
    (line,) = await emulator.admin.events("run_ended")

    assert (failed.error_class, line["error_class"]) == (found, found)


@pytest.mark.parametrize("action", ["reset", "hang", "http", "garbage"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_start_that_settles_nothing_is_unknown_whether_accepted_or_not(
    emulator: EmulatorHandle, account: Account, action: str, when: str
) -> None:
    await emulator.admin.add_fault(action, when=when, count=1)

    async with RunningHubClient(IMPATIENT) as client:
        call = await client.start(account, upscale())

    verdict = classify(evidence_of(Stage.START, call.reply, call.transport))
    assert verdict.error_class == "submit_unknown"
    if when == "after":
        await emulator.admin.wait_for("start_accepted")
    else:
        assert await emulator.admin.events("start_accepted") == []


@pytest.mark.parametrize(
    ("code", "error_class"), [(421, "account_full"), (812, "account_no_money")]
)
@pytest.mark.parametrize("int_code", [False, True])
async def test_refused_start_is_settled(
    emulator: EmulatorHandle,
    client: RunningHubClient,
    account: Account,
    code: int,
    error_class: str,
    int_code: bool,
) -> None:
    await emulator.admin.add_fault("code", code=code, int_code=int_code)

    call = await client.start(account, upscale())

    assert outcome_of(call) is StartOutcome.REFUSED
    assert classify(evidence_of(Stage.START, call.reply)).error_class == error_class


def outcome_of(call: Call[StartReply]) -> StartOutcome | None:
    return call.reply.outcome if call.reply else None


async def test_wrong_key_is_unauthorized_on_every_endpoint(
    emulator: EmulatorHandle, client: RunningHubClient
) -> None:
    wrong = Account("main", emulator.base_url, "f" * 32)
    calls = [
        await client.upload(wrong, picture(photo())),
        await client.query(wrong, "1990000000000000001"),
        await client.cancel(wrong, "1990000000000000001"),
    ]
    start = await client.start(wrong, upscale())

    for reply in (start.reply, *(call.reply for call in calls)):
        assert reply is not None
        assert classify(evidence_of(Stage.START, reply)).error_class == "account_unauthorized"


async def test_cancel_is_asked_then_seen(
    emulator: EmulatorHandle, client: RunningHubClient, account: Account
) -> None:
    await emulator.admin.add_fault("slow_run", seconds=3000)
    task_id = await started(client, account, upscale())

    asked = await client.cancel(account, task_id)
    report = await ended(emulator, client, account, task_id)
    again = await client.cancel(account, task_id)

    assert asked.reply is not None
    assert asked.reply.is_ok
    assert report.state in (TaskState.BLANK, TaskState.CANCELLED)
    assert again.reply is not None
    assert (again.reply.code, again.reply.message) == ("1", "task cannot cancel")


async def test_unknown_task_is_not_found(client: RunningHubClient, account: Account) -> None:
    reply = (await client.query(account, "1999999999999999999")).reply

    assert reply is not None
    assert reply.state is TaskState.NOT_FOUND


async def test_app_can_be_read(client: RunningHubClient, account: Account) -> None:
    app = (await client.app_demo(account, UPSCALER)).reply
    missing = (await client.app_demo(account, "1")).reply

    assert app is not None
    assert {"1", "548"} <= {node.node_id for node in app.nodes}
    assert missing is not None
    assert classify(evidence_of(Stage.START, missing)).error_class == "config_app_missing"


async def test_task_without_webhook_has_no_webhook_detail(
    emulator: EmulatorHandle, client: RunningHubClient, account: Account
) -> None:
    task_id = await started(client, account, upscale())
    await ended(emulator, client, account, task_id)

    reply = (await client.webhook_detail(account, task_id)).reply

    assert reply is not None
    assert (reply.exists, reply.code, reply.message) == (False, "1", "webhook event not exists")


async def test_expired_output_is_gone_for_good(
    emulator: EmulatorHandle, client: RunningHubClient, account: Account, tmp_path: Path
) -> None:
    await emulator.admin.add_fault("outputs_expired", status=410)
    task_id = await started(client, account, upscale())
    report = await ended(emulator, client, account, task_id)

    with pytest.raises(FetchError) as caught:
        await client.download(account, report.outputs[0].url, tmp_path / "out", OUTPUT)

    assert (caught.value.status, caught.value.is_lasting) == (410, True)


async def test_stopped_provider_was_never_reached(client: RunningHubClient, tmp_path: Path) -> None:
    async with running_emulator(tmp_path / "gone") as emulator:
        account = Account("main", emulator.base_url, KEY)

    call = await client.start(account, upscale())

    assert call.transport is Transport.NEVER_SENT
    verdict = classify(evidence_of(Stage.START, None, call.transport))
    assert verdict.error_class == "provider_unreachable"
    assert verdict.failure.counts_as_attempt is False
