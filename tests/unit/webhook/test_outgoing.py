"""Whatever was kept can be told to the peers, without its secrets and without a crash."""

from __future__ import annotations

import hashlib
from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st

from services.webhook.outgoing import callback_to_proto, delivery_to_proto
from tests.support.webhook_delivery import TRACEPARENT, a_delivery


@given(st.binary(max_size=2000), st.binary(max_size=200).filter(lambda v: not {10, 13} & set(v)))
def test_any_bytes_can_be_told_to_both_peers(body: bytes, value: bytes) -> None:
    delivery = a_delivery(body, ((b"X-Any", value),), b"/runninghub/**?" + value)

    callback = callback_to_proto(delivery)
    message = delivery_to_proto(delivery)

    assert callback.body_sha256 == message.info.sha256 == hashlib.sha256(body).digest()
    assert len(message.body) == len(body)
    assert message.SerializeToString()
    assert callback.SerializeToString()


def test_secrets_are_masked_at_their_length_and_the_ranges_say_where() -> None:
    body = b'{"apiKey":"0123456789abcdef","url":"/runninghub/' + b"t" * 43 + b'"}'
    message = delivery_to_proto(a_delivery(body))

    (first, second) = [(one.start, one.end) for one in message.info.masked]
    assert body[slice(*first)] == b"0123456789abcdef"
    assert body[slice(*second)] == b"t" * 43
    assert message.body == body.replace(b"0123456789abcdef", b"*" * 16).replace(
        b"t" * 43, b"*" * 43
    )


def test_words_of_the_body_are_bounded_before_they_become_ours() -> None:
    callback = callback_to_proto(a_delivery(b'{"event":"' + b"e" * 5000 + b'","taskId":"1"}'))

    assert callback.event == "e" * 256
    assert callback.task_id == "1"


def test_times_and_trace_are_those_of_the_arrival() -> None:
    delivery = a_delivery(b"{}", ((b"Content-TYPE", b"application/json"),))
    callback, info = callback_to_proto(delivery), delivery_to_proto(delivery).info

    assert callback.received_at.ToDatetime(UTC) == delivery.received_at
    assert info.occurred_at == callback.received_at
    assert (callback.traceparent, info.trace_id) == (TRACEPARENT, "a" * 32)
    assert info.content_type == "application/json"
