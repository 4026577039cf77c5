"""The queue's queries on accounts and tools: what operators and the catalogue set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.queue.account import AccountSettings, AccountView, CallbackLoss, StoredSettings
from services.queue.domain import Health, TimeLimits
from services.runtime.db import Connection
from services.runtime.sql import load_statements

_SQL = load_statements(__file__)


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the catalogue says of one tool; `prices` in whole credits by variant."""

    name: str
    view: str
    label_pt: str
    label_en: str
    output_kind: str
    limits: TimeLimits
    prices: Mapping[str, int]


async def read_accounts(conn: Connection, names: Sequence[str] | None = None) -> list[AccountView]:
    """Return accounts with health and load, by name; never their keys."""
    rows = await conn.fetch(_SQL["read_accounts"], names)
    return [AccountView(**{**dict(row), "health": Health(row["health"])}) for row in rows]


async def read_callback_loss(
    conn: Connection, ended_after: datetime, ended_by: datetime
) -> dict[str, CallbackLoss]:
    """Return by account how many attempts ended in that time, and how many of them unannounced."""
    rows = await conn.fetch(_SQL["read_callback_loss"], ended_after, ended_by)
    return {
        row["account"]: CallbackLoss(row["ended_attempts"], row["without_callback"]) for row in rows
    }


async def read_account_settings(conn: Connection, name: str) -> StoredSettings | None:
    """Return and lock what is set of an account, its key included; None where it is unknown."""
    row = await conn.fetchrow(_SQL["read_account_settings"], name)
    if row is None:
        return None
    return StoredSettings(row["base_url"], row["api_key"], row["slots"], Health(row["health"]))


async def set_account(
    conn: Connection, wanted: AccountSettings, now: datetime, *, heals: bool
) -> None:
    """Make or change an account, under the gate. All but `paused` must be given."""
    await conn.execute(
        _SQL["set_account"],
        wanted.name,
        wanted.base_url,
        wanted.api_key,
        wanted.slots,
        wanted.paused,
        now,
        heals,
    )


async def add_slots(conn: Connection, account: str, slots: int) -> None:
    """Give an account its slots, under the gate; those that it has stay."""
    await conn.execute(_SQL["add_slots"], account, slots)


async def pause_tool(conn: Connection, tool: str, *, paused: bool) -> bool:
    """Pause or resume a tool; say whether there is such a tool."""
    return await conn.fetchval(_SQL["pause_tool"], tool, paused) is not None


async def announce_tools(conn: Connection, tools: Sequence[Announcement]) -> None:
    """Store the names and limits of announced tools. Idempotent."""
    limits = [tool.limits for tool in tools]
    await conn.execute(
        _SQL["announce_tools"],
        [tool.name for tool in tools],
        [tool.view for tool in tools],
        [tool.label_pt for tool in tools],
        [tool.label_en for tool in tools],
        [tool.output_kind for tool in tools],
        [each.upload_s for each in limits],
        [each.queue_wait_s for each in limits],
        [each.start_s for each in limits],
        [each.run_s for each in limits],
        [each.finalise_s for each in limits],
    )


async def announce_prices(conn: Connection, tools: Sequence[Announcement]) -> None:
    """Store the prices of announced tools. Idempotent."""
    rows = [
        (tool.name, variant, price)
        for tool in tools
        for variant, price in sorted(tool.prices.items())
    ]
    names, variants, prices = ([row[i] for row in rows] for i in range(3))
    await conn.execute(_SQL["announce_prices"], names, variants, prices)


async def learn_run_times(conn: Connection, seen: Mapping[str, Sequence[float]]) -> None:
    """Move the usual run times of tools towards the runs (in seconds) just seen."""
    tools = sorted(tool for tool, runs in seen.items() if runs)
    means = [sum(seen[tool]) / len(seen[tool]) for tool in tools]
    await conn.execute(_SQL["learn_run_times"], tools, means, [len(seen[tool]) for tool in tools])
