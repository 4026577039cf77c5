"""Who takes part: the contestants that are there on this machine, and how each is started."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from bench.contestant import Spec
from bench.places import ROOT

PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
PEERS = ROOT / "bench" / "peers"
PEER_NAMES = ("pgqueuer", "procrastinate", "dbos", "celery", "graphile_worker")
CEILING = Spec("ceiling", [sys.executable, "-m", "bench.ceiling"])
STORAGE = Spec("storage", [sys.executable, "-m", "bench.storage_probe"])
# Front to back: who is measured first in each round.
NAMES = ("etapa", "ceiling", *PEER_NAMES)


def lineup(wanted: Sequence[str] = ()) -> dict[str, Spec]:
    """Return the wanted contestants that are there (all, by default), by name."""
    found = {
        "etapa": Spec("etapa", [sys.executable, "-m", "bench.contestants.etapa"]),
        "ceiling": CEILING,
    }
    if PEERS_PYTHON.exists():
        for name in PEER_NAMES:
            if (PEERS / f"{name}.py").exists():
                found[name] = Spec(name, [str(PEERS_PYTHON), "-m", f"bench.peers.{name}"])
    unknown = set(wanted) - set(NAMES)
    if unknown:
        raise SystemExit(f"no such contestant: {', '.join(sorted(unknown))}; there are {NAMES}")
    return {name: found[name] for name in NAMES if name in found and (not wanted or name in wanted)}


def etapa_spec(
    *, replicas: dict[str, int] | None = None, env: dict[str, str] | None = None
) -> Spec:
    """Return Etapa in another shape than the usual one."""
    return Spec(
        "etapa",
        [sys.executable, "-m", "bench.contestants.etapa"],
        {"BENCH_REPLICAS": json.dumps(replicas), "BENCH_ETAPA_ENV": json.dumps(env or {})},
    )
