from __future__ import annotations

import pytest

from services.observability.domain import LedgerChange, Status, Step
from services.observability.fold import Projection
from services.observability.verdict import judge
from services.runninghub.verdicts import CLASSES, RetryWorth, Side, user_text
from services.runtime.ids import new_id

RESERVED = LedgerChange("reserve", 60)
RETURNED = LedgerChange("refund", 60)


def failed_job(error_class: str, message: str = "its own words") -> Projection:
    job = Projection(new_id(), status=Status.FAILED, failed_at_step=Step.RUNNING)
    job.error_class, job.error_message = error_class, message
    job.evidence_payload_id, job.evidence_path = "p-1", "$.x"
    return job


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_known_class_is_judged_by_the_table(name: str) -> None:
    verdict = judge(failed_job(name), [RESERVED, RETURNED], provider_spoke=True)
    assert verdict is not None
    assert (verdict.side, verdict.retry) == (CLASSES[name].side, CLASSES[name].retry)
    assert verdict.text_pt == user_text(name, "pt-BR")
    assert verdict.text_en == user_text(name, "en")
    assert (verdict.charged, verdict.returned, verdict.captured) == (60, 60, 0)


def test_out_of_memory_is_our_configurations_and_worth_a_changed_retry() -> None:
    verdict = judge(failed_job("gpu_oom"), [RESERVED, RETURNED], provider_spoke=True)
    assert verdict is not None
    assert (verdict.side, verdict.retry) == (Side.CONFIGURATION, RetryWorth.CHANGED)
    assert verdict.provider_words == "its own words"
    assert (verdict.evidence_payload_id, verdict.evidence_path) == ("p-1", "$.x")


def test_a_class_of_another_release_keeps_its_name_and_takes_no_side() -> None:
    verdict = judge(failed_job("from_the_future"), [], provider_spoke=True)
    assert verdict is not None
    assert verdict.error_class == "from_the_future"
    assert (verdict.side, verdict.retry) == (None, None)
    assert verdict.text_en == user_text("unknown", "en")


def test_our_own_words_are_not_put_into_the_providers_mouth() -> None:
    verdict = judge(failed_job("queue_timeout"), [RESERVED], provider_spoke=False)
    assert verdict is not None
    assert verdict.provider_words == ""


def test_only_a_failed_job_has_a_verdict() -> None:
    job = Projection(new_id(), status=Status.COMPLETED)
    assert judge(job, [RESERVED, LedgerChange("capture", 60)], provider_spoke=False) is None
