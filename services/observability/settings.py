"""Settings of observability, read once at start-up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.runtime.settings import Env

_DAY_S = 24 * 3600.0


@dataclass(frozen=True)
class Settings:
    """What `__main__` reads from the environment."""

    database_url: str = field(repr=False)
    listen: str = "127.0.0.1:50053"
    blobs: str = ".etapa/blobs"
    pool_size: int = 8
    partition_days: int = 7
    heartbeat_s: float = 15.0
    poll_s: float = 1.0
    feed_keep_s: float = 600.0
    # Twice as long as the queue remembers a callback, so that a late match still finds its bytes.
    keep_unmatched_s: float = 14 * _DAY_S
    max_watchers: int = 10_000
    grace_s: float = 5.0

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the settings; raise one error that lists every problem."""
        read = Env(env)
        prefix = "ETAPA_OBSERVABILITY_"
        settings = cls(
            database_url=read.required("ETAPA_DATABASE_URL", "postgresql://user@host/database"),
            listen=read.address(prefix + "LISTEN", cls.listen),
            blobs=read.home("ETAPA_BLOBS", "blobs"),
            pool_size=read.integer(prefix + "POOL_SIZE", cls.pool_size, low=2, high=100),
            partition_days=read.integer(
                prefix + "PARTITION_DAYS", cls.partition_days, low=1, high=366
            ),
            heartbeat_s=read.number(prefix + "HEARTBEAT_S", cls.heartbeat_s, low=0.05, high=3600),
            poll_s=read.number(prefix + "POLL_S", cls.poll_s, low=0.01, high=60),
            feed_keep_s=read.number(prefix + "FEED_KEEP_S", cls.feed_keep_s, low=1, high=86_400),
            keep_unmatched_s=read.number(
                prefix + "KEEP_UNMATCHED_S", cls.keep_unmatched_s, low=60, high=3660 * _DAY_S
            ),
            max_watchers=read.integer(prefix + "MAX_WATCHERS", cls.max_watchers, low=1),
            grace_s=read.number(prefix + "GRACE_S", cls.grace_s, low=0, high=300),
        )
        read.finish()
        return settings
