"""Puts the emulated provider together: one object that holds all its parts."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import urlencode

from services.emulator.accounts import AccountBook
from services.emulator.crew import Crew
from services.emulator.faults import FaultBook
from services.emulator.inputs import InputReader
from services.emulator.intake import Intake
from services.emulator.journal import FILE_NAME, Journal
from services.emulator.media import MediaStore
from services.emulator.pace import Pace
from services.emulator.runner import Runner
from services.emulator.settings import Settings, default_accounts
from services.emulator.task import Task
from services.emulator.task_book import TaskBook
from services.emulator.webhooks import Webhooks


@dataclass(slots=True)
class Provider:
    """The parts of one emulated RunningHub. `base_url` is known once the port is bound."""

    settings: Settings
    base_url: str = ""
    pace: Pace = field(init=False)
    journal: Journal = field(init=False)
    accounts: AccountBook = field(init=False)
    faults: FaultBook = field(init=False)
    media: MediaStore = field(init=False)
    tasks: TaskBook = field(init=False)
    crew: Crew = field(init=False)
    inputs: InputReader = field(init=False)
    webhooks: Webhooks = field(init=False)
    runner: Runner = field(init=False)
    intake: Intake = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.base_url = settings.public_url
        self.pace = Pace(settings.time_scale)
        self.journal = Journal(settings.data / FILE_NAME)
        self.accounts = AccountBook(settings.accounts or default_accounts())
        self.faults = FaultBook()
        self.media = MediaStore(settings, self.pace, lambda: self.base_url)
        self.tasks = TaskBook(self.pace, settings.task_life_s)
        self.crew = Crew()
        self.inputs = InputReader(settings, self.media, self.journal)
        self.webhooks = Webhooks(settings, self.pace, self.journal, self.crew)
        self.runner = Runner(
            settings=settings,
            pace=self.pace,
            journal=self.journal,
            accounts=self.accounts,
            media=self.media,
            inputs=self.inputs,
            webhooks=self.webhooks,
            crew=self.crew,
        )
        self.intake = Intake(
            settings=settings,
            journal=self.journal,
            accounts=self.accounts,
            faults=self.faults,
            media=self.media,
            tasks=self.tasks,
            runner=self.runner,
        )

    def net_wss_url(self, task: Task) -> str:
        """Return the address of a task's progress frames; it holds a credential, as theirs does."""
        query = urlencode(
            {
                "c_host": "10.0.0.1",
                "c_port": "80",
                "clientId": task.client_id,
                "workflowId": task.app.app_id,
                "Rh-Comfy-Auth": progress_credential(task),
            }
        )
        return f"{self.base_url.replace('http', 'ws', 1)}/ws/c_instance?{query}"

    async def close(self) -> None:
        """Stop everything in the order of dependence."""
        await self.crew.close()
        await self.webhooks.close()
        await self.inputs.close()
        self.media.close()
        self.journal.close()


def progress_credential(task: Task) -> str:
    """Return the credential inside a task's progress address."""
    return base64.b64encode(f"{task.client_id[::-1]}:{task.task_id}".encode()).decode()
