from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from services.runtime.open_files import allow_open_files


@pytest.fixture
def hard() -> Iterator[int]:
    """Return the hard limit, the soft one being below it."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] // 2, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_becomes_the_hard_one(hard: int) -> None:
    allow_open_files()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
