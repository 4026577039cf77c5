"""`etapa jobs`, `job`, `find`, `watch`, `cancel` against real observability."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from etapa.observability.v1 import intake_pb2
from etapa.queue.v1 import job_pb2
from tests.support.cli_world import World, start_etapa, until_ended
from tests.support.history import (
    CALLBACK,
    OOM_REPLY,
    OOM_WORDS,
    completed,
    delivery,
    failed,
    queued,
    running,
)


async def test_a_job_is_told_whole(world: World) -> None:
    job, evidence = failed()
    await world.observability.record_jobs(job)
    world.put(job, "failed", failed_at_step=job_pb2.STEP_RUNNING, error_message=OOM_WORDS)
    done = await world.etapa("job", job.job_id)
    assert (done.code, done.err) == (0, "")
    for words in (
        f"Job {job.job_id}  upscaler  failed",
        "✖ Failed at: Processing with AI (running)",
        OOM_WORDS,
        "gpu_oom",
        "Timeline   ● ours  ◆ the provider's",
        "accountName=main",
        "Attempts",
        "Raw payloads",
        evidence,
        "refund   60  monthly",
    ):
        assert words in done.out


async def test_a_trail_behind_the_queue_says_how_much_is_arriving(world: World) -> None:
    job, _ = completed()
    await world.observability.record(job.events[:5])
    world.put(job, "completed")
    done = await world.etapa("job", job.job_id)
    assert f"{len(job.events) - 5} steps arriving" in done.out
    assert "completed" in done.lines[0]
    [trail] = (await world.etapa("job", job.job_id, "--json")).objects
    assert trail["arriving"] == len(job.events) - 5
    assert trail["job"]["status"] == "completed"


async def test_a_job_that_the_queue_has_pruned_is_told_from_its_history(world: World) -> None:
    job, _ = completed()
    await world.observability.record_jobs(job)
    [trail] = (await world.etapa("job", job.job_id, "--json")).objects
    assert trail["job"]["status"] == "completed"
    assert trail["arriving"] == 0


async def test_a_job_without_history_yet_is_told_by_the_queue(world: World) -> None:
    job = queued()
    world.put(job, "queued", position=2, current_step=job_pb2.STEP_QUEUED)
    done = await world.etapa("job", job.job_id)
    assert (done.code, done.err) == (0, "")
    assert "Waiting in queue  Position: #2" in done.out
    assert f"{len(job.events)} steps arriving" in done.out


async def test_a_job_is_found_by_the_providers_task_id_too(world: World) -> None:
    job, _ = completed()
    await world.observability.record_jobs(job)
    done = await world.etapa("job", job.task_id)
    assert done.lines[0].startswith(f"Job {job.job_id}")


async def test_an_id_that_nothing_has_is_1(world: World) -> None:
    for query in ("nonsense", "019ab0c0-0000-7000-8000-000000000009"):
        done = await world.etapa("job", query)
        assert done.code == 1
        assert done.out == ""
        assert done.err.startswith(f"etapa: nothing has the id {query!r}")


async def test_history_that_is_away_is_never_printed_as_empty_json(world: World) -> None:
    job, _ = completed()
    world.put(job, "completed")
    away = {"ETAPA_OBSERVABILITY_ADDRESS": "127.0.0.1:9"}
    done = await world.etapa("job", job.job_id, "--json", **away)
    assert (done.code, done.out) == (1, "")
    told = await world.etapa("job", job.job_id, **away)
    assert told.code == 0
    assert told.lines[0].startswith(f"Job {job.job_id}")
    assert "127.0.0.1:9" in told.err


async def test_a_queue_that_is_away_leaves_the_history(world: World) -> None:
    job, _ = completed()
    await world.observability.record_jobs(job)
    done = await world.etapa("job", job.job_id, "--json", ETAPA_QUEUE_ADDRESS="127.0.0.1:9")
    assert done.code == 0
    assert done.objects[0]["through_seq"] == len(job.events)
    assert "127.0.0.1:9" in done.err


async def test_a_queue_that_answers_in_no_good_time_leaves_the_history(world: World) -> None:
    job, _ = completed()
    await world.observability.record_jobs(job)
    world.queue.is_overdue = True
    done = await world.etapa("job", job.job_id, "--json")
    assert done.code == 0
    assert done.objects[0]["through_seq"] == len(job.events)
    assert "gave no answer in time" in done.err


async def test_a_payload_is_printed_to_the_byte(world: World) -> None:
    job, evidence = failed()
    await world.observability.record_jobs(job)
    done = await world.etapa("job", job.job_id, "--payload", evidence)
    assert done.raw == OOM_REPLY
    missing = await world.etapa("job", job.job_id, "--payload", job.job_id)
    assert missing.code == 1
    assert missing.out == ""


async def test_jobs_are_listed_newest_first_and_filtered(world: World) -> None:
    first, _ = completed(user_id="ana")
    second, _ = failed(user_id="bia")
    third = queued(tool="veste_ai", user_id="bia")
    await world.observability.record_jobs(first, second, third)
    listed = (await world.etapa("jobs", "--json")).objects
    assert [job["id"] for job in listed] == [third.job_id, second.job_id, first.job_id]
    for filters, expected in (
        (("--user", "bia"), [third, second]),
        (("--tool", "veste_ai"), [third]),
        (("--status", "failed", "--status", "completed"), [second, first]),
        (("--class", "gpu_oom"), [second]),
        (("--failed-at", "running"), [second]),
        (("--limit", "2"), [third, second]),
    ):
        objects = (await world.etapa("jobs", "--json", *filters)).objects
        assert [job["id"] for job in objects] == [job.job_id for job in expected], filters
    told = await world.etapa("jobs")
    assert len(told.lines) == 3
    assert f"[gpu_oom] Processing with AI: {OOM_WORDS}" in told.lines[1]


async def test_jobs_of_the_last_hours_are_listed_by_their_creation(world: World) -> None:
    old, young = queued(), queued()
    now = datetime.now(UTC)
    for job, hours in ((old, 5), (young, 1)):
        job.events[0].occurred_at.FromDatetime(now - timedelta(hours=hours))
    await world.observability.record([old.events[0], young.events[0]])
    for since, expected in (("2h", [young]), ("1d", [young, old]), ("30m", [])):
        objects = (await world.etapa("jobs", "--json", "--since", since)).objects
        assert [job["id"] for job in objects] == [job.job_id for job in expected]


async def test_more_jobs_than_a_page_are_all_listed(world: World) -> None:
    jobs = [queued() for _ in range(203)]
    await world.observability.record([job.events[0] for job in jobs])
    listed = (await world.etapa("jobs", "--json", "--limit", "1000")).objects
    assert {job["id"] for job in listed} == {job.job_id for job in jobs}
    some = await world.etapa("jobs", "--json", "--limit", "201")
    assert len(some.objects) == 201
    assert "--limit shows more" in some.err


async def test_a_filter_that_does_not_exist_names_those_that_do(world: World) -> None:
    done = await world.etapa("jobs", "--status", "dead")
    assert done.code == 1
    assert "there is no status 'dead'; there are: pending, queued" in done.err


async def test_find_knows_every_id(world: World) -> None:
    job, delivery_id = completed()
    await world.observability.record_jobs(job)
    for query, matched in (
        (job.job_id, "job_id"),
        (job.task_id, "task_id"),
        (job.trace_id, "trace_id"),
        (job.request_id, "request_id"),
        (job.user_id, "user_id"),
        (delivery_id, "delivery_id"),
        ("https://etapa.example/media/out.png?sig=1", "output_url"),
    ):
        [found] = (await world.etapa("find", query, "--json")).objects
        assert (found["matched"], found["job"]["id"]) == (matched, job.job_id)
    told = await world.etapa("find", job.task_id)
    assert told.out.startswith(f"task_id  {job.job_id}")
    nothing = await world.etapa("find", "nonsense")
    assert nothing.code == 1
    assert "nothing has the id 'nonsense'" in nothing.err


async def test_a_piped_watch_writes_each_line_as_it_comes_and_ends(world: World) -> None:
    job, _ = completed()
    await world.observability.record_jobs(job)
    world.put(job, "completed")
    done = await world.etapa("watch", job.job_id)
    assert done.code == 0
    assert [line.split()[2] for line in done.lines[:9]][-2:] == ["webhook_received", "completed"]
    assert "\x1b" not in done.out
    assert "Output: https://etapa.example/media/out.png?sig=1" in done.lines[-1]


async def test_watch_goes_on_after_a_number(world: World) -> None:
    job, _ = completed()
    await world.observability.record_jobs(job)
    events = (await world.etapa("watch", job.job_id, "--after", "9", "--json")).objects
    assert [event["seq"] for event in events] == list(range(10, len(events) + 10))
    assert [event["step"] for event in events if event["kind"] == "step"][-1] == "completed"


async def test_watch_follows_what_happens_meanwhile(world: World) -> None:
    job, _ = completed()
    await world.observability.record(job.events[:3])
    watching = await start_etapa("watch", job.job_id, "--json", **world.env)
    assert watching.stdout is not None
    async with asyncio.timeout(20):
        seen = [json.loads(await watching.stdout.readline())["seq"] for _ in range(3)]
    await world.observability.record(job.events[3:])
    events = (await until_ended(watching)).objects
    assert seen + [event["seq"] for event in events] == list(range(1, len(events) + 4))
    assert [event["step"] for event in events if event["kind"] == "step"][-1] == "completed"


async def test_watch_of_an_unknown_job_is_1(world: World) -> None:
    done = await world.etapa("watch", "019ab0c0-0000-7000-8000-000000000009")
    assert done.code == 1
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("lang", "said"), [("en", "is no id of Etapa"), ("pt", "não é um id do Etapa")]
)
async def test_what_is_no_id_is_answered_with_what_one_looks_like(
    world: World, lang: str, said: str
) -> None:
    for command in ("cancel", "watch"):
        done = await world.etapa(command, "banana", "--lang", lang)
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert f"job_id='banana' {said}" in done.err
        assert "01a20d13-" in done.err


async def test_cancel_asks_once_and_says_what_follows(world: World) -> None:
    job = running()
    world.put(job, "running")
    done = await world.etapa("cancel", job.job_id, "--reason", "wrong photo")
    assert done.code == 0
    assert "the provider has still to say so" in done.out
    [asked] = world.queue.cancelled
    assert (asked.job_id, asked.reason) == (job.job_id, "wrong photo")


async def test_cancel_of_a_finished_job_is_1(world: World) -> None:
    job, _ = completed()
    world.put(job, "completed")
    done = await world.etapa("cancel", job.job_id)
    assert done.code == 1
    assert done.err == f"etapa: the job {job.job_id} is completed\n"


async def test_a_callback_can_be_read_by_its_delivery_id(world: World) -> None:
    job, delivery_id = completed()
    await world.observability.record_jobs(job)
    await world.observability.intake.RecordDeliveries(
        intake_pb2.RecordDeliveriesRequest(deliveries=[delivery(delivery_id)]), timeout=10
    )
    done = await world.etapa("job", job.job_id, "--payload", delivery_id)
    assert done.raw == CALLBACK
