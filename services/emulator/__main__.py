"""Starts the emulator: `python -m services.emulator`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys

from services.emulator.server import start_server
from services.emulator.settings import Settings
from services.runtime.errors import SettingsError
from services.runtime.log import set_up_logging


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await start_server(settings)
    try:
        await stop.wait()
    finally:
        await server.close()


def main() -> int:
    """Run the emulator; return the exit code."""
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    set_up_logging("emulator", settings.log_level)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(serve(settings))
        except OSError as error:
            hint = "ETAPA_EMULATOR_LISTEN and ETAPA_EMULATOR_ADMIN_LISTEN choose the addresses"
            sys.stderr.write(f"cannot start: {error}; {hint}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
