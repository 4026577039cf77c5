from __future__ import annotations

import pytest

from services.cli.service_log import readable


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain words", "plain words"),
        ('{"message": "service_failed", "exception": "Trace\\n  at x\\nKeyError: 1"}',
         "service_failed: KeyError: 1"),
        ('{"message": "started", "level": "info"}', "started"),
        ('{"message": "health_check_failed", "error": "gone"}', "health_check_failed: gone"),
        ('{"other": 1}', '{"other": 1}'),
        ("{broken", "{broken"),
    ],
)  # fmt: skip
def test_a_log_line_is_shown_in_words(line: str, shown: str) -> None:
    assert readable(line) == shown
