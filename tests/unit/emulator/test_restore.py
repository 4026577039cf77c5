"""What the journal says of a start is enough to rebuild its task."""

from __future__ import annotations

import asyncio
import dataclasses
import json

from services.emulator.faults import FaultSpec
from services.emulator.intake import find_any_app
from services.emulator.node_info import NodeValue
from services.emulator.restore import task_from
from services.emulator.task import Task
from tests.support.runninghub_http import UPSCALER


def test_a_task_is_rebuilt_as_it_was_accepted() -> None:
    task = Task(
        task_id="7",
        key="key",
        generation="v2",
        kind="webapp",
        app=find_any_app("webapp", UPSCALER),
        values=(NodeValue("1", "image", "cat.jpg"),),
        webhook_url="http://127.0.0.1:1/",
        instance_type="plus",
        is_personal=True,
        client_id="c",
        run_s=1.5,
        queue_s=2.5,
        accepted_at=3.5,
        faults=(FaultSpec(action="fail", classes=("gpu_oom",)),),
        prompt_tips='{"result": true}',
    )
    rebuilt = task_from(json.loads(json.dumps(task.facts())))
    for field in dataclasses.fields(Task):
        known, again = getattr(task, field.name), getattr(rebuilt, field.name)
        if not isinstance(known, asyncio.Event):
            assert again == known, field.name
