"""The settings of the webhook gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.runtime.failpoints import Failpoint, read_failpoint
from services.runtime.settings import Env


@dataclass(frozen=True, slots=True)
class Settings:
    """Read once by `__main__`. Times in seconds."""

    database_url: str = field(repr=False)
    blobs: str
    listen: str = "127.0.0.1:8081"
    queue_address: str = "127.0.0.1:50051"
    observability_address: str = "127.0.0.1:50053"
    # Empty: no media link is served.
    media_key: bytes = field(default=b"", repr=False)
    max_bytes: int = 1024 * 1024
    read_timeout_s: float = 5.0
    store_timeout_s: float = 3.0
    poll_s: float = 5.0
    # As long as the queue itself remembers a callback that it takes; observability has the bytes.
    keep_refused_s: float = 7 * 24 * 3600.0
    # Longer than the minute for which common proxies keep their connections.
    idle_timeout_s: float = 75.0
    failpoint: Failpoint | None = None

    @classmethod
    def from_env(cls, values: Mapping[str, str]) -> Settings:
        """Read the environment; raise one `SettingsError` that lists every problem."""
        env = Env(values)
        settings = cls(
            database_url=env.required(
                "ETAPA_DATABASE_URL", "as in postgresql://user:password@host:5432/etapa"
            ),
            blobs=env.home("ETAPA_BLOBS", "blobs"),
            listen=env.address("ETAPA_WEBHOOK_LISTEN", "127.0.0.1:8081"),
            queue_address=env.target("ETAPA_QUEUE_ADDRESS", "127.0.0.1:50051"),
            observability_address=env.target("ETAPA_OBSERVABILITY_ADDRESS", "127.0.0.1:50053"),
            media_key=env.text("ETAPA_MEDIA_KEY").encode(),
            max_bytes=env.integer("ETAPA_WEBHOOK_MAX_BYTES", 1024 * 1024, low=1024, high=2**26),
            read_timeout_s=env.number("ETAPA_WEBHOOK_READ_TIMEOUT_S", 5.0, low=0.1, high=60),
            store_timeout_s=env.number("ETAPA_WEBHOOK_STORE_TIMEOUT_S", 3.0, low=0.1, high=30),
            poll_s=env.number("ETAPA_WEBHOOK_POLL_S", 5.0, low=0.05, high=60),
            keep_refused_s=env.number("ETAPA_WEBHOOK_KEEP_REFUSED_S", 604_800.0, low=60),
            idle_timeout_s=env.number("ETAPA_WEBHOOK_IDLE_TIMEOUT_S", 75.0, low=0.1, high=3600),
            failpoint=read_failpoint(env),
        )
        env.finish()
        return settings
