"""How a service process starts and ends: event loop, signals, logs, traces, start-up errors."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping

from services.runtime.collector import spare_the_collector
from services.runtime.errors import SettingsError
from services.runtime.listen import INSECURE_BIND, insecure_bind_allowed
from services.runtime.log import get_log, set_up_logging
from services.runtime.settings import Env
from services.runtime.tracing import set_up_tracing

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
EXIT_FAILED = 1
EXIT_SETTINGS = 2

Main = Callable[[Mapping[str, str], asyncio.Event], Awaitable[None]]


def serve(service: str, main: Main, env: Mapping[str, str]) -> None:
    """Run `main(env, stop)` until it returns; SIGTERM or SIGINT set `stop`. Ends the process.

    `main` drains and returns once `stop` is set; a second signal cancels it. A SettingsError is
    one line on stderr and exit code 2; any other error is logged and exit code 1.
    """
    sys.exit(run(service, main, env))


def run(service: str, main: Main, env: Mapping[str, str]) -> int:
    """As `serve`, but return the exit code."""
    try:
        _run(service, main, env)
    except SystemExit:
        raise
    except BaseException as error:
        return _exit_code(service, error)
    return 0


def _run(service: str, main: Main, env: Mapping[str, str]) -> None:
    level, insecure = _read(env)
    set_up_logging(service, level)
    flush = set_up_tracing(service, env)
    insecure_bind_allowed.set(insecure)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_until_stopped(main, env))
    finally:
        flush()


def _exit_code(service: str, error: BaseException) -> int:
    causes = _leaves(error)
    settings = [cause for cause in causes if isinstance(cause, SettingsError)]
    for problem in settings:
        print(f"etapa {service}: {problem}", file=sys.stderr)
    if settings:
        return EXIT_SETTINGS
    for cause in causes:
        get_log(__name__).error("service_failed", exc_info=cause)
    return EXIT_FAILED


def _leaves(error: BaseException) -> list[BaseException]:
    # A TaskGroup wraps what its tasks raise, however deep.
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)]


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None  # uvloop has no build for it
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _until_stopped(main: Main, env: Mapping[str, str]) -> None:
    stop = asyncio.Event()
    spare_the_collector()
    task = asyncio.ensure_future(main(env, stop))
    log = get_log(__name__)
    loop = asyncio.get_running_loop()

    def on_signal(name: str) -> None:
        if stop.is_set():
            task.cancel()
            return
        log.info("stop_requested", signal=name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number.name)
    log.info("service_started")
    await task
    log.info("service_stopped")


def _read(env: Mapping[str, str]) -> tuple[str, bool]:
    reading = Env(env)
    level = reading.text("ETAPA_LOG_LEVEL", "INFO").upper()
    if level not in LEVELS:
        reading.problems.append(f"ETAPA_LOG_LEVEL={level!r} is not one of {', '.join(LEVELS)}")
    insecure = reading.flag(INSECURE_BIND)
    reading.finish()
    return level, insecure
