"""One finished and one failed job of each tool: the whole story by SQL, by ids, by its trace."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from etapa_client.names import STEP_NAMES
from etapa_client.upload import Upload
from tests.support.collect import settled
from tests.support.many_jobs import TOOLS, Media, Order, photo, see_through
from tests.support.provider_log import ProviderLog, token_of
from tests.support.stacks import own_env
from tests.support.whole_stack import Rig, running_rig

VIEWS = {tool: f"{tool}_jobs" for tool in (*TOOLS, "bg_remover")}
# Issue 2, "Observability": as it stands, but for the job's id.
PLANS_QUERY = (
    "SELECT id, status, current_step, failed_at_step, error_message, step_history, "
    "raw_api_response, raw_webhook_payload, created_at, started_at, completed_at "
    "FROM {view} WHERE id = '{id}' ORDER BY created_at DESC LIMIT 1;"
)
# Design §3: the steps of a job that was not disturbed, and the plan's detail keys of each.
KEYS = {
    "upload": {"fileName", "bytes", "sha256"},
    "insert": {"tool", "variant", "inputs"},
    "credits": {"cost", "newBalance"},
    "queue_check": {"slotsAvailable", "globalRunning", "queueLength"},
    "queued": {"position"},
    "starting": {"webappId", "accountName", "attempt"},
    "running": {"taskId"},
    "webhook_received": {"event", "taskStatus", "hasOutput"},
    "completed": {"outputUrl", "outputs"},
    "failed": {"error", "at_step", "class"},
}
CUDA_WORDS = "Allocation on device 0 would exceed allowed memory. (out of memory)"
FAILING = "falha"

pytestmark = [
    pytest.mark.xdist_group("e2e"),
    pytest.mark.timeout(120),
    pytest.mark.asyncio(loop_scope="module"),
]


@dataclass
class Told:
    """A stack whose jobs are over: their ids by tool and outcome, and the provider's log."""

    rig: Rig
    jobs: dict[tuple[str, str], str]
    log: ProviderLog

    def task_of(self, job_id: str, tokens: dict[bytes, str]) -> str:
        """Return the provider's task of a job."""
        (task,) = [task for task in self.log.tasks if tokens[token_of(task)] == job_id]
        return task.task_id


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Told]:
    folder = tmp_path_factory.mktemp("story")
    async with running_rig(
        folder,
        time_scale=0.05,
        env={
            "ETAPA_EMULATOR_TIME_SCALE": "0.02",
            "ETAPA_QUEUE_USER_ACTIVE_LIMIT": "20",
        },
    ) as rig:
        await rig.admin.add_fault("fail", classes=["gpu_oom"], file=FAILING)
        await rig.client.credits.grant_credits(request_id="g", user_id="ana", amount=10_000)
        wanted = _orders(Media.make(folder))
        jobs = await see_through(rig.client, list(wanted.values()))
        ids = {place: job.job_id for place, job in zip(wanted, jobs, strict=True)}
        yield Told(rig, ids, await settled(rig))


def _orders(good: Media) -> dict[tuple[str, str], Order]:
    bad = Media([photo(250, FAILING)], Upload(good.video.content, f"{FAILING}.mp4"))
    return {
        (tool, outcome): Order(f"{tool}-{outcome}", "ana", tool, {}, media.of(tool))
        for outcome, media in (("completed", good), ("failed", bad))
        for tool in VIEWS
    }


async def read_view(told: Told, tool: str, outcome: str) -> dict[str, Any]:
    query = PLANS_QUERY.format(view=VIEWS[tool], id=told.jobs[tool, outcome])
    (row,) = await told.rig.fetch(query)
    found = dict(row)
    for name in ("step_history", "raw_api_response", "raw_webhook_payload"):
        found[name] = json.loads(found[name])
    return found


@pytest.mark.parametrize("tool", VIEWS)
async def test_the_plans_query_tells_a_finished_job(told: Told, tool: str) -> None:
    row = await read_view(told, tool, "completed")
    history = row["step_history"]
    assert (row["status"], row["current_step"]) == ("completed", "completed")
    assert (row["failed_at_step"], row["error_message"]) == (None, None)
    assert [step["step"] for step in history] == [name for name in KEYS if name != "failed"]
    assert [KEYS[step["step"]] - step.keys() for step in history] == [set()] * len(history)
    times = [step["timestamp"] for step in history]
    assert times == sorted(times)
    assert row["created_at"] < row["started_at"] < row["completed_at"]
    assert row["raw_api_response"]["status"] == "SUCCESS"
    assert row["raw_webhook_payload"]["event"] == "TASK_END"
    assert row["raw_api_response"]["taskId"] == row["raw_webhook_payload"]["taskId"]


@pytest.mark.parametrize("tool", VIEWS)
async def test_the_plans_query_tells_a_failed_job(told: Told, tool: str) -> None:
    row = await read_view(told, tool, "failed")
    history = row["step_history"]
    assert (row["status"], row["current_step"]) == ("failed", "failed")
    assert row["failed_at_step"] == "running"
    assert CUDA_WORDS in row["error_message"]
    assert [step["step"] for step in history] == [name for name in KEYS if name != "completed"]
    assert [KEYS[step["step"]] - step.keys() for step in history] == [set()] * len(history)
    assert (history[-1]["at_step"], history[-1]["class"]) == ("running", "gpu_oom")
    assert CUDA_WORDS in json.dumps(row["raw_api_response"], ensure_ascii=False)
    assert CUDA_WORDS in json.dumps(row["raw_webhook_payload"], ensure_ascii=False)


@pytest.mark.parametrize("tool", VIEWS)
async def test_a_failed_job_says_whose_side_and_gives_the_credits_back(
    told: Told, tool: str
) -> None:
    trail = await told.rig.client.trail.get_trail(told.jobs[tool, "failed"])
    verdict = trail.verdict
    assert verdict.error_class == "gpu_oom"
    assert verdict.charged == verdict.returned == trail.job.cost > 0
    assert (verdict.captured, CUDA_WORDS in verdict.provider_words) == (0, True)
    assert verdict.message.pt
    assert verdict.advice.en


@pytest.mark.parametrize("outcome", ["completed", "failed"])
@pytest.mark.parametrize("tool", VIEWS)
async def test_find_knows_a_job_by_each_of_its_ids(told: Told, tool: str, outcome: str) -> None:
    job_id = told.jobs[tool, outcome]
    rows = await told.rig.fetch("SELECT token_sha256, job_id::text FROM queue.attempts")
    tokens = {row["token_sha256"]: row["job_id"] for row in rows}
    job = await told.rig.client.queue.get_job(job_id)
    ids = [job_id, told.task_of(job_id, tokens), job.trace_id, f"{tool}-{outcome}"]
    if outcome == "completed":
        ids += [job.output_url, job.output_url.partition("?")[0]]
    for query in ids:
        found = [match.job.job_id for match in await told.rig.client.trail.find(query)]
        assert found == [job_id], query


@pytest.mark.parametrize("outcome", ["completed", "failed"])
@pytest.mark.parametrize("tool", VIEWS)
async def test_one_trace_goes_through_every_step_and_payload(
    told: Told, tool: str, outcome: str
) -> None:
    job = await told.rig.client.queue.get_job(told.jobs[tool, outcome])
    trail = await told.rig.client.trail.get_trail(job.job_id)
    assert len(job.trace_id) == 32
    assert {step.trace_id for step in trail.steps} == {job.trace_id}
    assert {"start", "query", "callback"} <= {info.call for info in trail.payloads}
    assert {info.trace_id for info in trail.payloads} == {job.trace_id}


@pytest.mark.parametrize("tool", VIEWS)
async def test_each_step_is_one_log_line_with_its_trace(told: Told, tool: str) -> None:
    job_id = told.jobs[tool, "failed"]
    trail = await told.rig.client.trail.get_trail(job_id)
    log = told.rig.stack.settings.logs / "observability.log"
    lines = [json.loads(line) for line in log.read_text().splitlines() if job_id in line]
    told_steps = [line for line in lines if line["message"].startswith(f"[{VIEWS[tool]}] Job")]
    assert [line["message"] for line in told_steps] == [
        f"[{VIEWS[tool]}] Job {job_id}: {STEP_NAMES[step.step]}" for step in trail.steps
    ]
    assert {line["trace_id"] for line in told_steps} == {trail.job.trace_id}


async def test_psql_and_find_of_the_command_line_tell_the_same(told: Told) -> None:
    job_id = told.jobs["upscaler", "failed"]
    shown = await etapa(told.rig, "psql", "-c", PLANS_QUERY.format(view="upscaler_jobs", id=job_id))
    assert job_id in shown
    assert CUDA_WORDS in shown
    job = await told.rig.client.queue.get_job(job_id)
    for query in (job_id, job.task_id, job.trace_id):
        assert job_id in await etapa(told.rig, "find", query, "--json")
    finished = await told.rig.client.queue.get_job(told.jobs["upscaler", "completed"])
    assert finished.job_id in await etapa(told.rig, "find", finished.output_url, "--json")


async def etapa(rig: Rig, *arguments: str) -> str:
    """Run the command beside the stack; return what it printed."""
    places = {
        f"ETAPA_{name.upper()}_ADDRESS": rig.stack.address(name)
        for name in ("queue", "tools", "observability")
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.cli",
        *arguments,
        env={**own_env(), **places, "ETAPA_HOME": str(rig.stack.settings.home)},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_the_fifth_tool_is_listed_like_the_others(told: Told) -> None:
    listed = (await told.rig.client.tools.list_tools()).tools
    assert {tool.name for tool in listed} == set(VIEWS)


async def test_no_secret_of_ours_is_anywhere_in_the_history(told: Told) -> None:
    secrets = [task.token for task in told.log.tasks] + list(told.rig.slots)
    for job_id in told.jobs.values():
        for info in (await told.rig.client.trail.get_trail(job_id)).payloads:
            payload = await told.rig.client.trail.get_payload(info.payload_id, job_id=job_id)
            text = payload.body.decode("latin-1") + str(payload.info)
            assert not [secret for secret in secrets if secret in text], info.call
