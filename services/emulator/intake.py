"""Accepts or refuses starts: the checks in the provider's order, then one new task."""

from __future__ import annotations

import json
import secrets
import time
import zlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from services.emulator.accounts import AccountBook
from services.emulator.catalog import OUTPUT_NODE, WEBAPPS, WORKFLOWS, App
from services.emulator.codes import Refusal
from services.emulator.faults import FaultBook, Subject
from services.emulator.journal import Journal
from services.emulator.media import MediaStore
from services.emulator.node_info import NodeValue, check_nodes
from services.emulator.runner import Runner, run_seconds
from services.emulator.settings import Settings
from services.emulator.task import Task
from services.emulator.task_book import TaskBook

MACHINES = ("default", "plus", "ultra")


@dataclass(frozen=True, slots=True)
class Start:
    """A start as it came in. `kind` is `webapp` or `workflow`, `call` the journal's number."""

    call: int
    generation: str
    kind: str
    key: str
    target: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Intake:
    """Turns a `Start` into a running `Task`."""

    settings: Settings
    journal: Journal
    accounts: AccountBook
    faults: FaultBook
    media: MediaStore
    tasks: TaskBook
    runner: Runner

    def start(self, start: Start) -> Task:
        """Accept a start and set it running, or raise the provider's `Refusal`."""
        account = self.accounts.admit(start.key)
        app = find_app(start.kind, start.target)
        values = _values(app, start)
        instance_type = str(start.body.get("instanceType") or "default")
        if instance_type not in MACHINES:
            raise Refusal(301 if start.generation == "v1" else 1007)
        webhook_url = _webhook_url(start)
        is_personal = start.body.get("usePersonalQueue") in (True, "true")
        account.refuse_start(instance_type, is_personal)
        task = self._new_task(start, app, values, instance_type, webhook_url, is_personal)
        self.tasks.add(task)
        self.journal.record(
            "start_accepted", call=start.call, current=account.current + 1, **task.facts()
        )
        self.runner.accept(task)
        return task

    def subject(self, start: Start) -> Subject:
        """Return what fault rules are matched against for this start."""
        return Subject(
            "start",
            start.generation,
            start.key,
            start.target,
            str(start.body.get("instanceType") or "default"),
            tuple(self._file_names(start)),
        )

    def _new_task(
        self,
        start: Start,
        app: App,
        values: tuple[NodeValue, ...],
        instance_type: str,
        webhook_url: str,
        is_personal: bool,
    ) -> Task:
        task_id = self.tasks.new_id()
        faults = self.faults.decide_task(self.subject(start))
        dice = zlib.crc32(task_id.encode()) / 2**32
        actions = {item.action: item for item in faults}
        run_s = run_seconds(self.settings, app.work, dice)
        if (slow := actions.get("slow_run")) is not None:
            run_s = run_s * 10 if slow.seconds is None else slow.seconds
        early = "callback_early" in actions
        return Task(
            task_id=task_id,
            key=start.key,
            generation=start.generation,
            kind=start.kind,
            app=app,
            values=values,
            webhook_url=webhook_url,
            instance_type=instance_type,
            is_personal=is_personal,
            client_id=secrets.token_hex(16),
            run_s=0.0 if early else run_s,
            queue_s=0.0 if early else self.settings.queue_s,
            accepted_at=time.time(),
            faults=faults,
            prompt_tips=_prompt_tips("node_errors" in actions),
        )

    def _file_names(self, start: Start) -> list[str]:
        """All that a rule's `file` may match: the values and the names of the uploads."""
        raw = start.body.get("nodeInfoList")
        names: list[str] = []
        for item in raw if isinstance(raw, list) else []:
            value = str(item.get("fieldValue", "")) if isinstance(item, dict) else ""
            upload = self.media.find_upload(start.key, value)
            names += [value, *(upload.original if upload is not None else ())]
        return names


def find_app(kind: str, target: str) -> App:
    """Return a webapp or workflow, or raise the `Refusal` for one that cannot run."""
    if kind == "webapp":
        if (app := WEBAPPS.get(target)) is None:
            raise Refusal(901)
        return app
    if (app := WORKFLOWS.get(target)) is None:
        raise Refusal(380)
    if not app.is_saved:
        raise Refusal(810)
    return app


def find_any_app(kind: str, target: str) -> App:
    """Return the app of an accepted task."""
    return (WEBAPPS if kind == "webapp" else WORKFLOWS)[target]


def _values(app: App, start: Start) -> tuple[NodeValue, ...]:
    raw = start.body.get("nodeInfoList")
    if start.kind == "webapp" and raw is None:
        raise Refusal(301 if start.generation == "v1" else 1007)
    if start.kind == "workflow" and start.body.get("workflow"):
        # The graph given in the call replaces the saved one; overrides are then ignored.
        _check_graph(start.body["workflow"])
        return ()
    return check_nodes(app, raw or [])


def _check_graph(graph: Any) -> None:
    try:
        nodes = json.loads(graph) if isinstance(graph, str) else graph
    except json.JSONDecodeError:
        raise Refusal(433, "VALIDATE_PROMPT_FAILED: the workflow is not JSON") from None
    if not isinstance(nodes, dict) or not all(
        isinstance(node, dict) and "class_type" in node for node in nodes.values()
    ):
        raise Refusal(433, "VALIDATE_PROMPT_FAILED: a node has no class_type")


def _webhook_url(start: Start) -> str:
    url = str(start.body.get("webhookUrl") or "")
    parts = urlsplit(url)
    if url and (parts.scheme not in {"http", "https"} or not parts.netloc):
        raise Refusal(301 if start.generation == "v1" else 1007)
    return url


def _prompt_tips(with_errors: bool) -> str:
    """Return the JSON text about the graph's validation."""
    errors = {
        "14": {
            "errors": [
                {
                    "type": "value_not_in_list",
                    "message": "Value not in list",
                    "details": "sampler_name: 'eulerx'",
                }
            ],
            "dependent_outputs": [OUTPUT_NODE],
            "class_type": "KSampler",
        }
    }
    tips = {
        "result": True,
        "error": None,
        "outputs_to_execute": [OUTPUT_NODE],
        "node_errors": errors if with_errors else {},
    }
    return json.dumps(tips)
