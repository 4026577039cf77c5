"""A trail as JSON: the contract of the command line, field by field."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf import timestamp_pb2

from etapa.observability.v1 import event_pb2, trail_pb2
from etapa.queue.v1 import credits_pb2, job_pb2
from etapa_client.trail import parsed, rfc3339, trail_to_json

T0 = datetime(2026, 11, 24, 8, 0, 0, 120, UTC)


def at(seconds: float) -> timestamp_pb2.Timestamp:
    """Return a time after T0."""
    moment = timestamp_pb2.Timestamp()
    moment.FromDatetime(T0 + timedelta(seconds=seconds))
    return moment


def failed_trail() -> trail_pb2.GetTrailResponse:
    """Return a short trail of a job that ran out of memory."""
    return trail_pb2.GetTrailResponse(
        job=trail_pb2.JobSummary(
            job_id="j1",
            tool="upscaler",
            user_id="u1",
            status=job_pb2.JOB_STATUS_FAILED,
            current_step=job_pb2.STEP_FAILED,
            failed_at_step=job_pb2.STEP_RUNNING,
            error_message="CUDA out of memory",
            error_class="gpu_oom",
            created_at=at(0),
            started_at=at(1),
            completed_at=at(2),
            input_json='{"category": "logo"}',
            trace_id="a" * 32,
            account="main",
        ),
        verdict=trail_pb2.Verdict(
            error_class="gpu_oom",
            side=trail_pb2.SIDE_PROVIDER,
            message=trail_pb2.Text(pt="Sem memória.", en="Out of memory."),
            advice=trail_pb2.Text(pt="Tente menor.", en="Try a smaller one."),
            retry=trail_pb2.RETRY_WORTH_CHANGED,
            charged=60,
            returned=60,
            evidence_payload_id="p1",
            evidence_path="$.failedReason",
            provider_words="CUDA out of memory",
        ),
        steps=[
            trail_pb2.StepRecord(
                seq=1, step=job_pb2.STEP_UPLOAD, timestamp=at(0), details_json='{"bytes": 3}'
            ),
            trail_pb2.StepRecord(
                seq=2, step=job_pb2.STEP_FAILED, timestamp=at(2), attempt=1, details_json=""
            ),
        ],
        attempts=[trail_pb2.AttemptRecord(number=1, account="main", claimed_at=at(1))],
        payloads=[
            event_pb2.PayloadInfo(
                payload_id="p1",
                kind=event_pb2.PAYLOAD_KIND_RESPONSE,
                headers=[event_pb2.Header(name="A", value="b")],
                sha256=b"\x01\x02",
                masked=[event_pb2.ByteRange(start=1, end=4)],
                deciding=True,
            )
        ],
        ledger=[
            trail_pb2.LedgerRecord(
                seq=2, kind=credits_pb2.LEDGER_KIND_REFUND, amount=60, bucket="monthly"
            )
        ],
        notes=[trail_pb2.NoteRecord(seq=2, code="FOUND_BY_POLL", text="Found by poll.")],
        through_seq=2,
    )


def test_a_failed_job_tells_where_why_whose_side_and_what_now() -> None:
    told = trail_to_json(failed_trail())
    assert told["job"]["failed_at_step"] == "running"
    assert told["job"]["error_message"] == "CUDA out of memory"
    assert told["job"]["inputs"] == {"category": "logo"}
    assert told["verdict"] == {
        "class": "gpu_oom",
        "side": "provider",
        "message": {"pt": "Sem memória.", "en": "Out of memory."},
        "advice": {"pt": "Tente menor.", "en": "Try a smaller one."},
        "retry": "changed",
        "money": {"charged": 60, "returned": 60, "captured": 0},
        "provider_words": "CUDA out of memory",
        "evidence_payload_id": "p1",
        "evidence_path": "$.failedReason",
    }


def test_the_contract_has_its_keys_and_is_json() -> None:
    told = json.loads(json.dumps(trail_to_json(failed_trail())))
    assert {"job", "verdict", "steps", "attempts", "payloads", "ledger", "through_seq"} <= set(told)
    assert {
        "id",
        "tool",
        "user_id",
        "status",
        "current_step",
        "failed_at_step",
        "error_message",
        "position",
        "created_at",
        "started_at",
        "completed_at",
        "outputs",
        "trace_id",
    } <= set(told["job"])
    assert told["steps"][0] == {
        "seq": 1,
        "step": "upload",
        "timestamp": "2026-11-24T08:00:00.000120Z",
        "attempt": 0,
        "details": {"bytes": 3},
        "trace_id": "",
    }
    assert told["payloads"][0]["masked"] == [[1, 4]]
    assert told["payloads"][0]["sha256"] == "0102"
    assert told["ledger"][0]["kind"] == "refund"


def test_the_queue_is_believed_for_status_and_position_and_the_trail_for_history() -> None:
    trail = failed_trail()
    trail.job.status = job_pb2.JOB_STATUS_PENDING
    job = job_pb2.Job(
        job_id="j1",
        status=job_pb2.JOB_STATUS_QUEUED,
        current_step=job_pb2.STEP_QUEUED,
        position=2,
        seq=5,
        created_at=at(0),
    )
    told = trail_to_json(trail, job)
    assert (told["job"]["status"], told["job"]["position"]) == ("queued", 2)
    assert told["job"]["account"] == "main"
    assert told["job"]["inputs"] == {"category": "logo"}
    assert (told["through_seq"], told["arriving"]) == (2, 3)
    assert [step["step"] for step in told["steps"]] == ["upload", "failed"]


def test_what_does_not_apply_is_null() -> None:
    told = trail_to_json(trail_pb2.GetTrailResponse())
    assert told["verdict"] is None
    names = ("failed_at_step", "error_message", "position", "started_at", "progress", "output_url")
    assert {told["job"][name] for name in names} == {None}


@pytest.mark.parametrize(("text", "value"), [("", {}), ("[1]", [1]), ("{bad", "{bad")])
def test_details_that_are_no_json_stay_text(text: str, value: object) -> None:
    assert parsed(text) == value


def test_a_status_of_a_newer_server_is_its_number() -> None:
    trail = failed_trail()
    trail.job.status = 99  # type: ignore[assignment]  # a value that this client does not know
    assert trail_to_json(trail)["job"]["status"] == "99"


def test_whole_seconds_have_microseconds_too() -> None:
    moment = timestamp_pb2.Timestamp(seconds=1_795_507_200)
    assert rfc3339(moment) == "2026-11-24T08:00:00.000000Z"
