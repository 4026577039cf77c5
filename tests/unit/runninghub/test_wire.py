"""Parsers against odd, hostile and random bodies: nothing raises, nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runninghub import envelope, wire
from services.runninghub.callback import parse_callback
from services.runninghub.report import Reply, StartOutcome, StartReply, TaskReport, TaskState
from services.runninghub.verdicts import Stage, classify, error_words, evidence_of
from tests.support.runninghub_http import as_v1_callback

KEYS = st.sampled_from(
    (
        *("taskId", "status", "taskStatus", "errorCode", "errorMessage", "code", "msg", "data"),
        *("message", "results", "usage", "event", "eventData", "failedReason", "traceback", "id"),
        *("exception_message", "url", "text", "output", "content", "fileUrl", "fileName", "size"),
        *("promptTips", "node_errors", "taskUsageList", "nodeInfoList", "netWssUrl"),
    )
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=20)
    | st.sampled_from(["SUCCESS", "FAILED", "RUNNING", "0", "421", "805", "{}", "[]", '{"a":', ""])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=6)
        | inner.map(json.dumps)
    ),
    max_leaves=20,
)
BODIES = VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200)


def read_all(body: bytes) -> list[Reply]:
    start = wire.parse_start(body)
    classify(evidence_of(Stage.START, start)).words.encode()
    tasks = [start.task, wire.parse_query(body)]
    for callback in (body, as_v1_callback(body.decode(errors="replace"))):
        hint = parse_callback(callback)
        tasks += [hint.report] if hint.report else []
    for task in tasks:
        classify(evidence_of(Stage.RUN, task)).words.encode()
    parsers = (
        envelope.parse_upload,
        envelope.parse_ack,
        envelope.parse_webhook_detail,
        envelope.parse_app_demo,
    )
    return [*tasks, *(parse(body) for parse in parsers)]


@settings(max_examples=400, deadline=None)
@given(BODIES)
def test_no_body_makes_a_parser_raise(body: bytes) -> None:
    for reply in read_all(body):
        error_words(reply).encode()
        assert "\x00" not in error_words(reply)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00",
        b"[" * 200_000,
        b'{"taskId":' + b"9" * 6000 + b"}",
        b'{"errorMessage":"\\ud800\\u0000"}',
        b"NaN",
        b'{"results":{"url":1},"status":[]}',
    ],
)
def test_hostile_body_is_flagged_not_raised(body: bytes) -> None:
    assert all(isinstance(reply, Reply) for reply in read_all(body))
    assert wire.parse_query(body).strange or wire.parse_query(body).task_id


def query(**fields: Any) -> TaskReport:
    return wire.parse_query(json.dumps(fields).encode())


def start(status: int = 200, /, **fields: Any) -> StartReply:
    return wire.parse_start(json.dumps(fields).encode(), status)


def test_ids_above_2_to_53_stay_exact() -> None:
    report = query(taskId=9007199254740993, status="SUCCESS", usage={"consumeCoins": 0.1})

    assert report.task_id == "9007199254740993"
    assert report.usage.consume_coins == "0.1"


@pytest.mark.parametrize("code", [421, "421", "421.0", 421.0, " 421 "])
def test_code_is_read_alike_as_number_and_text(code: object) -> None:
    assert start(errorCode=code).task.code == "421"


@pytest.mark.parametrize("code", [0, "0", "", None, False])
def test_zero_code_means_fine(code: object) -> None:
    reply = start(taskId="1", status="QUEUED", errorCode=code)

    assert reply.outcome is StartOutcome.ACCEPTED


def test_code_is_read_before_task_id() -> None:
    reply = start(taskId="1", status="RUNNING", errorCode="421")

    assert reply.outcome is StartOutcome.DOUBTFUL
    assert reply.task_id == "1"


@pytest.mark.parametrize("code", ["804", 813])
def test_code_that_is_a_state_is_no_refusal(code: object) -> None:
    assert start(taskId="1", status="", errorCode=code).outcome is StartOutcome.ACCEPTED


def test_v1_envelope_is_a_start_reply_too() -> None:
    accepted = start(code=0, msg="success", data={"taskId": "7", "taskStatus": "QUEUED"})
    refused = start(code=401, message="ApiKey verification failed", data=None)

    assert (accepted.outcome, accepted.task_id) == (StartOutcome.ACCEPTED, "7")
    assert (refused.outcome, refused.task.code) == (StartOutcome.REFUSED, "401")


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (200, {}),
        (200, {"hello": 1}),
        (200, {"taskId": "", "status": "RUNNING"}),
        (500, {"status": 500, "error": "Internal Server Error"}),
    ],
)
def test_start_reply_that_settles_nothing_is_unreadable(
    status: int, fields: dict[str, object]
) -> None:
    assert start(status, **fields).outcome is StartOutcome.UNREADABLE


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"status": "CREATE"}, TaskState.WAITING),
        ({"status": "CANCEL"}, TaskState.CANCELLED),
        ({"status": "", "errorCode": "1004"}, TaskState.NOT_FOUND),
        ({"status": "FAILED", "errorCode": "9999"}, TaskState.FAILED),
        ({"status": "FAILED"}, TaskState.FAILED),
        ({"status": "", "errorCode": "1601"}, TaskState.CALL_REFUSED),
        ({"status": "RUNNING", "errorCode": "1003"}, TaskState.CALL_REFUSED),
        ({"code": 1003, "msg": "too fast", "data": None}, TaskState.CALL_REFUSED),
        ({"status": "MELTED"}, TaskState.UNREADABLE),
        ({"status": "SUCCESS", "errorCode": "805"}, TaskState.FAILED),
        ({"status": ""}, TaskState.BLANK),
        ({}, TaskState.UNREADABLE),
    ],
)
def test_query_reply_gives_the_state(fields: dict[str, object], state: TaskState) -> None:
    assert query(**fields).state is state


def test_error_about_our_call_never_ends_the_task() -> None:
    assert not query(status="", errorCode="1601").state.is_final
    assert not wire.parse_query(b"<html>502</html>", 502).state.is_final


@pytest.mark.parametrize("key", ["url", "outputUrl", "fileUrl", "output", "content"])
def test_result_address_is_found_under_each_known_key(key: str) -> None:
    report = query(status="SUCCESS", results=[{key: "https://a.test/x.png", "outputType": ".png"}])

    assert [(out.url, out.output_type) for out in report.outputs] == [
        ("https://a.test/x.png", "png")
    ]


def test_text_result_has_no_url() -> None:
    outputs = query(
        status="SUCCESS", results=[{"url": None, "text": "hi"}, {"output": "ho"}]
    ).outputs

    assert [(out.url, out.text) for out in outputs] == [("", "hi"), ("", "ho")]


def test_json_inside_strings_of_failed_reason_is_decoded() -> None:
    reason = {"exception_message": "m", "traceback": '["a","b"]', "current_inputs": '{"s":[1]}'}

    report = query(status="FAILED", failedReason=json.dumps(reason))

    assert report.reason is not None
    assert report.reason.traceback == ("a", "b")
    assert report.reason.current_inputs == {"s": [1]}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {
                "failedReason": {"exception_type": "E", "exception_message": "m"},
                "errorMessage": "g",
            },
            "E: m",
        ),
        ({"failedReason": {"exception_message": "m"}}, "m"),
        ({"failedReason": {}, "errorMessage": "g | 中"}, "g | 中"),
        ({"code": 805, "msg": "M"}, "M"),
        ({"errorCode": "805"}, "805"),
        ({"status": "RUNNING"}, ""),
    ],
)
def test_error_words_are_the_most_informative_ones(fields: dict[str, Any], words: str) -> None:
    assert error_words(query(**fields)) == words


def test_callback_about_two_tasks_is_about_the_outer_one() -> None:
    body = {"event": "TASK_END", "taskId": "1", "eventData": {"taskId": "2", "status": "SUCCESS"}}

    hint = parse_callback(json.dumps(body).encode())

    assert hint.task_id == "1"


def test_callback_with_task_object_in_a_string_is_read() -> None:
    task = {"taskId": "1", "status": "SUCCESS", "results": [{"url": "https://a.test/x.png"}]}
    body = {"event": "TASK_END", "taskId": "1", "eventData": json.dumps(task)}

    hint = parse_callback(json.dumps(body).encode())

    assert (hint.task_status, hint.has_output) == ("SUCCESS", True)


def test_webhook_detail_tells_the_provider_s_attempts() -> None:
    data = {"id": "5", "callbackStatus": "FAILED", "retryCount": "3", "eventData": {"a": 1}}

    detail = envelope.parse_webhook_detail(json.dumps({"code": 0, "data": data}).encode())

    assert (detail.exists, detail.retry_count, detail.event_data) == (True, 3, '{"a": 1}')


def test_app_demo_gives_the_node_fields() -> None:
    node = {"nodeId": "1", "fieldName": "image", "fieldType": "LIST", "fieldData": '["a"]'}
    body = {"code": 0, "data": {"webappName": "Up", "nodeInfoList": [node]}}

    demo = envelope.parse_app_demo(json.dumps(body).encode())

    assert demo.app_name == "Up"
    assert [(n.node_id, n.field_name, n.options) for n in demo.nodes] == [("1", "image", ["a"])]


def test_accepted_start_with_invalid_nodes_is_told_so() -> None:
    tips = json.dumps({"result": False, "node_errors": {"14": {"errors": []}}})

    reply = start(taskId="1", status="QUEUED", promptTips=tips)

    assert reply.outcome is StartOutcome.ACCEPTED
    assert reply.task.prompt_tips is not None
    assert not reply.task.prompt_tips.is_clean
