"""The API keys of the emulated provider: validity, balance, machines, concurrency."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from services.emulator.codes import Refusal
from services.emulator.settings import AccountSetting
from services.emulator.task import Task
from services.runtime.errors import InvalidInputError

API_TYPES = ("NORMAL", "SHARED", "EXCLUSIVE")
STATES = ("ok", "revoked", "free", "expired")
# More than this many tasks waiting in the personal queue: 814 (reference section 2.1).
PERSONAL_QUEUE_LIMIT = 1000


@dataclass(slots=True)
class Account:
    """One key. `slots` are the tasks that count as current, `waiting` its personal queue."""

    key: str
    api_type: str = "SHARED"
    concurrency: int = 50
    coins: int = 100_000
    money: str | None = None
    currency: str | None = None
    state: str = "ok"
    machines: tuple[str, ...] = ("default", "plus")
    slots: dict[str, Task] = field(default_factory=dict)
    waiting: deque[Task] = field(default_factory=deque)

    @property
    def current(self) -> int:
        """Tasks that the provider counts: running, queued and personally queued."""
        return len(self.slots) + len(self.waiting)

    def refuse_start(self, instance_type: str, is_personal: bool) -> None:
        """Raise the `Refusal` that a start meets now, if any: money, machine, then room.

        Whether queued tasks count is not documented; here they do, as in `currentTaskCounts`.
        """
        if self.coins <= 0:
            raise Refusal(812 if self.api_type == "SHARED" else 416)
        if instance_type not in self.machines:
            raise Refusal(435)
        if len(self.slots) < self.concurrency:
            return
        if self.api_type != "EXCLUSIVE":
            raise Refusal(421)
        if not is_personal:
            raise Refusal(415)
        if len(self.waiting) >= PERSONAL_QUEUE_LIMIT:
            raise Refusal(814)

    def enter(self, task: Task) -> bool:
        """Take a slot, or wait in the personal queue; say whether a slot was free."""
        if len(self.slots) < self.concurrency:
            self.slots[task.task_id] = task
            return True
        self.waiting.append(task)
        return False

    def leave(self, task: Task) -> list[Task]:
        """Give the slot back and return the waiting tasks that move up."""
        self.slots.pop(task.task_id, None)
        if task in self.waiting:
            self.waiting.remove(task)
        return self.move_up()

    def move_up(self) -> list[Task]:
        """Give free slots to waiting tasks, first come first served."""
        moved = []
        while self.waiting and len(self.slots) < self.concurrency:
            task = self.waiting.popleft()
            self.slots[task.task_id] = task
            moved.append(task)
        return moved

    def facts(self) -> dict[str, Any]:
        """Return what the admin API says of this account."""
        return {
            "key": self.key,
            "api_type": self.api_type,
            "concurrency": self.concurrency,
            "coins": self.coins,
            "money": self.money,
            "currency": self.currency,
            "state": self.state,
            "machines": list(self.machines),
            "current": self.current,
            "waiting": len(self.waiting),
        }


class AccountBook:
    """All keys that exist. A key that is not here is unknown to the provider."""

    def __init__(self, settings: Iterable[AccountSetting]) -> None:
        self._accounts = {
            item.key: Account(item.key, item.api_type, item.concurrency, item.coins)
            for item in settings
        }

    def __iter__(self) -> Iterator[Account]:
        return iter(self._accounts.values())

    def find(self, key: str) -> Account | None:
        """Return the account of a key, valid or not."""
        return self._accounts.get(key)

    def admit(self, key: str) -> Account:
        """Return the account of a key that may call the API, or raise the `Refusal`."""
        account = self._accounts.get(key)
        if account is None or account.state == "revoked":
            raise Refusal(802)
        if account.state == "free":
            raise Refusal(801)
        if account.state == "expired":
            raise Refusal(436)
        return account

    def put(self, key: str, changes: dict[str, Any]) -> Account:
        """Add a key or alter one. Only the named properties change."""
        account = self._accounts.get(key) or Account(key)
        for name, value in changes.items():
            setattr(account, name, _checked(name, value))
        self._accounts[key] = account
        return account


def _checked(name: str, value: Any) -> Any:
    if name == "api_type" and value in API_TYPES:
        return value
    if name == "state" and value in STATES:
        return value
    if name in {"concurrency", "coins"} and isinstance(value, int) and value >= 0:
        return value
    if name in {"money", "currency"} and (value is None or isinstance(value, str)):
        return value
    if name == "machines" and isinstance(value, list):
        return tuple(str(item) for item in value)
    raise InvalidInputError(f"an account cannot have {name}={value!r}", name)
