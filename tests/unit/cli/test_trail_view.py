"""A trail as a person reads it, line by line, in both languages."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from etapa.observability.v1 import trail_pb2
from etapa.queue.v1 import job_pb2
from etapa_client.words import Language
from services.cli.story import Story, story_to_json
from services.cli.trail_view import position_text, story_lines
from tests.support.trails import JOB_ID, failed_job, failed_trail

IN_PORTUGUESE = f"""\
Job {JOB_ID}  upscaler (people)  falhou (failed)  demo
  Criado:              2026-11-24 14:02:11 -0300
  Total:               4:03
  Conta:               main
  Tarefa no provedor:  1990712044120342283
  Trace:               4bf92f3577b34da6a3ce929d0e0e4736
  Preço:               60
✖ Falhou em: Processando com IA (running)
  Palavras do provedor:
    Allocation on device 0 would exceed allowed memory.
    Free (according to CUDA): 28 MiB
  Classe:          gpu_oom
  Lado:            provedor (provider)
                   A placa de vídeo ficou sem memória.
  Conselho:        Tente um arquivo menor.
  Tentar de novo:  repita mudando o pedido
  Créditos:        60 devolvidos de 60
  Prova:           p-1 $.failedReason.exception_message

Linha do tempo   ● nós  ◆ provedor
  14:02:11,204  ●  upload            Upload de Imagem           1,1 s  fileName="foto grande.jpg"  \
bytes=1200
  14:02:12,304  ●  insert            Criando Job                 8 ms
  14:02:12,312  ●  credits           Verificando Créditos        2 ms  cost=60  newBalance=940
  14:02:12,314  ●  queue_check       Verificando Fila            1 ms  slotsAvailable=0
  14:02:12,315  ●  queued            Aguardando na Fila          3:12  position=2
  14:05:24,804  ◆  starting          Iniciando Processamento    1,3 s  webappId=2037  \
accountName=main  attempt=1
  14:05:25,204  ·                    ACCOUNT_FULL                      the account is full (421)
  14:05:26,104  ◆  running           Processando               48,2 s  taskId=1990712044120342283
  14:06:14,304  ●  webhook_received  Callback Recebido           6 ms  event=TASK_END  \
hasOutput=false
  14:06:14,310  ●  failed            Falhou                            at_step=running  \
class=gpu_oom

Tentativas
  #1  14:05:24,804  49,5 s  main  failed gpu_oom  1990712044120342283  coins=3

Dados brutos (etapa job {JOB_ID} --payload ID os mostra)
  14:06:14,204  query response  HTTP 200    2,1 KB  p-1  decidiu +4×

Créditos
  14:02:12,312  reserve  60  monthly
  14:06:14,310  refund   60  monthly
"""


@pytest.fixture(autouse=True)
def sao_paulo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/Sao_Paulo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def text_of(story: Story, language: Language = Language.PT) -> str:
    return "".join(f"{line.plain}\n" for line in story_lines(story, language))


def test_the_whole_story_of_a_failure_reads_as_it_is_meant_to() -> None:
    assert text_of(Story(failed_trail(), failed_job())) == IN_PORTUGUESE


def test_in_english_no_portuguese_is_left() -> None:
    text = text_of(Story(failed_trail(), failed_job()), Language.EN)
    assert "✖ Failed at: Processing with AI (running)" in text
    assert "Try a smaller file." in text
    assert "60 of 60 returned" in text
    assert "1.3 s" in text
    for word in ("Criado", "Falhou", "Linha", "Créditos", "Tentativas", "Lado", "provedor"):
        assert word not in text


def test_a_trail_behind_the_queue_says_how_many_steps_are_arriving() -> None:
    text = text_of(Story(failed_trail(), failed_job(seq=21)))
    assert "3 etapas chegando: o histórico vai até 18 de 21" in text


def test_a_trail_that_is_whole_says_nothing_of_arriving() -> None:
    assert "chegando" not in text_of(Story(failed_trail(), failed_job(seq=18)))


def test_the_queue_is_believed_for_the_status() -> None:
    trail = trail_pb2.GetTrailResponse(job=trail_pb2.JobSummary(job_id=JOB_ID))
    job = job_pb2.Job(
        job_id=JOB_ID,
        tool="upscaler",
        status=job_pb2.JOB_STATUS_QUEUED,
        current_step=job_pb2.STEP_QUEUED,
        position=2,
        seq=6,
    )
    text = text_of(Story(trail, job))
    assert "na fila (queued)" in text
    assert "Aguardando na fila  Posição: #2" in text
    assert "6 etapas chegando" in text


def test_positions_beyond_a_thousand_are_not_told_exactly() -> None:
    assert position_text(1000, Language.PT) == "Posição: #1000"
    assert position_text(1001, Language.PT) == "Posição: 1000+"


def test_what_a_terminal_would_obey_is_shown_and_not_sent() -> None:
    trail = failed_trail()
    trail.verdict.provider_words = "harmless\x1b]0;owned\x07 \u202etxt"
    trail.notes[0].text = "\x1b[2J"
    trail.job.task_id = "1\x9b31m"
    text = text_of(Story(trail, failed_job()))
    assert not {letter for letter in text if not letter.isprintable()} - {"\n"}
    assert "harmless\\x1b]0;owned\\x07 \\u202etxt" in text


def test_without_a_verdict_neither_side_nor_money_is_claimed() -> None:
    trail = trail_pb2.GetTrailResponse(job=trail_pb2.JobSummary(job_id=JOB_ID))
    text = text_of(Story(trail, failed_job()), Language.EN)
    assert "Failed at: Processing with AI (running)" in text
    assert "Free (according to CUDA): 28 MiB" in text
    assert "the verdict has not arrived yet" in text
    for word in ("charged", "Side", "Try again"):
        assert word not in text


def test_facts_that_a_note_adds_to_a_step_are_told_once() -> None:
    trail = failed_trail()
    trail.notes[0].details_json = '{"bytes": 1200}'
    assert text_of(Story(trail, failed_job())).count("bytes=1200") == 1
    trail.notes[0].details_json = '{"bytes": 1300}'
    assert "bytes=1300" in text_of(Story(trail, failed_job()))


def test_a_job_whose_trace_of_money_is_open_does_not_claim_a_refund() -> None:
    trail = failed_trail()
    trail.verdict.returned = 0
    assert "60 reservados" in text_of(Story(trail, failed_job()))


def test_the_json_contract_has_the_promised_keys() -> None:
    found = story_to_json(Story(failed_trail(), failed_job()))
    for key in ("job", "verdict", "steps", "attempts", "payloads", "ledger", "through_seq"):
        assert key in found
    promised = (
        "id tool user_id status current_step failed_at_step error_message position created_at "
        "started_at completed_at outputs trace_id"
    )
    assert set(promised.split()) <= found["job"].keys()
    assert {"class", "side", "message", "advice", "retry", "money"} <= found["verdict"].keys()
    assert {"seq", "step", "timestamp", "attempt", "details"} <= found["steps"][0].keys()
