"""The settings of the console."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.runtime.settings import Env

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """Read once by `__main__`."""

    listen: str = "127.0.0.1:8080"
    queue_address: str = "127.0.0.1:50051"
    tools_address: str = "127.0.0.1:50052"
    observability_address: str = "127.0.0.1:50053"
    # Where links to outputs lead; the browser may show pictures from there.
    media_origin: str = "http://127.0.0.1:8081"
    max_upload_bytes: int = 512 * _MIB
    # Pages that may be watched at once; each holds a connection.
    max_streams: int = 2000
    # Names by which the console may be called beside localhost and plain addresses.
    hosts: tuple[str, ...] = ()

    @classmethod
    def from_env(cls, values: Mapping[str, str]) -> Settings:
        """Read the environment; raise one `SettingsError` that lists every problem."""
        env = Env(values)
        # The queue makes the links; the same variables tell it where they lead.
        public_url = env.text("ETAPA_WEBHOOK_PUBLIC_URL", env.text("ETAPA_PUBLIC_URL"))
        settings = cls(
            listen=env.address("ETAPA_CONSOLE_LISTEN", "127.0.0.1:8080"),
            queue_address=env.target("ETAPA_QUEUE_ADDRESS", "127.0.0.1:50051"),
            tools_address=env.target("ETAPA_TOOLS_ADDRESS", "127.0.0.1:50052"),
            observability_address=env.target("ETAPA_OBSERVABILITY_ADDRESS", "127.0.0.1:50053"),
            media_origin=_origin(
                env, env.text("ETAPA_QUEUE_MEDIA_URL", public_url or "http://127.0.0.1:8081")
            ),
            max_upload_bytes=env.integer(
                "ETAPA_CONSOLE_MAX_UPLOAD_BYTES", 512 * _MIB, low=1024, high=2**36
            ),
            max_streams=env.integer("ETAPA_CONSOLE_MAX_STREAMS", 2000, low=1, high=10_000),
            hosts=tuple(
                name.strip().lower()
                for name in env.text("ETAPA_CONSOLE_HOSTS").split(",")
                if name.strip()
            ),
        )
        env.finish()
        return settings


def _origin(env: Env, url: str) -> str:
    parts = urlsplit(url)
    # It goes into a header of ours: nothing but an origin may come of it.
    if parts.scheme not in ("http", "https") or not parts.netloc or set(url) & set(" ;,'\""):
        env.problems.append(f"{url!r} is not an http(s) URL, as in https://media.example.com")
        return ""
    return f"{parts.scheme}://{parts.netloc}"
