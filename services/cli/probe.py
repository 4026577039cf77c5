"""Asks one service whether it is ready: `python -m services.cli.probe queue [HOST:PORT]`.

For health checks of containers and servers: exit code 0 is ready, 1 is not, 2 is no such service.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from services.cli.addresses import Addresses
from services.cli.service_table import NAMES, Service, pick

USAGE = f"usage: python -m services.cli.probe {'|'.join(NAMES)} [HOST:PORT]"
READY, NOT_READY, WRONG_USE = 0, 1, 2


def main(arguments: Sequence[str]) -> int:
    """Probe the service; without an address, where it listens by default on this machine."""
    name, address = (*arguments, "", "")[:2]
    services = pick(name)
    if not services or len(arguments) > 2:
        print(USAGE, file=sys.stderr)
        return WRONG_USE
    service = services[0]
    address = address or Addresses().of(service.health)
    return asyncio.run(_probe(service, address))


async def _probe(service: Service, address: str) -> int:
    return READY if await service.is_healthy(address) else NOT_READY


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
