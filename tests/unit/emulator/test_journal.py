"""The judge's log is gap-free, survives a crash in mid-line and can be waited on."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.emulator.journal import Journal


async def test_entries_are_numbered_and_on_disk_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log.jsonl")
    journal.record("one", fact="ação")
    journal.record("two")
    assert [entry["n"] for entry in journal.after(0, 10)] == [1, 2]
    assert len((tmp_path / "log.jsonl").read_bytes().splitlines()) == 2
    assert journal.after(1, 10)[0]["event"] == "two"
    assert journal.after(0, 1)[0]["fact"] == "ação"
    journal.close()


async def test_a_line_cut_off_by_a_crash_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    first = Journal(path)
    first.record("whole")
    first.close()
    with path.open("ab") as file:
        file.write(b'{"n": 2, "event": "cu')
    second = Journal(path)
    entry = second.record("next")
    second.close()
    assert (entry["n"], len(path.read_bytes().splitlines())) == (2, 2)


async def test_every_waiter_wakes_on_a_new_entry(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log.jsonl")
    waiters = [asyncio.create_task(journal.wait(0, 20)) for _ in range(5)]
    await asyncio.sleep(0)
    journal.record("one")
    async with asyncio.timeout(5):
        await asyncio.gather(*waiters)
    journal.close()


async def test_waiting_ends_with_its_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log.jsonl")
    await journal.wait(0, 0.01)
    assert journal.last == 0
    journal.close()
