"""What operators and the catalogue set: accounts with their slots, tools with their prices."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlsplit

import asyncpg
import msgspec

from services.queue import check, store, store_operations
from services.queue.account import (
    LOSS_GRACE,
    LOSS_WINDOW,
    AccountSettings,
    AccountView,
    CallbackLoss,
    StoredSettings,
)
from services.queue.domain import (
    AccountNotFoundError,
    BadRequestError,
    Health,
    ToolNotFoundError,
)
from services.queue.store_operations import Announcement
from services.runtime.db import Connection, Pool, transaction
from services.runtime.errors import SettingsError
from services.runtime.log import get_log

_log = get_log(__name__)
MAX_SLOTS = 1000
MAX_TOOLS = 1000
MAX_PRICE = 1_000_000_000
MAX_LIMIT_S = 30 * 24 * 3600.0
_TOOL = re.compile(r"[a-z][a-z0-9_]{0,39}")
_VIEW = re.compile(r"[a-z][a-z0-9_]{0,59}")
_KEY = re.compile(r"[\x21-\x7e]{1,512}")
_OUTPUT_KINDS = ("image", "video", "text")


class Operations:
    """Accounts and tools. `changed` is called after each commit that may open slots."""

    def __init__(
        self,
        pool: Pool,
        clock: Callable[[], datetime],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._changed = changed

    async def list_accounts(self) -> Sequence[AccountView]:
        """Return accounts by name, with health, load and callback loss."""
        async with self._pool.acquire() as conn:
            return await self._measured(conn, await store_operations.read_accounts(conn))

    async def set_account(self, wanted: AccountSettings) -> AccountView:
        """Make or change an account; return it as it is then.

        Raises `BadRequestError`, and `AccountNotFoundError` where too little is given for a new
        one. Idempotent.
        """
        checked = checked_account(wanted)
        async with transaction(self._pool) as conn:
            # Claims look at slots and health under the gate, so they see all of it or nothing.
            await store.lock_gate(conn)
            known = await store_operations.read_account_settings(conn, wanted.name)
            await _write_account(conn, _complete(checked, known), known, self._clock())
            accounts = await store_operations.read_accounts(conn, [wanted.name])
        _log.info(
            "account_set", account=wanted.name, slots=accounts[0].slots, paused=accounts[0].paused
        )
        self._changed()
        # Not under the gate: counting takes longer than claims should wait.
        async with self._pool.acquire() as conn:
            (account,) = await self._measured(conn, accounts)
        return account

    async def load_accounts(self, settings_json: str) -> None:
        """Make the accounts that the settings name; what else is there stays.

        The settings win over what was set by call, but pauses stay, and so does the health of an
        account whose key and site are as before. Raises `SettingsError`.
        """
        accounts = read_accounts_setting(settings_json)
        async with transaction(self._pool) as conn:
            await store.lock_gate(conn)
            for wanted in accounts:
                known = await store_operations.read_account_settings(conn, wanted.name)
                await _write_account(conn, wanted, known, self._clock(), is_start_up=True)
        self._changed()

    async def set_tool(self, tool: str, *, paused: bool) -> None:
        """Pause or resume a tool. Raises `ToolNotFoundError`. Idempotent."""
        async with transaction(self._pool) as conn:
            await store.lock_gate(conn)
            if not await store_operations.pause_tool(conn, tool, paused=paused):
                raise ToolNotFoundError(tool)
        _log.info("tool_set", tool=tool, paused=paused)
        self._changed()

    async def announce_tools(self, tools: Sequence[Announcement]) -> None:
        """Store the catalogue; tools and variants no longer named stay. Idempotent.

        Raises `BadRequestError`.
        """
        ordered = sorted(tools, key=lambda tool: tool.name)
        check_catalogue(ordered)
        try:
            async with transaction(self._pool) as conn:
                await store_operations.announce_tools(conn, ordered)
                await store_operations.announce_prices(conn, ordered)
        except asyncpg.UniqueViolationError as error:
            raise BadRequestError(
                f"a view is another tool's already: {error.detail}", "tools.view"
            ) from error

    async def _measured(
        self, conn: Connection, accounts: Sequence[AccountView]
    ) -> list[AccountView]:
        now = self._clock()
        losses = await store_operations.read_callback_loss(
            conn, now - LOSS_WINDOW, now - LOSS_GRACE
        )
        return [replace(each, loss=losses.get(each.name, CallbackLoss())) for each in accounts]


def read_accounts_setting(text: str) -> list[AccountSettings]:
    """Read ETAPA_QUEUE_ACCOUNTS: a JSON list of {name, base_url, api_key, slots}; empty is none.

    Raises `SettingsError`, whose text holds no key.
    """
    if not text.strip():
        return []
    try:
        entries = msgspec.json.decode(text, type=list[_AccountEntry])
        accounts = [checked_account(entry.settings()) for entry in entries]
    except (msgspec.DecodeError, BadRequestError) as error:
        raise SettingsError(
            [
                f"ETAPA_QUEUE_ACCOUNTS: {error}; it takes a JSON list such as "
                '[{"name":"primary","base_url":"https://…","api_key":"…","slots":3}]'
            ]
        ) from None
    names = [account.name for account in accounts]
    if len(set(names)) < len(names):
        raise SettingsError(["ETAPA_QUEUE_ACCOUNTS names an account twice"])
    return sorted(accounts, key=lambda account: account.name)


class _AccountEntry(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    base_url: str
    api_key: str
    slots: int

    def settings(self) -> AccountSettings:
        return AccountSettings(self.name, self.base_url, self.api_key, self.slots)


def checked_account(wanted: AccountSettings) -> AccountSettings:
    """Return settings with a tidy URL. Raises `BadRequestError`, which names the field."""
    check.text("name", wanted.name, 64, least=1)
    if not wanted.name.isprintable():
        raise BadRequestError("name holds characters that can't be printed", "name")
    if wanted.slots is not None:
        check.whole("slots", wanted.slots, 0, MAX_SLOTS)
    if wanted.api_key is not None and not _KEY.fullmatch(wanted.api_key):
        raise BadRequestError("api_key is not 1 to 512 visible ASCII characters", "api_key")
    if wanted.base_url is None:
        return wanted
    return replace(wanted, base_url=_checked_url(wanted.base_url))


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or len(url) > 500 or not url.isprintable() or " " in url:
        raise BadRequestError("base_url is not an http or https URL", "base_url")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise BadRequestError("base_url holds more than scheme, host, port and path", "base_url")
    return url.rstrip("/")


def _complete(wanted: AccountSettings, known: StoredSettings | None) -> AccountSettings:
    if known is None:
        if wanted.base_url is None or wanted.api_key is None or wanted.slots is None:
            raise AccountNotFoundError(wanted.name)
        return wanted
    return replace(
        wanted,
        base_url=wanted.base_url if wanted.base_url is not None else known.base_url,
        slots=wanted.slots if wanted.slots is not None else known.slots,
    )


async def _write_account(
    conn: Connection,
    wanted: AccountSettings,
    known: StoredSettings | None,
    now: datetime,
    *,
    is_start_up: bool = False,
) -> None:
    heals = known is not None and _heals(wanted, known, is_start_up=is_start_up)
    if wanted.api_key is None and known is not None:
        wanted = replace(wanted, api_key=known.api_key)
    await store_operations.set_account(conn, wanted, now, heals=heals)
    await store_operations.add_slots(conn, wanted.name, wanted.slots or 0)


def _heals(wanted: AccountSettings, known: StoredSettings, *, is_start_up: bool) -> bool:
    """Tell whether what is set makes an account healthy: another key or site, or a wish."""
    is_new_key = wanted.api_key is not None and wanted.api_key != known.api_key
    if wanted.reset_health or is_new_key or wanted.base_url != known.base_url:
        return True
    # A restart repeats the settings as they were; that says nothing about a refused key.
    same_key_again = wanted.api_key is not None and not is_start_up
    return same_key_again and known.health is Health.UNAUTHORIZED


def check_catalogue(tools: Sequence[Announcement]) -> None:
    """Raise `BadRequestError`, which names the field, where a catalogue can't be right."""
    check.whole("tools", len(tools), 1, MAX_TOOLS)
    names = [tool.name for tool in tools]
    views = [tool.view for tool in tools]
    if len(set(names)) < len(names) or len(set(views)) < len(views):
        raise BadRequestError("two of the tools have the same name or the same view", "tools")
    for tool in tools:
        _check_tool(tool)


def _check_tool(tool: Announcement) -> None:
    if not _TOOL.fullmatch(tool.name):
        raise BadRequestError(
            f"tool name {tool.name[:80]!r} is not lower case letters, digits and underscores, "
            "1 to 40, a letter first",
            "tools.name",
        )
    if not _VIEW.fullmatch(tool.view):
        raise BadRequestError(f"view of {tool.name} is not such a name, 1 to 60", "tools.view")
    check.text("tools.label_pt", tool.label_pt, 100, least=1)
    check.text("tools.label_en", tool.label_en, 100, least=1)
    if tool.output_kind not in _OUTPUT_KINDS:
        raise BadRequestError(
            f"output_kind of {tool.name} is not image, video or text", "tools.output_kind"
        )
    _check_prices(tool.name, tool.prices)
    for name in tool.limits.__slots__:
        limit_s = getattr(tool.limits, name)
        if not 0 < limit_s <= MAX_LIMIT_S:
            raise BadRequestError(
                f"time limit {name.removesuffix('_s')} of {tool.name} is {limit_s:g} s; "
                f"it takes more than 0 and at most {MAX_LIMIT_S:g}",
                "tools.time_limits",
            )


def _check_prices(tool: str, prices: Mapping[str, int]) -> None:
    if not prices:
        raise BadRequestError(f"{tool} has no variant, so it has no price", "tools.variants")
    for variant, price in prices.items():
        check.text("tools.variants.variant", variant, 64)
        check.whole("tools.variants.credits", price, 0, MAX_PRICE)
