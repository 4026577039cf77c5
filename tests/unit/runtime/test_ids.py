from __future__ import annotations

import pytest

from services.runtime.ids import InvalidIdError, new_id, read_id


def test_an_id_is_read_in_any_case_and_without_its_hyphens() -> None:
    made = new_id()
    for text in (str(made), str(made).upper(), made.hex):
        assert read_id("job_id", text) == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "-" * 36,
        "{01a20d13-52b1-7c3e-9f00-5b6c7d8e9f00}",
        "urn:uuid:01a20d13-52b1-7c3e-9f00-5b6c7d8e9f00",
        "01a20d13-52b1-7c3e-9f00-5b6c7d8e9f0",
        "01a20d13-52b17c3e-9f00-5b6c7d8e9f00",
        "01a20d1352b17c3e9f005b6c7d8e9f_0",
        "01a20d13-52b1-7c3e-9f00-5b6c7d8e9f00\n",
        "٠1a20d13-52b1-7c3e-9f00-5b6c7d8e9f00",
    ],
)
def test_what_can_be_no_id_is_refused_by_its_field(text: str) -> None:
    with pytest.raises(InvalidIdError) as refused:
        read_id("job_id", text)
    assert (refused.value.reason, refused.value.field) == ("INVALID_ID", "job_id")
    assert refused.value.facts["value"] == text


def test_the_refusal_shows_an_id_that_is_one_and_never_a_whole_flood() -> None:
    with pytest.raises(InvalidIdError) as refused:
        read_id("job_id", "7" * 5000)
    example = refused.value.message.partition("looks like ")[2].partition(";")[0]
    assert str(read_id("job_id", example)) == example
    assert len(refused.value.message) < 300
