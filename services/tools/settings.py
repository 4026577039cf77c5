"""The settings of the tools service, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.runtime.net import Network, parse_networks
from services.runtime.settings import Env

_GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the service needs to start.

    `catalog` names the package that holds the tools. Peer addresses are whatever a gRPC channel
    dials, so that several replicas may be named.
    `max_uploads` at a time, `max_waiting_uploads` more in line; one that stands still for
    `upload_idle_s` loses its seat.
    `cut_grace_s`: how long a caller who left may come back before the job fails at `upload`.
    `time_scale` multiplies the tools' time limits here as it does at the queue.
    """

    listen: str
    catalog: str
    queue_address: str
    observability_address: str
    blobs: str
    temp_folder: Path
    fetch_allow: tuple[Network, ...]
    workers: int
    worker_memory_bytes: int
    max_uploads: int
    max_waiting_uploads: int
    upload_idle_s: float
    cut_grace_s: float
    time_scale: float
    announce_every_s: float
    drain_s: float

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read and check all settings. Raises one `SettingsError` that lists every problem."""
        read = Env(env)
        settings = cls(
            listen=read.address("ETAPA_TOOLS_LISTEN", "127.0.0.1:50052"),
            catalog=read.text("ETAPA_TOOLS_CATALOG", "services.tools.catalog"),
            queue_address=read.target("ETAPA_QUEUE_ADDRESS", "127.0.0.1:50051"),
            observability_address=read.target("ETAPA_OBSERVABILITY_ADDRESS", "127.0.0.1:50053"),
            blobs=read.home("ETAPA_BLOBS", "blobs"),
            temp_folder=Path(read.home("ETAPA_TOOLS_TEMP_FOLDER", "uploads")),
            fetch_allow=_networks(read, "ETAPA_TOOLS_FETCH_ALLOW"),
            workers=read.integer("ETAPA_TOOLS_WORKERS", 2, low=1, high=64),
            worker_memory_bytes=read.integer(
                "ETAPA_TOOLS_WORKER_MEMORY_BYTES", 2 * _GIB, low=_GIB // 4
            ),
            max_uploads=read.integer("ETAPA_TOOLS_MAX_UPLOADS", 64, low=1, high=10_000),
            max_waiting_uploads=read.integer(
                "ETAPA_TOOLS_MAX_WAITING_UPLOADS", 256, low=0, high=100_000
            ),
            upload_idle_s=read.number("ETAPA_TOOLS_UPLOAD_IDLE_S", 30.0, low=0.1, high=3600.0),
            cut_grace_s=read.number("ETAPA_TOOLS_CUT_GRACE_S", 5.0, low=0.0, high=60.0),
            time_scale=read.number("ETAPA_TIME_SCALE", 1.0, low=0.001, high=100),
            announce_every_s=read.number("ETAPA_TOOLS_ANNOUNCE_EVERY_S", 30.0, low=0.1),
            drain_s=read.number("ETAPA_TOOLS_DRAIN_S", 20.0, low=0.0),
        )
        read.finish()
        return settings


def _networks(read: Env, name: str) -> tuple[Network, ...]:
    try:
        return parse_networks(read.text(name))
    except ValueError as err:
        read.problems.append(f"{name}: {err}; give CIDRs, as in 127.0.0.0/8,::1/128")
        return ()
