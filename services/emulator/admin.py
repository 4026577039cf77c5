"""The admin API on its own port: faults, accounts, tasks, the judge's log.

It exists for tests and demos. Nothing here is reachable on the provider's port.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from services.emulator.faults import FaultSpec, Rule
from services.emulator.provider import Provider
from services.runtime.errors import EtapaError, InvalidInputError, NotFoundError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOG_PAGE = 5000
LONGEST_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Admin:
    """Handlers of the admin API."""

    provider: Provider

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application(middlewares=[_errors])
        app.router.add_get("/admin/health", self.health)
        app.router.add_get("/admin/log", self.log)
        app.router.add_get("/admin/faults", self.faults)
        app.router.add_post("/admin/faults", self.add_faults)
        app.router.add_delete("/admin/faults", self.remove_faults)
        app.router.add_delete("/admin/faults/{id}", self.remove_faults)
        app.router.add_get("/admin/accounts", self.accounts)
        app.router.add_put("/admin/accounts/{key}", self.put_account)
        app.router.add_get("/admin/tasks", self.tasks)
        app.router.add_get("/admin/tasks/{id}", self.task)
        app.router.add_post("/admin/tasks/{id}/expire-outputs", self.expire_outputs)
        app.router.add_put("/admin/time-scale", self.put_time_scale)
        return app

    async def health(self, _request: web.Request) -> web.Response:
        """Say that the emulator is up and where the provider's surface is."""
        return web.json_response({"status": "ok", "base_url": self.provider.base_url})

    async def log(self, request: web.Request) -> web.Response:
        """Return entries after `after`; with `wait_s`, wait until there is one."""
        after = _whole(request, "after", 0)
        wait_s = min(_seconds(request, "wait_s"), LONGEST_WAIT_S)
        journal = self.provider.journal
        if wait_s > 0:
            await journal.wait(after, wait_s)
        entries = journal.after(after, _whole(request, "limit", LOG_PAGE))
        text = json.dumps({"entries": entries, "last": journal.last}, ensure_ascii=False)
        return web.Response(text=text, content_type="application/json")

    async def faults(self, _request: web.Request) -> web.Response:
        """List the rules in force with their counters."""
        return web.json_response([_rule(rule) for rule in self.provider.faults.rules])

    async def add_faults(self, request: web.Request) -> web.Response:
        """Put one rule or a list of rules in force."""
        raw = await request.read()
        kind: Any = list[FaultSpec] if raw.lstrip().startswith(b"[") else FaultSpec
        try:
            decoded = msgspec.json.decode(raw, type=kind)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise InvalidInputError(f"not a fault: {error}") from None
        specs = decoded if isinstance(decoded, list) else [decoded]
        rules = [self.provider.faults.add(spec) for spec in specs]
        for rule in rules:
            self.provider.journal.record("fault_added", rule=rule.rule_id, fault=rule.spec.facts())
        return web.json_response([_rule(rule) for rule in rules], status=201)

    async def remove_faults(self, request: web.Request) -> web.Response:
        """Take one rule, or all, out of force."""
        rule_id = request.match_info.get("id")
        removed = self.provider.faults.remove(rule_id)
        if rule_id is not None and not removed:
            raise NotFoundError(f"there is no fault {rule_id}", {"fault": rule_id})
        self.provider.journal.record("faults_removed", rule=rule_id, removed=removed)
        return web.json_response({"removed": removed})

    async def accounts(self, _request: web.Request) -> web.Response:
        """List the keys."""
        return web.json_response([account.facts() for account in self.provider.accounts])

    async def put_account(self, request: web.Request) -> web.Response:
        """Add a key or alter it: concurrency, coins, state, api_type, machines, money."""
        key = request.match_info["key"]
        account = self.provider.accounts.put(key, await _object(request))
        self.provider.journal.record("account_put", **account.facts())
        self.provider.runner.move_up(key)
        return web.json_response(account.facts())

    async def tasks(self, _request: web.Request) -> web.Response:
        """List all tasks, oldest first."""
        return web.json_response([task.facts() for task in self.provider.tasks])

    async def task(self, request: web.Request) -> web.Response:
        """Return one task."""
        return web.json_response(self._find(request).facts())

    async def expire_outputs(self, request: web.Request) -> web.Response:
        """Let a task's output links answer 410, or `status`, from now on."""
        task = self._find(request)
        for output in task.outputs:
            self.provider.media.expire_output(output, _whole(request, "status", 410))
        return web.json_response({"expired": len(task.outputs)})

    async def put_time_scale(self, request: web.Request) -> web.Response:
        """Change how long a provider second lasts; spans already under way keep their end."""
        scale = (await _object(request)).get("time_scale")
        if not isinstance(scale, int | float) or not scale > 0:
            raise InvalidInputError("time_scale must be a number above 0", "time_scale")
        self.provider.pace.scale = float(scale)
        return web.json_response({"time_scale": self.provider.pace.scale})

    def _find(self, request: web.Request) -> Any:
        task = self.provider.tasks.get(request.match_info["id"])
        if task is None:
            task_id = request.match_info["id"]
            raise NotFoundError(f"there is no task {task_id}", {"task_id": task_id})
        return task


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.rule_id,
        "matched": rule.matched,
        "fired": rule.fired,
        **rule.spec.facts(),
    }


def _whole(request: web.Request, name: str, default: int) -> int:
    raw = request.query.get(name, str(default))
    if not (raw.isascii() and raw.isdigit()):
        raise InvalidInputError(f"{name}={raw!r} is not a whole number", name)
    return int(raw)


def _seconds(request: web.Request, name: str) -> float:
    raw = request.query.get(name, "0")
    try:
        value = float(raw)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise InvalidInputError(f"{name}={raw!r} is not a number of seconds", name)
    return value


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise InvalidInputError("the body is not a JSON object")
    return body


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except InvalidInputError as error:
        return _refused(error, 400)
    except NotFoundError as error:
        return _refused(error, 404)


def _refused(error: EtapaError, status: int) -> web.Response:
    return web.json_response({"reason": error.reason, "message": error.message}, status=status)
