"""Takes an earlier run of the emulator up again from its journal.

The provider does not forget its tasks when our machine restarts, so neither does the emulator:
uploads, ended tasks with their links and delivery records are known again, a callback that was
never tried is sent, and what was under way runs anew. Accounts start as the settings say, except
keys that only the admin API had added.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from services.emulator.faults import FaultSpec
from services.emulator.intake import find_any_app
from services.emulator.journal import Entry
from services.emulator.media import MediaStore
from services.emulator.node_info import NodeValue
from services.emulator.provider import Provider
from services.emulator.reasons import Reason
from services.emulator.stamp import make_stamp
from services.emulator.task import Output, Status, Task

_ACCOUNT_FIELDS = (
    "api_type",
    "concurrency",
    "coins",
    "money",
    "currency",
    "state",
    "machines",
)


def restore(provider: Provider) -> int:
    """Read the journal and go on from there; return how many tasks run anew."""
    callbacks: dict[str, list[Entry]] = defaultdict(list)
    silent = set()
    from_settings = {account.key for account in provider.accounts}
    for entry in provider.journal.after(0, provider.journal.last):
        event = entry["event"]
        if event == "callback_sent":
            callbacks[entry["task_id"]].append(entry)
        elif event == "callback_lost":
            silent.add(entry["task_id"])
        elif event == "account_put" and entry["key"] not in from_settings:
            provider.accounts.put(entry["key"], {name: entry[name] for name in _ACCOUNT_FIELDS})
        else:
            _replay(provider, entry)
    open_tasks = [task for task in provider.tasks if not task.is_final]
    for task in open_tasks:
        provider.runner.accept(task)
    for task in provider.tasks:
        _go_on_telling(provider, task, callbacks[task.task_id], task.task_id in silent)
    return len(open_tasks)


def _replay(provider: Provider, entry: Entry) -> None:
    event = entry["event"]
    if event == "upload":
        provider.media.know_upload(
            entry["key"],
            entry["name"],
            entry["original"],
            entry["sha256"],
            entry["bytes"],
            entry["wall_s"],
        )
    elif event == "start_accepted":
        provider.tasks.add(task_from(entry))
    elif event == "run_ended" and (task := provider.tasks.get(entry["task_id"])) is not None:
        _end(provider.media, task, entry)


def _go_on_telling(provider: Provider, task: Task, attempts: list[Entry], was_lost: bool) -> None:
    if not task.is_final or task.status is Status.CANCEL:
        return
    if attempts:
        provider.webhooks.know(task, attempts)
    elif not was_lost:
        provider.webhooks.send(task)


def task_from(entry: Entry) -> Task:
    """Rebuild a task as it was accepted."""
    faults = []
    for fault in entry["faults"]:
        spec = {**fault, "classes": tuple(fault.get("classes", ()))}
        faults.append(FaultSpec(**spec))
    return Task(
        task_id=entry["task_id"],
        key=entry["key"],
        generation=entry["generation"],
        kind=entry["kind"],
        app=find_any_app(entry["kind"], entry["app"]),
        values=tuple(NodeValue(*item) for item in entry["nodes"]),
        webhook_url=entry["webhook_url"],
        instance_type=entry["instance_type"],
        is_personal=entry["is_personal"],
        client_id=entry["client_id"],
        run_s=entry["run_s"],
        queue_s=entry["queue_s"],
        accepted_at=entry["accepted_at"],
        faults=tuple(faults),
        prompt_tips=entry.get("prompt_tips", ""),  # a journal of before 2026-11-24 has none
    )


def _end(media: MediaStore, task: Task, entry: Entry) -> None:
    """Bring a rebuilt task to the end that the journal tells of."""
    status, ended_at = Status(entry["status"]), float(entry["ended_at"])
    cost_s = float(entry["cost_s"])
    if entry["started_at"] is not None:
        task.start(float(entry["started_at"]))
    if status is Status.SUCCESS:
        outputs = tuple(output_from(media, task, item) for item in entry["outputs"])
        task.succeed(ended_at, outputs, int(entry["coins"]))
        for output in outputs:
            media.know_output(output)
    elif status is Status.FAILED:
        task.fail(ended_at, reason_from(entry["reason"]), cost_s)
    else:
        task.cancel(ended_at, int(entry["coins"]), cost_s)


def output_from(media: MediaStore, task: Task, facts: dict[str, Any]) -> Output:
    """Rebuild an output; its rendering lies where it lay."""
    path = media.render_path(facts["render"])
    extension = path.suffix.lstrip(".")
    stamp, _ = make_stamp(extension, 0, task.task_id)
    _, stamp_at = make_stamp(extension, facts["bytes"] - len(stamp), task.task_id)
    return Output(
        facts["token"],
        facts["name"],
        extension,
        facts["url"],
        path,
        stamp,
        stamp_at,
        facts["sha256"],
        facts["bytes"],
        facts["expires_at"],
    )


def reason_from(facts: dict[str, Any]) -> Reason:
    """Rebuild a reason from JSON, whose lists were tuples."""
    lists = {name: tuple(facts[name]) for name in ("traceback", "current_outputs")}
    return Reason(**{**facts, **lists})
