"""`etapa demo`: the whole of Etapa with the emulator, on real media, with one job that fails.

What `make demo` runs. It keeps its own folder and its own embedded database beneath ETAPA_HOME,
so that it never meets the accounts, the money or the data of an Etapa in earnest.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.text import Text

from etapa_client import EtapaClient, EtapaError
from etapa_client.words import Words
from services.cli.demo_job import PLAN, USER, PlannedJob, PlayedJob, Player, order_fault
from services.cli.demo_media import write_media
from services.cli.demo_sql import statement_for, story_rows
from services.cli.ended import EXIT_INTERRUPTED
from services.cli.language import choose_language
from services.cli.layout import BAD, BOLD, DIM, GOOD
from services.cli.session import Lang, Places, ServiceError, Session, explain
from services.cli.stack import Stack
from services.cli.stack_settings import StackSettings, home_folder
from services.cli.surroundings import surroundings
from services.cli.up import show

_READY_TIMEOUT_S = 90.0
_CREDITS = 1000
_ETAPA = ".venv/bin/etapa"
# What would lead the demo to real accounts, real money or somebody's database.
_IN_EARNEST = (
    "ETAPA_DATABASE_URL",
    "ETAPA_PUBLIC_URL",
    "ETAPA_QUEUE_ACCOUNTS",
    "ETAPA_WEBHOOK_PUBLIC_URL",
    "RUNNINGHUB_API_KEY",
    "RUNNINGHUB_BASE_URL",
)
_QUICK = {"ETAPA_EMULATOR_TIME_SCALE": "0.05"}  # a provider second lasts 50 ms

_STARTING = Words("Iniciando a Etapa inteira em {home} ...", "Starting all of Etapa in {home} ...")
_IGNORED = Words(
    "A demo não usa {names}: ela tem banco e emulador próprios.",
    "The demo does not use {names}: it has a database and an emulator of its own.",
)
_GRANTED = Words(
    "{amount} créditos para {user!r}: {available} disponíveis",
    "{amount} credits for {user!r}: {available} available",
)
_SQL = Words("━━ O SQL do plano ({what})", "━━ The plan's SQL ({what})")
_COMPLETED = Words("job concluído", "completed job")
_FAILED = Words("job que falhou", "failed job")
_NO_ROW = Words("o SQL não acha o job {job}", "the SQL does not find the job {job}")
_ALL_WELL = Words(
    "✔ {count} jobs terminaram como deviam, em {seconds} s",
    "✔ {count} jobs ended as they should, in {seconds} s",
)
_NOT_WELL = Words(
    "✖ {bad} de {count} jobs não terminaram como deviam; registros em {logs}",
    "✖ {bad} of {count} jobs did not end as they should; logs in {logs}",
)
_GO_ON = Words("━━ Para continuar", "━━ Where to go on")
_AGAIN = Words(
    "make demo  (sem EXIT=1, para continuar servindo o console)",
    "make demo  (without EXIT=1, to keep serving the console)",
)
_STOP = Words("Ctrl-C encerra tudo.", "Ctrl-C stops everything.")
_STOPPING = Words("Encerrando ...", "Stopping ...")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    context: typer.Context,
    exit_after: Annotated[
        bool, typer.Option("--exit", help="end after the jobs; 1 if one did not end as it should")
    ] = False,
    lang: Lang = "",
) -> None:
    """Start everything with the emulator, run real media through all tools, show the trails."""
    env = surroundings(context).env
    settings = demo_settings(env)
    session = Session(demo_places(settings), choose_language(lang, env))
    ignored = [name for name in _IN_EARNEST if env.get(name)]
    if ignored:
        session.line(session.say(_IGNORED, names=", ".join(ignored)))
    session.line(session.say(_STARTING, home=settings.home))
    code = asyncio.run(Demo(session, settings).run(exit_after=exit_after))
    if code:
        raise typer.Exit(code)


def demo_settings(env: Mapping[str, str]) -> StackSettings:
    """Return the stack of the demo: its own folder, embedded database, emulator, quick provider."""
    own = {name: value for name, value in env.items() if name not in _IN_EARNEST}
    own["ETAPA_HOME"] = str(home_folder(env) / "demo")
    return StackSettings.from_env({**_QUICK, **own})


def demo_places(settings: StackSettings) -> Places:
    """Return where the demo's own services are, whatever ETAPA_*_ADDRESS says."""
    listen = {name: value for name, value in settings.env.items() if not name.endswith("_ADDRESS")}
    return Places.from_env(listen)


class Demo:
    """One run of the demo."""

    def __init__(self, session: Session, settings: StackSettings) -> None:
        self._session = session
        self._settings = settings
        self._stack = Stack(settings, show)
        self._began = time.monotonic()
        self._is_up = False

    async def run(self, *, exit_after: bool) -> int:
        """Play all jobs and, unless told otherwise, serve until a signal; return the exit code."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signal_ in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(signal_, ended.set)
        playing = asyncio.create_task(
            self._start_and_play(is_ending=exit_after), name="play the demo"
        )
        ending = asyncio.create_task(ended.wait(), name="wait for a signal")
        try:
            await asyncio.wait({playing, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not playing.done():
                return EXIT_INTERRUPTED
            is_well = playing.result()
            if not exit_after:
                self._session.line(Text(self._session.say(_STOP), style=BOLD))
                await ending
            return 0 if is_well else 1
        finally:
            for task in (playing, ending):
                task.cancel()
            await asyncio.gather(playing, ending, return_exceptions=True)
            if self._is_up:
                self._session.line(self._session.say(_STOPPING))
            await self._stack.stop()

    async def _start_and_play(self, *, is_ending: bool) -> bool:
        await self._stack.start()
        self._is_up = True
        media = await asyncio.to_thread(write_media, self._settings.home / "media")
        await self._stack.wait_ready(_READY_TIMEOUT_S)
        try:
            async with self._session.client() as client:
                await self._grant(client)
                played = await self._play(client, media)
        except EtapaError as error:
            raise ServiceError(explain(self._session, error)) from error
        problems = [problem for each in played for problem in each.problems]
        problems += await self._show_sql(played)
        self._tell_result(played, problems)
        self._tell_where_to_go_on(played, is_ending=is_ending)
        return not problems

    async def _grant(self, client: EtapaClient) -> None:
        done = await client.credits.grant_credits(
            request_id=f"demo-{uuid4()}", user_id=USER, amount=_CREDITS
        )
        facts = {"amount": _CREDITS, "user": USER, "available": done.available}
        self._session.line(self._session.say(_GRANTED, **facts))

    async def _play(self, client: EtapaClient, media: Mapping[str, Path]) -> list[PlayedJob]:
        player = Player(self._session, client, media, self._settings.home / "outputs")
        played = []
        for number, planned in enumerate(PLAN):
            if planned.must_fail:
                await self._order_fault(planned, media)
            played.append(await player.play(planned, show_limit=number == 0))
        return played

    async def _order_fault(self, planned: PlannedJob, media: Mapping[str, Path]) -> None:
        file_name = media[planned.main].name
        await order_fault(self._stack.address("emulator_admin"), file_name)

    async def _show_sql(self, played: Sequence[PlayedJob]) -> list[str]:
        """Run the plan's SQL on a completed and a failed job of the same view."""
        session, problems = self._session, []
        done = next(each for each in played if each.planned.tool == "upscaler")
        failed = next(each for each in played if each.planned.must_fail)
        for what, each in ((_COMPLETED, done), (_FAILED, failed)):
            session.line()
            session.line(Text(session.say(_SQL, what=session.say(what)), style=BOLD))
            session.line(Text(f"  {statement_for(each.job_id)}", style=DIM))
            lines, found = await story_rows(self._stack.database_url, each.job_id)
            session.lines(lines)
            if found.get("status") != each.story.status:
                problems.append(session.say(_NO_ROW, job=each.job_id))
                session.line(Text(f"✖ {problems[-1]}", style=BAD))
        return problems

    def _tell_result(self, played: Sequence[PlayedJob], problems: Sequence[str]) -> None:
        session = self._session
        session.line()
        if not problems:
            took = f"{time.monotonic() - self._began:.0f}"
            text = session.say(_ALL_WELL, count=len(played), seconds=took)
            session.line(Text(text, style=f"{BOLD} {GOOD}"))
            return
        bad = sum(1 for each in played if each.problems) or len(played)
        text = session.say(_NOT_WELL, bad=bad, count=len(played), logs=self._settings.logs)
        session.line(Text(text, style=f"{BOLD} {BAD}"))

    def _tell_where_to_go_on(self, played: Sequence[PlayedJob], *, is_ending: bool) -> None:
        session, home = self._session, self._settings.home
        failed = next(each for each in played if each.planned.must_fail).job_id
        # The embedded database is started for psql when nothing else runs.
        sql = f'ETAPA_HOME={home} {_ETAPA} psql -c "{statement_for(failed)}"'
        session.line(Text(session.say(_GO_ON), style=BOLD))
        if is_ending:
            session.lines([f"  {home / 'outputs'}", f"  {sql}", f"  {session.say(_AGAIN)}"])
            return
        console = f"http://{self._stack.address('console')}"
        pages = [f"  Console  {console}", f"           {console}/jobs/{failed}"]
        commands = (
            f"job {failed}",
            f"retry {failed} --wait",
            f"find {played[0].story.trail.job.task_id}",
            "jobs --status failed",
            f"run upscaler --image {home}/media/foto.jpg --wait",
        )
        session.lines([*pages, *(f"  {_ETAPA} {command}" for command in commands), f"  {sql}"])
