"""What users read about each failure class: Portuguese (Brazil), then English.

The provider's own words always stand beside these, never instead of them.
"""

from __future__ import annotations

from typing import Final

from services.runninghub.failure import UserText

TEXTS: Final[dict[str, tuple[UserText, UserText]]] = {
    "gpu_oom": (
        UserText(
            "A placa de vídeo ficou sem memória ao processar este arquivo.",
            "Tente de novo com um arquivo menor ou com resolução de saída menor.",
        ),
        UserText(
            "The graphics card ran out of memory while processing this file.",
            "Try again with a smaller file or a lower output resolution.",
        ),
    ),
    "moderation": (
        UserText(
            "O provedor recusou o conteúdo do arquivo ou do texto.",
            "Use outro arquivo ou outro texto; o mesmo será recusado de novo.",
        ),
        UserText(
            "The provider refused the content of the file or the text.",
            "Use another file or text; the same one will be refused again.",
        ),
    ),
    "node_missing": (
        UserText(
            "A ferramenta usa um componente que o provedor não tem mais.",
            "Não adianta tentar de novo: a ferramenta precisa ser corrigida por nós.",
        ),
        UserText(
            "The tool uses a component that the provider no longer has.",
            "Trying again will not help: we have to repair the tool.",
        ),
    ),
    "model_missing": (
        UserText(
            "Um modelo de que a ferramenta precisa não está disponível no provedor.",
            "Não adianta tentar de novo agora: a ferramenta precisa ser verificada por nós.",
        ),
        UserText(
            "A model that the tool needs is not available at the provider.",
            "Trying again now will not help: we have to check the tool.",
        ),
    ),
    "input_unreadable": (
        UserText(
            "O provedor não conseguiu ler o arquivo enviado.",
            "Envie outro arquivo: JPEG ou PNG para imagem, MP4 (H.264) para vídeo.",
        ),
        UserText(
            "The provider could not read the file that was sent.",
            "Send another file: JPEG or PNG for images, MP4 (H.264) for videos.",
        ),
    ),
    "file_processing_failed": (
        UserText(
            "O provedor não conseguiu processar o arquivo.",
            "Tente com outro arquivo, ou salve este em outro formato antes de enviar.",
        ),
        UserText(
            "The provider could not process the file.",
            "Try another file, or save this one in another format before sending it.",
        ),
    ),
    "infra": (
        UserText(
            "Houve uma falha passageira nas máquinas do provedor.",
            "Tente de novo em alguns minutos.",
        ),
        UserText("The provider's machines had a passing fault.", "Try again in a few minutes."),
    ),
    "timeout": (
        UserText(
            "O processamento passou do tempo limite.",
            "Tente de novo; se repetir, use um arquivo menor ou um vídeo mais curto.",
        ),
        UserText(
            "Processing went over the time limit.",
            "Try again; if it repeats, use a smaller file or a shorter video.",
        ),
    ),
    "generation_failed": (
        UserText("O provedor não conseguiu gerar o resultado.", "Tente de novo."),
        UserText("The provider could not generate the result.", "Try again."),
    ),
    "no_output": (
        UserText(
            "O provedor terminou sem erro, mas não entregou nenhum resultado.",
            "Tente de novo; se repetir, use outro arquivo.",
        ),
        UserText(
            "The provider finished without an error but delivered no result.",
            "Try again; if it repeats, use another file.",
        ),
    ),
    "task_lost": (
        UserText("O provedor não conhece mais esta tarefa.", "Tente de novo."),
        UserText("The provider no longer knows this task.", "Try again."),
    ),
    "cancelled_at_provider": (
        UserText("A tarefa foi cancelada no provedor, não por você.", "Tente de novo."),
        UserText("The task was cancelled at the provider, not by you.", "Try again."),
    ),
    "account_full": (
        UserText(
            "Todas as vagas no provedor estão ocupadas.",
            "Aguarde: o job começa assim que houver vaga.",
        ),
        UserText(
            "All places at the provider are taken.",
            "Wait: the job starts as soon as there is a place.",
        ),
    ),
    "rate_limited": (
        UserText(
            "O provedor pediu para esperar entre os pedidos.",
            "Aguarde: o job começa em instantes.",
        ),
        UserText(
            "The provider asked us to wait between requests.", "Wait: the job starts shortly."
        ),
    ),
    "account_unauthorized": (
        UserText(
            "O provedor recusou a nossa conta.",
            "Não é culpa sua: a conta precisa ser corrigida por nós. Tente de novo mais tarde.",
        ),
        UserText(
            "The provider refused our account.",
            "It is not your fault: we have to repair the account. Try again later.",
        ),
    ),
    "account_no_money": (
        UserText(
            "A nossa conta no provedor está sem saldo.",
            "Não é culpa sua: precisamos pôr saldo na conta. Tente de novo mais tarde.",
        ),
        UserText(
            "Our account at the provider has run out of money.",
            "It is not your fault: we have to top the account up. Try again later.",
        ),
    ),
    "account_machine": (
        UserText(
            "A nossa conta no provedor não tem o tipo de máquina que esta ferramenta usa.",
            "Não adianta tentar de novo: a configuração precisa ser corrigida por nós.",
        ),
        UserText(
            "Our account at the provider lacks the kind of machine that this tool uses.",
            "Trying again will not help: we have to correct the configuration.",
        ),
    ),
    "config_node_mismatch": (
        UserText(
            "A configuração da ferramenta não combina com o app no provedor.",
            "Não adianta tentar de novo: a ferramenta precisa ser corrigida por nós.",
        ),
        UserText(
            "The tool's configuration does not fit the app at the provider.",
            "Trying again will not help: we have to repair the tool.",
        ),
    ),
    "config_app_missing": (
        UserText(
            "O app que esta ferramenta usa não existe no provedor.",
            "Não adianta tentar de novo: a ferramenta precisa ser corrigida por nós.",
        ),
        UserText(
            "The app that this tool uses does not exist at the provider.",
            "Trying again will not help: we have to repair the tool.",
        ),
    ),
    "config_workflow": (
        UserText(
            "O provedor recusou o fluxo desta ferramenta.",
            "Não adianta tentar de novo: a ferramenta precisa ser verificada por nós.",
        ),
        UserText(
            "The provider refused this tool's workflow.",
            "Trying again will not help: we have to check the tool.",
        ),
    ),
    "provider_busy": (
        UserText("O provedor está sobrecarregado.", "Tente de novo em alguns minutos."),
        UserText("The provider is overloaded.", "Try again in a few minutes."),
    ),
    "edge_error": (
        UserText(
            "O provedor respondeu com uma página de erro em vez de dados.",
            "Tente de novo em alguns minutos.",
        ),
        UserText(
            "The provider answered with an error page instead of data.",
            "Try again in a few minutes.",
        ),
    ),
    "provider_unreachable": (
        UserText("Não conseguimos falar com o provedor.", "Tente de novo em alguns minutos."),
        UserText("We could not reach the provider.", "Try again in a few minutes."),
    ),
    "submit_unknown": (
        UserText(
            "Enviamos o pedido, mas o provedor não confirmou se o recebeu.",
            "Tente de novo. Não repetimos sozinhos para não pagar duas vezes.",
        ),
        UserText(
            "We sent the request, but the provider did not confirm that it was received.",
            "Try again. We do not repeat it on our own, so as not to pay twice.",
        ),
    ),
    "upload_failed": (
        UserText("O envio do arquivo ao provedor falhou.", "Tente de novo em alguns minutos."),
        UserText("Sending the file to the provider failed.", "Try again in a few minutes."),
    ),
    "output_gone": (
        UserText("O resultado não está mais disponível no provedor.", "Tente de novo."),
        UserText("The result is no longer available at the provider.", "Try again."),
    ),
    "output_undelivered": (
        UserText(
            "O resultado ficou pronto, mas o provedor não entregou o arquivo certo.",
            "Tente de novo em alguns minutos; guardamos o endereço do resultado.",
        ),
        UserText(
            "The result was ready, but the provider did not deliver the right file.",
            "Try again in a few minutes; we keep the result's address.",
        ),
    ),
    "output_unsavable": (
        UserText(
            "O resultado ficou pronto, mas não conseguimos salvá-lo.",
            "Tente de novo; guardamos o endereço do resultado para investigar.",
        ),
        UserText(
            "The result was ready, but we could not save it.",
            "Try again; we keep the result's address to investigate.",
        ),
    ),
    "file_too_big": (
        UserText("O arquivo é grande demais.", "Envie um arquivo menor."),
        UserText("The file is too big.", "Send a smaller file."),
    ),
    "bad_media": (
        UserText(
            "O arquivo não é uma imagem ou vídeo válido para esta ferramenta.",
            "Envie outro arquivo, em um dos formatos aceitos.",
        ),
        UserText(
            "The file is not an image or video that this tool can use.",
            "Send another file, in one of the accepted formats.",
        ),
    ),
    "media_unreachable": (
        UserText(
            "Não conseguimos baixar o arquivo do endereço informado.",
            "Verifique se o endereço é público, ou envie o próprio arquivo.",
        ),
        UserText(
            "We could not fetch the file from the given address.",
            "Check that the address is public, or send the file itself.",
        ),
    ),
    "upload_timeout": (
        UserText(
            "O envio do arquivo não terminou a tempo.", "Verifique a conexão e envie de novo."
        ),
        UserText("The file did not arrive in time.", "Check the connection and send it again."),
    ),
    "upload_truncated": (
        UserText(
            "O envio do arquivo foi interrompido antes do fim.",
            "Verifique a conexão e envie de novo.",
        ),
        UserText("The file's upload broke off.", "Check the connection and send it again."),
    ),
    "no_credits": (
        UserText("Créditos insuficientes.", "Adicione créditos e tente de novo."),
        UserText("Not enough credits.", "Add credits and try again."),
    ),
    "cancelled": (
        UserText("O job foi cancelado.", "Envie de novo quando quiser."),
        UserText("The job was cancelled.", "Send it again whenever you like."),
    ),
    "queue_timeout": (
        UserText(
            "O job esperou na fila além do tempo limite.",
            "Tente de novo; com menos gente na fila ele começa antes.",
        ),
        UserText(
            "The job waited in the queue for longer than the limit.",
            "Try again; it starts sooner when fewer are waiting.",
        ),
    ),
    "start_timeout": (
        UserText("Não conseguimos iniciar o job a tempo.", "Tente de novo em alguns minutos."),
        UserText("We could not start the job in time.", "Try again in a few minutes."),
    ),
    "input_missing": (
        UserText(
            "O provedor não encontrou o arquivo que enviamos a ele.",
            "Tente de novo: o arquivo será enviado outra vez.",
        ),
        UserText(
            "The provider did not find the file that we sent to it.",
            "Try again: the file will be sent anew.",
        ),
    ),
    "client_fault": (
        UserText(
            "O nosso pedido ao provedor estava errado.",
            "Não adianta tentar de novo: precisamos corrigir o sistema.",
        ),
        UserText(
            "Our request to the provider was wrong.",
            "Trying again will not help: we have to correct the system.",
        ),
    ),
    "internal": (
        UserText("Houve uma falha nossa.", "Tente de novo; se repetir, fale com o suporte."),
        UserText("Something failed on our side.", "Try again; if it repeats, contact support."),
    ),
    "unknown": (
        UserText(
            "O provedor informou um erro que ainda não conhecemos.",
            "Veja as palavras do provedor nos detalhes; tentar de novo pode funcionar.",
        ),
        UserText(
            "The provider reported an error that we do not know yet.",
            "See the provider's words in the details; trying again may work.",
        ),
    ),
}
