"""`etapa up`: the whole stack in the foreground until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import Annotated

import typer

from services.cli.stack import Stack
from services.cli.stack_settings import StackSettings
from services.cli.supervisor import Change, State
from services.cli.surroundings import surroundings

_COLOURS = {State.READY: typer.colors.GREEN, State.DEAD: typer.colors.RED}
_PAGES = (("Console", "console"), ("Webhooks", "webhook"), ("Emulator", "emulator"))
Count = Annotated[int, typer.Option(min=1, max=16, help="how many processes of it")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(up)


def up(
    context: typer.Context, queue: Count = 1, tools: Count = 1, observability: Count = 1
) -> None:
    """Start everything and keep it running; whatever dies is started again."""
    replicas = {"queue": queue, "tools": tools, "observability": observability}
    settings = StackSettings.from_env(surroundings(context).env, replicas=replicas)
    asyncio.run(run(settings))


async def run(settings: StackSettings, ready_timeout_s: float = 60.0) -> None:
    """Run the stack until a signal asks for its end; everything is down when this returns."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_ in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(signal_, ended.set)
    stack = Stack(settings, show)
    try:
        starting = asyncio.create_task(_start(stack, ready_timeout_s))
        ending = asyncio.create_task(ended.wait())
        await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        else:
            starting.result()
            await ending
        _say("Stopping: draining the services, then the database ...")
    finally:
        await stack.stop()


def show(change: Change) -> None:
    """Print one change of the stack as one line."""
    state = typer.style(f"{change.state:<9}", fg=_COLOURS.get(change.state))
    _say(f"{change.name:<16}{state}{change.text}")


def _say(line: str) -> None:
    # The terminal may be gone (closed window, broken pipe); what runs must still be drained.
    with suppress(OSError):
        typer.echo(line)


async def _start(stack: Stack, ready_timeout_s: float) -> None:
    await stack.start()
    await stack.wait_ready(ready_timeout_s)
    _say("")
    for title, name in _PAGES:
        if name in stack.names:
            _say(f"{title:<10} http://{stack.address(name)}")
    _say(f"{'Logs':<10} {stack.settings.logs}")
    _say("Ctrl-C stops everything.")
