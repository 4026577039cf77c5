"""`etapa accounts`, `tools`, `credits`, `queue`, `why`: text for people, objects for programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from etapa.queue.v1 import operations_pb2, queue_pb2
from tests.support.cli_world import World
from tests.support.history import queued


async def test_accounts_are_listed_with_health_and_load(world: World) -> None:
    world.operations.accounts = [
        operations_pb2.Account(
            name="main",
            base_url="https://p",
            slots=3,
            held=2,
            health=operations_pb2.ACCOUNT_HEALTH_NO_MONEY,
            paused=True,
            last_error="416 \x1b[31mno coins",
            ended_attempts=40,
            without_callback=2,
        )
    ]
    [account] = (await world.etapa("accounts", "--json")).objects
    assert (account["name"], account["slots"], account["held"]) == ("main", 3, 2)
    assert (account["health"], account["paused"]) == ("no_money", True)
    assert (account["ended_attempts"], account["without_callback"]) == (40, 2)
    told = (await world.etapa("accounts")).out
    assert told.startswith("main  no money  2/3 slots in use  paused")
    assert "2 of 40 without callback in 24 h" in told
    assert "416 \\x1b[31mno coins" in told


async def test_an_account_is_set_only_where_it_is_told_to(world: World) -> None:
    assert (await world.etapa("accounts", "set", "main", "--slots", "0")).code == 0
    assert (await world.etapa("accounts", "set", "main", "--paused")).code == 0
    assert (await world.etapa("accounts", "set", "main", "--resumed", "--reset-health")).code == 0
    slots, paused, resumed = world.operations.set
    assert slots.HasField("slots")
    assert not slots.HasField("paused")
    assert paused.paused
    assert not paused.HasField("slots")
    assert (resumed.paused, resumed.HasField("paused"), resumed.reset_health) == (False, True, True)


async def test_a_key_comes_from_a_file_or_stdin_and_is_never_shown(
    world: World, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("secret-1\n")
    made = ("--base-url", "https://p", "--slots", "2", "--api-key-file")
    from_file = await world.etapa("accounts", "set", "main", *made, str(file))
    from_stdin = await world.etapa("accounts", "set", "main", *made, "-", stdin="secret-2\n")
    assert [each.api_key for each in world.operations.set] == ["secret-1", "secret-2"]
    for done in (from_file, from_stdin):
        assert done.code == 0
        assert "secret" not in done.out + done.err


async def test_setting_nothing_and_keys_that_are_not_there_are_1(world: World) -> None:
    nothing = await world.etapa("accounts", "set", "main")
    assert nothing.code == 1
    assert "nothing to set" in nothing.err
    missing = await world.etapa("accounts", "set", "main", "--api-key-file", "/no/key")
    assert missing.code == 1
    assert "/no/key" in missing.err
    assert world.operations.set == []


async def test_the_catalogue_is_listed_and_a_tool_shown_with_its_schema(world: World) -> None:
    [tool] = (await world.etapa("tools", "--json")).objects
    assert tool["name"] == "upscaler"
    assert tool["input_schema"]["properties"]["resolution"]["maximum"] == 8192
    assert tool["media"][0]["name"] == "image"
    assert tool["media"][0]["max_side_px"] == 1536
    assert tool["media"][0]["help"] == {"pt": "De perto.", "en": "From near."}
    [shown] = (await world.etapa("tools", "show", "upscaler", "--json")).objects
    assert shown == tool
    told = (await world.etapa("tools", "show", "upscaler")).out
    assert "etapa run upscaler --image FILE|URL [--param resolution=…]" in told
    assert "integer 512–8192" in told
    assert "people  60 credits" in told
    assert "scaled down to 1536 px if larger  From near." in told
    assert "--image" in (await world.etapa("tools")).out


async def test_tools_pause_and_resume(world: World) -> None:
    await world.etapa("tools", "pause", "upscaler")
    assert world.operations.paused == {"upscaler": True}
    [state] = (await world.etapa("tools", "resume", "upscaler", "--json")).objects
    assert state == {"tool": "upscaler", "paused": False}


async def test_credits_are_granted_and_shown(world: World) -> None:
    [granted] = (await world.etapa("credits", "grant", "ana", "100", "--json")).objects
    assert (granted["user_id"], granted["amount"], granted["bucket"]) == ("ana", 100, "lifetime")
    [balance] = (await world.etapa("credits", "--user", "ana", "--json")).objects
    assert (balance["available"], balance["reserved"]) == (100, 60)
    assert "ana: 100 available, 60 reserved" in (await world.etapa("credits", "-u", "ana")).out


async def test_the_ledger_is_read_over_its_pages_up_to_the_limit(world: World) -> None:
    for _ in range(5):
        await world.etapa("credits", "grant", "ana", "10", "--bucket", "monthly")
    entries = (await world.etapa("credits", "ledger", "--user", "ana", "--json")).objects
    assert [entry["entry_id"] for entry in entries] == ["e0", "e1", "e2", "e3", "e4"]
    assert entries[0]["debit"] == "issuance"
    three = (await world.etapa("credits", "ledger", "--user", "ana", "-n", "3")).lines
    assert len(three) == 3
    world.credits.asked.clear()
    await world.etapa("credits", "ledger", "--job", "j-1")
    assert (world.credits.asked[0].user_id, world.credits.asked[0].job_id) == ("", "j-1")


async def test_the_queue_is_told_by_account_and_tool(world: World) -> None:
    world.queue.load = queue_pb2.GetQueueResponse(
        running=5,
        waiting=12,
        slots_available=0,
        accounts=[queue_pb2.AccountLoad(account="main", slots=5, held=5, claimable=False)],
        tools=[queue_pb2.ToolLoad(tool="upscaler", waiting=12, running=5, paused=True)],
    )
    [load] = (await world.etapa("queue", "--json")).objects
    assert (load["running"], load["waiting"], load["global_limit"]) == (5, 12, None)
    assert load["tools"][0]["paused"] is True
    told = (await world.etapa("queue")).lines
    assert told[0] == "5 running, 12 waiting, 0 slots free"
    assert "  main  5/5 slots in use  not usable now" in told
    assert "  upscaler  5 running, 12 waiting  paused" in told


@pytest.mark.parametrize(("lang", "said"), [("pt", "Sem vaga livre."), ("en", "No free slot.")])
async def test_why_a_job_waits_is_one_sentence_in_the_language(
    world: World, lang: str, said: str
) -> None:
    job = queued()
    world.put(job, "queued")
    world.queue.why = queue_pb2.WhyWaitingResponse(
        reason="NO_FREE_SLOT",
        sentence_pt="Sem vaga livre.",
        sentence_en="No free slot.",
        position=2,
        slot_holders=["j-1"],
    )
    told = await world.etapa("why", job.job_id, "--lang", lang)
    assert told.lines[0] == said
    assert "j-1" in told.out
    [answer] = (await world.etapa("why", job.job_id, "--json")).objects
    assert answer["reason"] == "NO_FREE_SLOT"
    assert answer["sentence"] == {"pt": "Sem vaga livre.", "en": "No free slot."}
