from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf import timestamp_pb2

from etapa_client.words import Language
from services.console import shown

AFTERNOON = datetime(2026, 11, 24, 17, 2, 11, 204_900, UTC)


@pytest.mark.parametrize(
    ("seconds", "pt"),
    [
        (None, "—"),
        (0.0, "0 ms"),
        (0.0084, "8 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1,0 s"),
        (1.14, "1,1 s"),
        (59.94, "59,9 s"),
        (59.96, "1:00"),
        (192.4, "3:12"),
        (3723, "1:02:03"),
    ],
)
def test_durations_are_short_and_exact_enough(seconds: float | None, pt: str) -> None:
    assert shown.duration(seconds, Language.PT) == pt


def test_times_are_told_in_utc_whatever_zone_they_come_in() -> None:
    local = AFTERNOON.astimezone(timezone(timedelta(hours=-3)))
    assert shown.clock(local, Language.PT) == "17:02:11,204"
    assert shown.day_and_time(local, Language.EN) == "2026-11-24 17:02:11 UTC"
    assert shown.iso(local) == "2026-11-24T17:02:11.204900Z"


def test_an_unset_time_is_none() -> None:
    assert shown.moment(timestamp_pb2.Timestamp()) is None
    assert shown.moment(timestamp_pb2.Timestamp(seconds=1)) == datetime(1970, 1, 1, 0, 0, 1, 0, UTC)


def test_a_clock_that_went_back_lasts_nothing() -> None:
    assert shown.seconds_between(AFTERNOON, AFTERNOON - timedelta(seconds=1)) == 0.0


def test_short_ids_keep_both_ends() -> None:
    assert shown.short_id("019ab0c0-0000-7000-8000-00000000a41c") == "019ab0…a41c"
    assert shown.short_id("1990") == "1990"
