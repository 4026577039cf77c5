from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench.contestant import Contestant, ContestantError, Spec
from bench.lineup import CEILING, STORAGE, lineup
from bench.processes import cpu_by_role
from bench.provider_client import ProviderClient, ProviderProcess


@pytest.fixture
async def provider() -> AsyncIterator[ProviderProcess]:
    with ProviderProcess() as process:
        yield process


def env_of(database: str, provider: ProviderProcess, home: Path) -> dict[str, str]:
    return {
        "BENCH_DATABASE_URL": database,
        "BENCH_PROVIDER_URL": provider.url,
        "BENCH_HOME": str(home),
        "BENCH_WORKERS": "1",
        "BENCH_LISTEN_PORT": "0",
    }


@pytest.mark.parametrize("spec", [CEILING, STORAGE], ids=["ceiling", "storage"])
async def test_every_job_keeps_its_steps_and_bodies(
    spec: Spec, database: str, provider: ProviderProcess, tmp_path: Path
) -> None:
    async with Contestant(spec, env_of(database, provider, tmp_path)) as contestant:
        answer = await contestant.do("run", jobs=30, in_flight=8)
        checked = await contestant.do("check")
    assert (answer["jobs"], checked["jobs"], checked["bad"]) == (30, 30, [])


async def test_etapa_does_the_full_work_with_the_stub(
    database: str, provider: ProviderProcess, tmp_path: Path
) -> None:
    env = env_of(database, provider, tmp_path)
    async with Contestant(lineup(["etapa"])["etapa"], env) as etapa:
        await etapa.do("run", jobs=20, in_flight=8)
        idle = await etapa.do("idle", jobs=3)
        checked = await etapa.do("check")
        roles = cpu_by_role({"client": etapa.pid})
    assert (checked["jobs"], checked["bad"]) == (23, [])
    assert len(idle["latencies_ms"]) == 3
    assert all(0 < latency < 60_000 for latency in idle["latencies_ms"])
    assert {"client", "queue", "tools", "observability", "webhook"} <= set(roles)
    async with ProviderClient(provider.url) as client:
        stats = await client.stats()
    assert (stats["starts"], stats["queries"], stats["callbacks"]) == (23, 23, 23)


async def test_a_contestant_that_ends_is_told_with_its_log(tmp_path: Path) -> None:
    spec = Spec("broken", ["/bin/false"])
    with pytest.raises(ContestantError, match=r"broken ended; see .*broken\.log"):
        async with Contestant(spec, {}):
            pass
