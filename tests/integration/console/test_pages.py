from __future__ import annotations

import re

import pytest

from tests.support import console_jobs as known
from tests.support.console_app import Browser
from tests.support.console_jobs import open_job
from tests.support.trails import failed_job, failed_trail

STATES = {
    known.PENDING: ("recebido", "Enviando imagem..."),
    known.QUEUED: ("na fila", "Aguardando na fila"),
    known.STARTING: ("iniciando", "Iniciando processamento..."),
    known.RUNNING: ("processando", "Processando com IA..."),
    known.COMPLETED: ("concluído", "Concluído!"),
    known.FAILED: ("Erro no processamento", "Falhou em: Processando com IA"),
    known.CANCELLED: ("cancelado", "Cancelado pelo usuário"),
}


@pytest.mark.parametrize("job_id", STATES)
async def test_every_state_has_its_card(console: Browser, job_id: str) -> None:
    reply = await console.part(f"/jobs/{job_id}/card")
    assert reply.status == 200
    for said in STATES[job_id]:
        assert said in reply.text
    assert ("data-open" in reply.text) is (job_id in list(STATES)[:4])


@pytest.mark.parametrize("job_id", STATES)
@pytest.mark.parametrize("language", ["pt", "en"])
async def test_every_state_has_its_page_in_both_languages(
    console: Browser, job_id: str, language: str
) -> None:
    reply = await console.get(f"/jobs/{job_id}?lang={language}")
    assert reply.status == 200
    assert f'<html lang="{"pt-BR" if language == "pt" else "en"}">' in reply.text
    assert ("Linha do tempo" if language == "pt" else "Timeline") in reply.text


async def test_a_waiting_card_says_place_reason_and_patience(console: Browser) -> None:
    text = (await console.part(f"/jobs/{known.QUEUED}/card")).text
    assert re.search(r"Posição:\s*<b[^>]*>#2</b>", text)
    assert "Por quê: as 10 vagas estão em uso" in text
    assert "Fila com alta demanda, já já!" in text
    english = (await console.part(f"/jobs/{known.QUEUED}/card?lang=en")).text
    assert "all 10 slots are in use" in english


async def test_jobs_named_in_a_reason_are_short_links(console: Browser) -> None:
    console.world.why[known.QUEUED].sentence_pt = f"<b>vagas</b> (por {known.RUNNING})"
    text = (await console.part(f"/jobs/{known.QUEUED}/card")).text
    assert f'(por <a class="mono" href="/jobs/{known.RUNNING}">019ab0…000b</a>)' in text
    assert "&lt;b&gt;vagas" in text


async def test_a_final_card_is_fetched_again_until_its_history_is_here(console: Browser) -> None:
    console.world.jobs[known.CANCELLED].seq = 7
    text = (await console.part(f"/jobs/{known.CANCELLED}/card")).text
    assert "data-open" in text
    assert "créditos devolvidos" not in text
    console.world.jobs[known.CANCELLED].seq = 6
    settled = (await console.part(f"/jobs/{known.CANCELLED}/card")).text
    assert "data-open" not in settled
    assert "60 créditos devolvidos" in settled


async def test_a_running_card_marks_its_percent_as_an_estimate(console: Browser) -> None:
    text = (await console.part(f"/jobs/{known.RUNNING}/card")).text
    assert 'max="100" value="45"' in text
    assert "(estimativa)" in text


async def test_a_percent_of_the_provider_is_no_estimate(console: Browser) -> None:
    console.world.jobs[known.RUNNING].progress.estimated = False
    assert "(estimativa)" not in (await console.part(f"/jobs/{known.RUNNING}/card")).text


async def test_a_failed_card_shows_where_why_the_money_and_what_now(console: Browser) -> None:
    text = (await console.part(f"/jobs/{known.FAILED}/card")).text
    for said in (
        "Falhou em: Processando com IA",
        "Allocation on device 0 would exceed allowed memory.",
        "60 créditos devolvidos",
        "Tente um arquivo menor.",
        "Ver Detalhes",
        "Tentar Novamente",
    ):
        assert said in text
    assert (
        ' data-final data-toast="Erro em &#34;Processando com IA&#34;: Allocation on device 0'
        in text
    )


async def test_the_job_page_tells_the_whole_story_at_once(console: Browser) -> None:
    text = (await console.get(f"/jobs/{known.FAILED}")).text
    for said in (
        "Falhou em “Processando com IA”: A placa de vídeo ficou sem memória.",
        "lado: provedor",
        "repita mudando o pedido",
        "gpu_oom",
        "60 créditos devolvidos",
        "conta cheia no provedor",
        "48,2 s",
        "14:02:11,204".replace("14", "17"),
        "3 moedas",
        'data-copy="1990712044120342283"',
    ):
        assert said in text, said
    # Bodies are fetched later, the one that proves it first.
    assert "KSampler" not in text
    proof = f"/jobs/{known.FAILED}/payloads/p-3?proof=%24.eventData.failedReason.exception_type"
    assert proof.replace("&", "&amp;") in text


async def test_a_payload_is_shown_formatted_raw_and_with_its_proof(console: Browser) -> None:
    path = f"/jobs/{known.FAILED}/payloads/p-3?proof=$.eventData.failedReason.exception_type"
    text = (await console.part(path)).text
    proof = re.search(r'<span class="proof">(.*?)</span>', text)
    assert proof is not None
    assert "torch.OutOfMemoryError" in proof[1]
    assert "工作流运行失败" in text
    assert 'data-shows="raw"' in text


async def test_masked_bytes_are_marked(console: Browser) -> None:
    text = (await console.part(f"/jobs/{known.FAILED}/payloads/p-2")).text
    assert '<mark class="masked">****************</mark>' in text
    assert "trechos ocultos: 1" in text


async def test_bytes_are_handed_out_as_they_are_stored(console: Browser) -> None:
    reply = await console.get(f"/jobs/{known.FAILED}/payloads/p-3/bytes")
    assert reply.text.encode() == known.CALLBACK
    assert reply.headers["Content-Type"] == "application/octet-stream"
    assert reply.headers["Content-Disposition"].startswith("attachment; filename=")
    assert "sandbox" in reply.headers["Content-Security-Policy"]


async def test_context_says_whether_it_is_only_this_job(console: Browser) -> None:
    path = f"/jobs/{known.FAILED}/context"
    text = (await console.part(path)).text
    assert "Só este job, em 2 h" in text
    assert known.COMPLETED in text
    assert "Conta main: saudável" in text
    other, trail = failed_job(), failed_trail()
    other.job_id = trail.job.job_id = known.PENDING
    trail.job.user_id = "u_8841"
    await console.world.put(other, trail)
    text = (await console.part(path)).text
    assert "Mesma falha: 2 em 2 h" in text
    assert "usuários: 2" in text


async def test_a_trail_that_is_behind_says_how_much_is_arriving(console: Browser) -> None:
    console.world.jobs[known.FAILED].seq = 21
    text = (await console.get(f"/jobs/{known.FAILED}")).text
    assert "3 passos chegando" in text


async def test_a_job_without_a_history_yet_is_shown_from_the_queue(console: Browser) -> None:
    job = open_job("019ab0c0-0000-7000-8000-0000000000aa", "queued", "queued", position=3)
    await console.world.put(job)
    reply = await console.get(f"/jobs/{job.job_id}")
    assert reply.status == 200
    assert "O histórico ainda não chegou." in reply.text
    assert "#3" in reply.text


async def test_a_job_that_the_queue_pruned_is_shown_from_its_history(console: Browser) -> None:
    del console.world.jobs[known.FAILED]
    reply = await console.get(f"/jobs/{known.FAILED}")
    assert reply.status == 200
    assert "Falhou em “Processando com IA”" in reply.text


async def test_tools_are_listed_with_their_prices(console: Browser) -> None:
    text = (await console.get("/tools")).text
    for name, tool in console.world.tools.items():
        assert f'href="/tools/{name}"' in text
        assert tool.label_pt in text
    assert "50–60 créditos" in text


async def test_every_tool_has_a_page_made_from_its_schema(console: Browser) -> None:
    for name, tool in console.world.tools.items():
        text = (await console.get(f"/tools/{name}")).text
        for media in tool.media:
            assert f'name="media.{media.name}"' in text
        assert f'hx-post="/tools/{name}/jobs"' in text


async def test_a_tool_page_brings_this_users_jobs_of_that_tool_back(console: Browser) -> None:
    text = (await console.get("/tools/upscaler")).text
    assert text.count("<article") == 6
    assert known.RUNNING in text
    assert "<article" not in (await console.get("/tools/pose_changer")).text


async def test_jobs_are_filtered(console: Browser) -> None:
    text = (await console.get("/jobs?status=failed&tool=upscaler&user=demo")).text
    assert f'data-row="{known.FAILED}"' in text
    assert text.count("data-row=") == 1
    assert "Nenhum job com estes filtros." in (await console.get("/jobs?user=nobody")).text
    assert (await console.get("/jobs?status=sleeping")).status == 400


async def test_lists_are_walked_page_by_page(console: Browser) -> None:
    for number in range(60):
        trail = failed_trail()
        trail.job.job_id = f"019ab0c0-0000-7000-8000-1000000000{number:02}"
        await console.world.put(None, trail)
    first = (await console.get("/jobs?user=demo")).text
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following is not None
    second = (await console.get(following[1].replace("&amp;", "&"))).text
    rows = set(re.findall(r'data-row="([^"]+)"', first + second))
    assert rows == set(console.world.trails)


async def test_search_leads_straight_to_the_only_match(console: Browser) -> None:
    console.world.trails[known.FAILED].job.task_id = "1990712044120342283"
    reply = await console.get("/find?q=1990712044120342283")
    assert (reply.status, reply.headers["Location"]) == (303, f"/jobs/{known.FAILED}")


async def test_search_lists_what_it_found_and_says_how(console: Browser) -> None:
    text = (await console.get("/find?q=demo")).text
    assert text.count("data-row=") == len(console.world.trails)
    assert "achado por user_id" in text
    assert "Nada encontrado." in (await console.get("/find?q=zzz")).text


async def test_a_job_id_is_found_at_the_queue_before_its_history_arrives(
    console: Browser,
) -> None:
    job = open_job("019ab0c0-0000-7000-8000-0000000000ab", "queued", "queued")
    await console.world.put(job)
    reply = await console.get(f"/find?q={job.job_id}")
    assert reply.headers["Location"] == f"/jobs/{job.job_id}"


async def test_the_queue_page_shows_load_and_accounts(console: Browser) -> None:
    text = (await console.get("/queue")).text
    assert "main" in text
    assert "3/5" in text
    assert "saudável" in text
    assert "2/40" in text


async def test_what_does_not_exist_is_a_page_and_for_programs_json(console: Browser) -> None:
    page = await console.get("/nope")
    assert page.status == 404
    assert "Esta página não existe." in page.text
    unknown = "/jobs/019ab0c0-0000-7000-8000-00000000ffff"
    job = await console.get(unknown)
    assert (job.status, "Não há job com este id." in job.text) == (404, True)
    told = await console.get(unknown, Accept="application/json")
    assert told.json()["error"]["reason"] == "JOB_NOT_FOUND"
    assert (await console.get("/tools/unknown_tool")).status == 404


@pytest.mark.parametrize("end", ["", "/card", "/details", "/context", "/events", "/payloads/x"])
@pytest.mark.parametrize("no_id", ["not-an-id", "-" * 36])
async def test_an_address_without_a_possible_job_id_says_so(
    console: Browser, no_id: str, end: str
) -> None:
    page = await console.get(f"/jobs/{no_id}{end}")
    assert (page.status, "Isto não é o id de um job." in page.text) == (404, True)
    told = await console.get(f"/jobs/{no_id}{end}", Accept="application/json")
    assert (told.status, told.json()["error"]["reason"]) == (404, "INVALID_ID")


async def test_the_chosen_language_is_kept(console: Browser) -> None:
    await console.get("/jobs?lang=en")
    assert 'lang="en"' in (await console.get("/jobs")).text
    await console.get("/jobs?lang=pt")
    assert 'lang="pt-BR"' in (await console.get("/jobs", **{"Accept-Language": "en"})).text


async def test_it_says_that_there_is_no_login(console: Browser) -> None:
    text = (await console.get("/jobs")).text
    assert text.count("modo de desenvolvimento, sem login") == 2
    assert (await console.get("/healthz")).json() == {"status": "ok"}


async def test_the_queue_comes_as_a_part_only_where_one_is_asked_for(console: Browser) -> None:
    part = await console.part("/queue")
    assert "3/5" in part.text
    assert "<html" not in part.text
    assert "<html" in (await console.get("/queue", **{"HX-Request": "false"})).text
