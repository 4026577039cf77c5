"""Codes, words and circumstances against the class that they must give."""

from __future__ import annotations

import pytest

from services.runninghub.report import FailedReason, PromptTips
from services.runninghub.verdict_table import CODES, HTTP_STATUSES, MESSAGES, REASONS
from services.runninghub.verdict_texts import TEXTS
from services.runninghub.verdicts import (
    CLASSES,
    AccountEffect,
    Evidence,
    Stage,
    Transport,
    classify,
    failure_class,
    judge_output,
    parse_retry_overrides,
    user_text,
    with_retry_overrides,
)
from services.runninghub.wire import parse_query


def judge_words(message: str, kind: str = "RuntimeError") -> str:
    reason = FailedReason(exception_type=kind, exception_message=message)
    return classify(Evidence(Stage.RUN, code="805", reason=reason)).error_class


def test_every_rule_names_a_class_and_every_class_has_texts() -> None:
    named = {rule.class_name for rule in CODES.values()} | {name for name, _ in REASONS}
    named |= set(HTTP_STATUSES.values()) | set(MESSAGES.values())

    assert named <= set(CLASSES)
    assert set(TEXTS) == set(CLASSES)
    for portuguese, english in TEXTS.values():
        sentences = [portuguese.message, portuguese.advice, english.message, english.advice]
        assert all(text.endswith(".") for text in sentences)
        assert portuguese != english


CODE_ROWS = [
    ("1", "unknown"),
    ("301", "client_fault"),
    ("380", "config_app_missing"),
    ("401", "account_unauthorized"),
    ("412", "client_fault"),
    ("415", "account_full"),
    ("416", "account_no_money"),
    ("421", "account_full"),
    ("423", "task_lost"),
    ("433", "config_workflow"),
    ("435", "account_machine"),
    ("436", "account_unauthorized"),
    ("500", "submit_unknown"),
    ("605", "account_no_money"),
    ("801", "account_unauthorized"),
    ("802", "account_unauthorized"),
    ("803", "config_node_mismatch"),
    ("805", "unknown"),
    ("806", "account_unauthorized"),
    ("807", "task_lost"),
    ("808", "upload_failed"),
    ("809", "file_too_big"),
    ("810", "config_workflow"),
    ("811", "account_unauthorized"),
    ("812", "account_no_money"),
    ("814", "account_full"),
    ("901", "config_app_missing"),
    ("1000", "submit_unknown"),
    ("1001", "client_fault"),
    ("1002", "account_unauthorized"),
    ("1003", "rate_limited"),
    ("1004", "task_lost"),
    ("1005", "infra"),
    ("1006", "timeout"),
    ("1007", "client_fault"),
    ("1008", "file_too_big"),
    ("1009", "client_fault"),
    ("1010", "provider_busy"),
    ("1011", "provider_busy"),
    ("1012", "infra"),
    ("1013", "file_processing_failed"),
    ("1014", "account_machine"),
    ("1015", "generation_failed"),
    ("1101", "config_node_mismatch"),
    ("1404", "model_missing"),
    ("1500", "config_app_missing"),
    ("1501", "moderation"),
    ("1504", "timeout"),
    ("1505", "moderation"),
    ("1520", "account_full"),
    ("1601", "account_unauthorized"),
    ("APIKEY_INVALID", "account_unauthorized"),
    ("TASK_QUEUE_MAXED", "account_full"),
    ("NODE_INFO_MISMATCH(nodeId=1, fieldName=x)", "config_node_mismatch"),
    ("4211", "unknown"),
    ("80", "unknown"),
    ("APIKEY_SOMETHING_NEW", "unknown"),
]


@pytest.mark.parametrize(("code", "error_class"), CODE_ROWS)
def test_code_at_start_gives_its_class(code: str, error_class: str) -> None:
    assert classify(Evidence(Stage.START, code=code)).error_class == error_class


def test_every_code_of_the_table_is_asserted_above() -> None:
    assert set(CODES) - {code for code, _ in CODE_ROWS} == set()


@pytest.mark.parametrize(
    ("message", "error_class"),
    [
        ("CUDA out of memory. Tried to allocate 2.00 GiB", "gpu_oom"),
        ("Allocation on device 0 would exceed allowed memory.", "gpu_oom"),
        ("显存告警", "gpu_oom"),
        ("image contains Porn content", "moderation"),
        ("NSFW content detected", "moderation"),
        ("the prompt contains sensitive words", "moderation"),
        ("argument name is case sensitive", "unknown"),
        ("insensitive match failed", "unknown"),
        ("Cannot execute because node X does not exist.", "node_missing"),
        ("node type not found: Foo", "node_missing"),
        ("the folder /tmp/a does not exist", "unknown"),
        ("Value not in list: ckpt_name: 'a.safetensors'", "model_missing"),
        ("[Errno 2] No such file or directory: '/models/a.safetensors'", "model_missing"),
        ("cannot identify image file 'a.webp'", "input_unreadable"),
        ("/input/a.mp4 could not be loaded with cv.", "input_unreadable"),
        ("[Errno 116] Stale file handle: '/models/vae.safetensors'", "infra"),
        ("[Errno 104] Connection reset by peer", "infra"),
        ("[Errno 28] No space left on device", "infra"),
        ("HTTPSConnectionPool(host='x.test'): Max retries exceeded (ConnectTimeout)", "infra"),
        ("当前分组上游负载已饱和", "infra"),
        (
            "[Errno 2] No such file or directory: '/ComfyUI/input/api/x.png'",
            "input_missing",
        ),
        ("403 Client Error: Forbidden for url: https://m.test/media/x", "input_missing"),
        ("The read operation timed out", "timeout"),
        ("The size of tensor a (64) must match the size of tensor b (48)", "unknown"),
        ("", "unknown"),
    ],
)
def test_words_of_failed_reason_give_the_class(message: str, error_class: str) -> None:
    assert judge_words(message) == error_class


def test_exact_code_outranks_words() -> None:
    reason = FailedReason(exception_message="CUDA out of memory")

    assert classify(Evidence(Stage.RUN, code="1501", reason=reason)).error_class == "moderation"


def test_unknown_keeps_the_raw_words() -> None:
    reason = FailedReason("ValueError", "tensor 显 mismatch  \n at node 3 ")

    verdict = classify(Evidence(Stage.RUN, code="805", message="工作流运行失败", reason=reason))

    assert verdict.error_class == "unknown"
    assert verdict.words == "ValueError: tensor 显 mismatch  \n at node 3 "


def test_graph_refusal_with_unknown_node_blames_the_node() -> None:
    tips = PromptTips(result=False, node_errors={"3": {"errors": [{"type": "missing_node_type"}]}})

    verdict = classify(Evidence(Stage.START, code="433", prompt_tips=tips))

    assert verdict.error_class == "node_missing"
    assert verdict.failed_at_step == "starting"


@pytest.mark.parametrize(
    ("stage", "transport", "error_class"),
    [
        (Stage.START, Transport.NEVER_SENT, "provider_unreachable"),
        (Stage.START, Transport.SENT_NO_REPLY, "submit_unknown"),
        (Stage.UPLOAD, Transport.NEVER_SENT, "upload_failed"),
        (Stage.UPLOAD, Transport.SENT_NO_REPLY, "upload_failed"),
        (Stage.RUN, Transport.NEVER_SENT, "provider_unreachable"),
        (Stage.RUN, Transport.SENT_NO_REPLY, "provider_unreachable"),
    ],
)
def test_silence_is_judged_by_how_far_the_call_got(
    stage: Stage, transport: Transport, error_class: str
) -> None:
    verdict = classify(Evidence(stage, transport=transport))

    assert verdict.error_class == error_class
    assert verdict.words == f"no reply ({transport.value})"


@pytest.mark.parametrize("status", [200, 408, 500, 502, 503, 504, 520])
def test_page_that_settles_nothing_leaves_the_start_unknown(status: int) -> None:
    verdict = classify(Evidence(Stage.START, http_status=status, is_json=False))

    assert verdict.error_class == "submit_unknown"


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (401, "account_unauthorized"),
        (403, "edge_error"),
        (404, "client_fault"),
        (413, "file_too_big"),
        (429, "rate_limited"),
        (301, "client_fault"),
    ],
)
def test_page_that_refuses_settles_the_start(status: int, error_class: str) -> None:
    verdict = classify(Evidence(Stage.START, http_status=status, is_json=False))

    assert verdict.error_class == error_class


def test_only_full_accounts_and_unsent_calls_keep_the_attempt() -> None:
    free = {name for name, row in CLASSES.items() if not row.counts_as_attempt}

    assert free == {
        "account_full",
        "rate_limited",
        "account_unauthorized",
        "account_no_money",
        "provider_unreachable",
        "upload_failed",
    }
    assert CLASSES["submit_unknown"].auto.max_retries == 0
    assert CLASSES["submit_unknown"].counts_as_attempt


def test_effects_on_the_account() -> None:
    affected = {
        effect: {n for n, r in CLASSES.items() if r.account_effect is effect}
        for effect in AccountEffect
        if effect is not AccountEffect.NONE
    }

    assert affected == {
        AccountEffect.FULL: {"account_full", "rate_limited"},
        AccountEffect.UNAUTHORIZED: {"account_unauthorized"},
        AccountEffect.NO_MONEY: {"account_no_money"},
    }


def test_texts_promise_only_what_etapa_does() -> None:
    """Nothing here tells a person of a failure, so no text may say that somebody knows."""
    sentences = [
        s.casefold() for pair in TEXTS.values() for t in pair for s in (t.message, t.advice)
    ]

    for promise in ("alerted", "notified", "avisad", "notificad"):
        assert not [s for s in sentences if promise in s]


def test_out_of_memory_retry_is_off_until_configured_and_uses_the_larger_machine() -> None:
    oom = failure_class("gpu_oom")

    allowed = with_retry_overrides(oom, parse_retry_overrides("gpu_oom=1, infra=0"))

    assert oom.auto.max_retries == 0
    assert (allowed.auto.max_retries, allowed.auto.instance_type) == (1, "plus")


@pytest.mark.parametrize("text", ["gpu_oomm=1", "infra=11", "infra=-1", "infra", "infra=x"])
def test_wrong_retry_setting_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"use one of|write infra=N"):
        parse_retry_overrides(text)


def test_backoff_repeats_its_last_delay() -> None:
    auto = failure_class("account_full").auto

    assert [auto.delay_s(n) for n in range(5)] == [30.0, 60.0, 120.0, 120.0, 120.0]


def test_our_own_time_limits_lie_where_the_job_stood() -> None:
    assert failure_class("queue_timeout").stage.step == "queued"
    assert failure_class("start_timeout").stage.step == "starting"
    assert failure_class("timeout").stage.step == "running"


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (403, "output_gone"),
        (404, "output_gone"),
        (410, "output_gone"),
        (500, "output_undelivered"),
        (302, "output_undelivered"),
        (None, "output_unsavable"),
    ],
)
def test_a_status_of_the_file_host_is_the_provider_s_side(
    status: int | None, error_class: str
) -> None:
    verdict = judge_output("HTTP", status)
    assert verdict.failure.side == ("us" if status is None else "provider")

    assert (verdict.error_class, verdict.failed_at_step) == (error_class, "webhook_received")


def test_texts_fall_back_to_english_and_to_unknown() -> None:
    assert user_text("gpu_oom", "pt-BR").message.startswith("A placa de vídeo")
    assert user_text("gpu_oom", "fr") == user_text("gpu_oom", "en")
    assert user_text("class_of_a_later_release", "en") == user_text("unknown", "en")


def test_failure_reported_only_by_a_message_is_judged_by_it() -> None:
    report = parse_query(b'{"taskId":"1","status":"FAILED","errorMessage":"CUDA out of memory"}')

    assert classify(Evidence(Stage.RUN, report.code, report.message)).error_class == "gpu_oom"
