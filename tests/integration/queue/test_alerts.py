"""The line at error level that an operator's alert looks for."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from services.queue import command as c
from services.queue.alerts import alert
from tests.support import queue_play as play
from tests.support.postgres import MakeDatabase
from tests.support.queue_world import open_world


@pytest.mark.parametrize(("refusal", "health"), [("key", "unauthorized"), ("full", "")])
async def test_only_an_account_that_leaves_the_rotation_is_alerted(
    make_database: MakeDatabase, refusal: str, health: str
) -> None:
    async with open_world(await make_database(["queue"])) as world:
        world.transitions.listen(alert)
        job_id = await world.enqueue()
        (claimed,) = await world.claim()
        work = claimed.work
        verdict = play.refusal(refusal)
        with capture_logs() as lines:
            await world.transitions.run(
                c.Refuse(work.job_id, work.attempt, work.token_sha256, verdict, ())
            )
        found = [
            (line["log_level"], line["account"], line["health"], line["words"], line["job_id"])
            for line in lines
            if line["event"] == "account_left_rotation"
        ]
        expected = ("error", work.account, health, verdict.words, str(job_id))
        assert found == ([expected] if health else [])
