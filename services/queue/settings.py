"""The queue's settings, read once at start-up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.queue.policy import Policy
from services.runninghub.verdicts import parse_retry_overrides
from services.runtime.failpoints import Failpoint, read_failpoint
from services.runtime.net import Network, parse_networks
from services.runtime.settings import Env

_WEEK_S = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a queue process needs to know. `accounts` is JSON with keys, as `etapa up` sets it."""

    listen: str
    database_url: str = field(repr=False)
    observability_address: str
    accounts: str = field(repr=False)
    public_url: str
    media_url: str
    media_key: bytes = field(repr=False)
    blobs: str
    policy: Policy
    user_active_limit: int
    global_limit: int
    max_starts: int
    max_queries: int
    max_savings: int
    database_connections: int
    keep_finished_s: float
    drain_s: float
    fetch_allow: tuple[Network, ...]
    failpoint: Failpoint | None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read and check all settings; one SettingsError lists every problem."""
        read = Env(env)
        public_url = read.text("ETAPA_WEBHOOK_PUBLIC_URL", read.text("ETAPA_PUBLIC_URL"))
        settings = cls(
            listen=read.address("ETAPA_QUEUE_LISTEN", "127.0.0.1:50051"),
            database_url=read.required("ETAPA_DATABASE_URL", "where the queue keeps its tables"),
            observability_address=read.target("ETAPA_OBSERVABILITY_ADDRESS", "127.0.0.1:50053"),
            accounts=read.text("ETAPA_QUEUE_ACCOUNTS"),
            public_url=public_url.rstrip("/"),
            media_url=read.text("ETAPA_QUEUE_MEDIA_URL", public_url or "http://127.0.0.1:8081"),
            media_key=read.required(
                "ETAPA_MEDIA_KEY", "signs media links; the gateway has the same"
            ).encode(),
            blobs=read.home("ETAPA_BLOBS", "blobs"),
            policy=_read_policy(read, callbacks_expected=bool(public_url)),
            user_active_limit=read.integer("ETAPA_QUEUE_USER_ACTIVE_LIMIT", 1, low=1, high=100_000),
            global_limit=read.integer("ETAPA_QUEUE_GLOBAL_LIMIT", 0, low=0, high=1_000_000),
            max_starts=read.integer("ETAPA_QUEUE_MAX_STARTS", 64, low=1, high=1000),
            max_queries=read.integer("ETAPA_QUEUE_MAX_QUERIES", 64, low=1, high=1000),
            max_savings=read.integer("ETAPA_QUEUE_MAX_SAVINGS", 16, low=1, high=1000),
            database_connections=read.integer("ETAPA_QUEUE_DATABASE_CONNECTIONS", 12, low=4),
            keep_finished_s=read.number("ETAPA_QUEUE_KEEP_FINISHED_S", _WEEK_S, low=60),
            drain_s=read.number("ETAPA_QUEUE_DRAIN_S", 20, low=0),
            fetch_allow=_read_networks(read),
            failpoint=read_failpoint(read),
        )
        read.finish()
        return settings


def _read_policy(read: Env, *, callbacks_expected: bool) -> Policy:
    overrides: dict[str, int] = {}
    try:
        overrides = parse_retry_overrides(read.text("ETAPA_QUEUE_RETRIES"))
    except ValueError as error:
        read.problems.append(f"ETAPA_QUEUE_RETRIES: {error}")
    return Policy(
        time_scale=read.number("ETAPA_TIME_SCALE", 1.0, low=0.001, high=100),
        unreachable_s=read.number("ETAPA_QUEUE_UNREACHABLE_S", 24 * 3600.0, low=1),
        callbacks_expected=callbacks_expected,
        retry_overrides=overrides,
    )


def _read_networks(read: Env) -> tuple[Network, ...]:
    try:
        return tuple(parse_networks(read.text("ETAPA_QUEUE_FETCH_ALLOW")))
    except ValueError as error:
        read.problems.append(f"ETAPA_QUEUE_FETCH_ALLOW: {error}")
        return ()
