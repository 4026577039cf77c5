"""Whatever service is away, a page says what is known and what is missing."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from grpc import aio

from etapa_client.connection import ATTEMPTS
from tests.support import console_jobs as known
from tests.support.console_app import Browser, running_console
from tests.support.console_world import World

QUEUE_AWAY = "A fila não responde: mostrado o que se sabe."
HISTORY_AWAY = "O histórico não responde: mostrado o que se sabe."


async def test_without_the_queue_a_job_is_told_from_its_history(console: Browser) -> None:
    await console.world.set_away("queue")
    reply = await console.get(f"/jobs/{known.FAILED}")
    assert reply.status == 200
    assert QUEUE_AWAY in reply.text
    assert "48,2 s" in reply.text


async def test_without_the_history_a_job_is_told_from_the_queue(console: Browser) -> None:
    await console.world.set_away("observability")
    reply = await console.get(f"/jobs/{known.FAILED}")
    assert reply.status == 200
    assert HISTORY_AWAY in reply.text
    assert "Falhou em “Processando com IA”" in reply.text
    assert HISTORY_AWAY in (await console.part(f"/jobs/{known.RUNNING}/card")).text


async def test_a_job_that_only_the_absent_service_may_know_is_not_called_unknown(
    console: Browser,
) -> None:
    await console.world.set_away("queue")
    reply = await console.get("/jobs/019ab0c0-0000-7000-8000-00000000ffff")
    assert reply.status == 503
    assert "Sem resposta no momento" in reply.text


async def test_without_the_history_jobs_are_listed_from_the_queue(console: Browser) -> None:
    await console.world.set_away("observability")
    text = (await console.get("/jobs?user=demo")).text
    assert HISTORY_AWAY in text
    assert text.count("data-row=") == len(console.world.jobs)


async def test_a_tool_page_does_without_the_queue(console: Browser) -> None:
    await console.world.set_away("queue", "observability")
    reply = await console.get("/tools/upscaler")
    assert (reply.status, QUEUE_AWAY in reply.text) == (200, True)
    assert "saldo indisponível" in (await console.part("/balance")).text


@pytest.mark.parametrize("path", [f"/jobs/{known.FAILED}", "/jobs", "/tools/upscaler"])
async def test_a_page_asks_a_service_that_says_it_is_away_only_once(
    console: Browser, path: str
) -> None:
    await console.world.set_away("queue", "observability")
    await console.get(path)
    assert set(console.world.refused.values()) == {1}


async def test_an_action_is_tried_again_where_a_page_is_not(console: Browser) -> None:
    await console.visit()
    await console.world.set_away("queue")
    await console.post(f"/jobs/{known.FAILED}/retry", data={"request_id": "r"})
    assert console.world.refused["queue"] == ATTEMPTS


async def test_a_page_asks_a_second_time_where_the_connection_may_have_broken() -> None:
    broken = Broken()
    server = aio.server()
    server.add_generic_rpc_handlers((broken,))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        async with running_console(World(), tools_address=address) as console:
            assert (await console.get("/tools")).status == 503
    finally:
        await server.stop(0)
    assert broken.calls == ["/etapa.tools.v1.ToolsService/ListTools"] * 2


class Broken(grpc.GenericRpcHandler):
    """Answers every call as a connection that breaks would."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def service(self, handler_call_details: Any) -> Any:
        self.calls.append(handler_call_details.method)
        return grpc.unary_unary_rpc_method_handler(self._break)

    async def _break(self, _request: bytes, context: Any) -> None:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")


@pytest.mark.parametrize(
    "path", ["/tools", "/tools/upscaler", "/queue", "/jobs", f"/jobs/{known.FAILED}"]
)
async def test_with_everything_away_there_is_a_page_that_says_so(
    console: Browser, path: str
) -> None:
    await console.world.set_away("queue", "tools", "observability")
    reply = await console.get(path)
    assert reply.status == 503
    assert "Um serviço da Etapa não responde." in reply.text
    assert "UNAVAILABLE" in reply.text
    assert "Traceback" not in reply.text


async def test_a_part_that_is_fetched_by_itself_stays_as_it_was(console: Browser) -> None:
    await console.world.set_away("queue", "observability")
    reply = await console.part(f"/jobs/{known.FAILED}/card", **{"HX-Target": "card-1"})
    assert reply.status == 503
    assert reply.headers["HX-Reswap"] == "none"
    assert "<html" not in reply.text


@pytest.mark.parametrize("target", ["modal-body", f"payload-{known.FAILED}"])
async def test_what_a_person_opened_tells_why_it_is_empty(console: Browser, target: str) -> None:
    await console.world.set_away("queue", "observability")
    path = f"/jobs/{known.FAILED}/{'details' if target == 'modal-body' else 'payloads/p-1'}"
    reply = await console.part(path, **{"HX-Target": target})
    assert reply.status == 503
    assert reply.headers["HX-Retarget"] == f"#{target}"
    assert "Um serviço da Etapa não responde." in reply.text


async def test_an_action_that_fails_is_told_beside_the_page(console: Browser) -> None:
    await console.visit()
    await console.world.set_away("queue")
    reply = await console.post(f"/jobs/{known.RUNNING}/cancel")
    assert reply.status == 503
    assert (reply.headers["HX-Retarget"], reply.headers["HX-Reswap"]) == ("#toasts", "beforeend")
