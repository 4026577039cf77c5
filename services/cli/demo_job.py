"""The jobs of the demo: what is run on which media, one after the other, and how each must end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from rich.text import Text

from etapa.queue.v1 import job_pb2
from etapa_client import EtapaClient
from etapa_client.errors import TooManyActiveJobsError
from etapa_client.words import Words, size
from services.cli.demo_check import OutputFile, check_completed, check_out_of_memory
from services.cli.demo_output import dimensions, fetch_outputs
from services.cli.errors import CliError
from services.cli.follow import Display, follow_to_end, wait_final
from services.cli.layout import BAD, BOLD, GOOD
from services.cli.session import Session
from services.cli.story import Story, read_whole_story
from services.cli.timeline import LEGEND
from services.cli.trail_view import ending, headline

USER = "demo"
JOB_TIMEOUT_S = 120.0
_FAULT_TIMEOUT = aiohttp.ClientTimeout(total=10)
_OUTPUT = Words("Arquivo: {path}", "File: {path}")
_MEASURES = Words(
    "{size}, {width}×{height} pixels (a entrada tem {before})",
    "{size}, {width}×{height} pixels (its input has {before})",
)
_WRONG = Words("não é como devia ser: {problem}", "is not as it should be: {problem}")
_REFUSED = Words(
    "Um segundo pedido do mesmo usuário, enquanto este roda, é recusado: {message}",
    "A second request of the same user, while this one runs, is refused: {message}",
)
_LATE = "it did not end within {seconds:g} s"


class FaultError(CliError):
    """The emulator does not take the fault that the demo orders."""


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """One job of the demo. `main` names the media that its output is measured against."""

    title: Words
    tool: str
    media: Mapping[str, str]
    main: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    must_grow: bool = False
    must_fail: bool = False


@dataclass(frozen=True, slots=True)
class PlayedJob:
    """What became of one job; without problems it ended as planned."""

    planned: PlannedJob
    story: Story
    problems: tuple[str, ...]

    @property
    def job_id(self) -> str:
        """Return the job's id."""
        return self.story.trail.job.job_id


PLAN = (
    PlannedJob(
        Words("Upscaler numa foto", "Upscaler on a photo"),
        "upscaler",
        {"image": "photo"},
        "photo",
        {"category": "pessoas_perto", "resolution": 2048},
        must_grow=True,
    ),
    PlannedJob(
        Words("Pose Changer: a pessoa na pose da outra foto", "Pose Changer on two photos"),
        "pose_changer",
        {"person": "photo", "reference": "pose"},
        "photo",
    ),
    PlannedJob(
        Words("Veste AI: a pessoa com a roupa da outra foto", "Veste AI on two photos"),
        "veste_ai",
        {"person": "photo", "clothing": "clothing"},
        "photo",
    ),
    PlannedJob(
        Words("Video Upscaler num vídeo de 2 s", "Video Upscaler on a video of 2 s"),
        "video_upscaler",
        {"video": "video"},
        "video",
        must_grow=True,
    ),
    PlannedJob(
        Words(
            "Upscaler numa foto pesada demais: a GPU do provedor fica sem memória",
            "Upscaler on a photo too heavy: the provider's GPU runs out of memory",
        ),
        "upscaler",
        {"image": "heavy"},
        "heavy",
        {"category": "pessoas_perto", "resolution": 2048},
        must_fail=True,
    ),
)


async def order_fault(admin_address: str, file_name: str) -> None:
    """Let the provider run out of GPU memory once, on the file of this name."""
    fault = {"action": "fail", "classes": ["gpu_oom"], "file": Path(file_name).stem, "count": 1}
    url = f"http://{admin_address}/admin/faults"
    try:
        async with (
            aiohttp.ClientSession(timeout=_FAULT_TIMEOUT) as http,
            http.post(url, json=fault) as reply,
        ):
            if reply.status != 201:
                raise FaultError(f"{url} answered {reply.status}: {await reply.text()}")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise FaultError(f"{url} does not answer: {error}") from error


class Player:
    """Runs planned jobs and prints each one's trail as it happens."""

    def __init__(
        self, session: Session, client: EtapaClient, media: Mapping[str, Path], outputs: Path
    ) -> None:
        self._session = session
        self._client = client
        self._media = media
        self._outputs = outputs

    async def play(self, planned: PlannedJob, *, show_limit: bool = False) -> PlayedJob:
        """Run one job to its end, print what it made, and judge how it ended."""
        session = self._session
        session.line()
        session.line(Text(f"━━ {session.say(planned.title)}", style=BOLD))
        job = await self._submit(planned)
        session.line(headline(job, session.language).append(f"   {session.say(LEGEND)}", "dim"))
        problems: list[str] = []
        if show_limit:
            problems += await self._show_limit(planned)
        try:
            async with asyncio.timeout(JOB_TIMEOUT_S):
                await follow_to_end(self._client, job.job_id, Display(session))
        except TimeoutError:
            problems.append(_LATE.format(seconds=JOB_TIMEOUT_S))
        story = await read_whole_story(self._client, job.job_id)
        session.lines(ending(story, session.language))
        problems += await self._judge(planned, story)
        for problem in problems:
            said = session.say(_WRONG, problem=problem)
            session.line(Text(f"✖ {planned.tool} {said}", style=BAD))
        return PlayedJob(planned, story, tuple(problems))

    async def _submit(self, planned: PlannedJob) -> job_pb2.Job:
        """Run the tool; a job that an earlier demo left open is waited for first."""
        async with asyncio.timeout(JOB_TIMEOUT_S):
            while True:
                try:
                    return await self._run(planned)
                except TooManyActiveJobsError as error:
                    for active in error.active_job_ids:
                        await wait_final(self._client, active)
                    if not error.active_job_ids:
                        raise

    async def _run(self, planned: PlannedJob) -> job_pb2.Job:
        sources = {name: self._media[file] for name, file in planned.media.items()}
        return await self._client.tools.run(planned.tool, planned.inputs, sources, USER)

    async def _show_limit(self, planned: PlannedJob) -> list[str]:
        session = self._session
        try:
            job = await self._run(planned)
        except TooManyActiveJobsError as error:
            text = session.say(_REFUSED, message=error.message)
            session.line(Text(f"  {text}", style="dim"))
            return []
        return [f"a second job of the same user was taken: {job.job_id}"]

    async def _judge(self, planned: PlannedJob, story: Story) -> list[str]:
        if planned.must_fail:
            return check_out_of_memory(story)
        before = await asyncio.to_thread(dimensions, self._media[planned.main])
        try:
            files = await fetch_outputs(story, self._outputs)
        except CliError as error:
            return [str(error)]
        self._print_files(files, before)
        return check_completed(story, files, before, must_grow=planned.must_grow)

    def _print_files(self, files: list[OutputFile], before: tuple[int, int]) -> None:
        session = self._session
        for file in files:
            facts = {
                "size": size(file.bytes, session.language),
                "width": file.width,
                "height": file.height,
                "before": f"{before[0]}×{before[1]}",
            }
            line = Text(f"  {session.say(_OUTPUT, path=file.path)}  ", style=GOOD)
            session.line(line.append(session.say(_MEASURES, **facts), "default"))
