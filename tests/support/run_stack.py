"""Runs `etapa up` with stand-in services: `python -m tests.support.run_stack HOME`.

Prints what `etapa up` prints, after one line with the address of the stand-in.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from services.cli.addresses import Addresses, PortBlock
from services.cli.stack_settings import StackSettings
from services.cli.up import run
from tests.support.postgres import settings_in
from tests.support.stacks import own_env, stand_in


def main() -> None:
    home = Path(sys.argv[1])
    ports = PortBlock()
    addresses = Addresses.from_ports(ports)
    settings = StackSettings(
        home,
        settings_in(home / "postgres"),
        addresses,
        services=(stand_in("console"), stand_in("queue", 2)),
        env=own_env(),
    )
    print(addresses.console, flush=True)
    asyncio.run(run(settings))


if __name__ == "__main__":
    main()
