"""Names of databases that are filled once and kept: a changed schema makes another name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import services
from bench.server import BenchServer


def template_name(kind: str) -> str:
    """Return the name under which a filled database is kept with the schemas as they are now."""
    digest = hashlib.sha256()
    for path in sorted(Path(services.__path__[0]).glob("*/migrations/*.sql")):
        digest.update(path.read_bytes())
    return f"{kind}_{digest.hexdigest()[:12]}"


async def find_template(server: BenchServer, kind: str) -> tuple[str, bool]:
    """Return a template's name and whether it is there; drop those of older schemas."""
    name = template_name(kind)
    for other in await server.databases(f"{kind}_"):
        if other != name:
            await server.drop(other)
    return name, await server.has(name)
