"""Every text of the console, Portuguese (Brazil) first. Templates and handlers hold none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from services.console.language import Language


class Text(NamedTuple):
    """One text in both languages."""

    pt: str
    en: str

    def to(self, language: Language, **facts: object) -> str:
        """Return the text, with the facts in their places."""
        text = self.pt if language is Language.PT else self.en
        return text.format(**facts) if facts else text


class StepText(NamedTuple):
    """How a step is called on the timeline, and while it goes on."""

    name: Text
    live: Text


# The plan's words, to the letter.
STEPS: Mapping[str, StepText] = {
    "upload": StepText(
        Text("Upload de Imagem", "Image upload"), Text("Enviando imagem...", "Sending image...")
    ),
    "insert": StepText(Text("Criando Job", "Creating job"), Text("Preparando...", "Preparing...")),
    "credits": StepText(
        Text("Verificando Créditos", "Checking credits"),
        Text("Verificando créditos...", "Checking credits..."),
    ),
    "queue_check": StepText(
        Text("Verificando Fila", "Checking queue"),
        Text("Verificando fila...", "Checking queue..."),
    ),
    "queued": StepText(
        Text("Aguardando na Fila", "Waiting in queue"),
        Text("Aguardando na fila", "Waiting in queue"),
    ),
    "starting": StepText(
        Text("Iniciando Processamento", "Starting"),
        Text("Iniciando processamento...", "Starting..."),
    ),
    "running": StepText(
        Text("Processando", "Processing"), Text("Processando com IA...", "Processing with AI...")
    ),
    "webhook_received": StepText(
        Text("Callback Recebido", "Callback received"), Text("Finalizando...", "Finishing...")
    ),
    "completed": StepText(Text("Concluído", "Completed"), Text("Concluído!", "Completed!")),
    "failed": StepText(Text("Falhou", "Failed"), Text("Erro no processamento", "Processing error")),
    "cancelled": StepText(Text("Cancelado", "Cancelled"), Text("Cancelado", "Cancelled")),
}
STATUSES: Mapping[str, Text] = {
    "pending": Text("recebido", "received"),
    "queued": Text("na fila", "queued"),
    "starting": Text("iniciando", "starting"),
    "running": Text("processando", "running"),
    "completed": Text("concluído", "completed"),
    "failed": Text("falhou", "failed"),
    "cancelled": Text("cancelado", "cancelled"),
}
# The dots of the step indicator.
STAGES: Mapping[str, Text] = {
    "sent": Text("Enviado", "Sent"),
    "credits": Text("Créditos", "Credits"),
    "queue": Text("Fila", "Queue"),
    "start": Text("Início", "Start"),
    "ai": Text("IA", "AI"),
    "ready": Text("Pronto", "Ready"),
}
SIDES: Mapping[str, Text] = {
    "user": Text("lado: pedido ou saldo", "side: request or balance"),
    "configuration": Text("lado: nossa configuração", "side: our configuration"),
    "account": Text("lado: nossa conta no provedor", "side: our provider account"),
    "provider": Text("lado: provedor", "side: provider"),
    "us": Text("lado: Etapa", "side: Etapa"),
}
RETRIES: Mapping[str, Text] = {
    "no": Text("repetir igual não resolve", "the same request fails again"),
    "as_is": Text("repetir pode dar certo", "the same request may work"),
    "changed": Text("repita mudando o pedido", "retry with a change"),
}
LEDGER: Mapping[str, Text] = {
    "grant": Text("crédito recebido", "granted"),
    "reserve": Text("reservado", "reserved"),
    "capture": Text("cobrado", "charged"),
    "refund": Text("devolvido", "returned"),
}
PAYLOADS: Mapping[str, Text] = {
    "request": Text("Requisição", "Request"),
    "response": Text("Resposta", "Response"),
    "callback": Text("Callback", "Callback"),
}
HEALTHS: Mapping[str, Text] = {
    "ok": Text("saudável", "healthy"),
    "full": Text("cheia", "full"),
    "unauthorized": Text("chave recusada", "key refused"),
    "no_money": Text("sem saldo no provedor", "no money at the provider"),
    "unreachable": Text("fora de alcance", "unreachable"),
}
SERVICES: Mapping[str, Text] = {
    "queue": Text("A fila não responde", "The queue does not answer"),
    "observability": Text("O histórico não responde", "The history does not answer"),
    "tools": Text("As ferramentas não respondem", "The tools do not answer"),
}
# Beside a note's code; a note without a text here shows the queue's own sentence.
NOTES: Mapping[str, Text] = {
    "ACCOUNT_FULL": Text("conta cheia no provedor", "account full at the provider"),
    "ACCOUNT_NO_MONEY": Text("conta sem saldo no provedor", "account without money"),
    "ACCOUNT_UNAUTHORIZED": Text("o provedor recusou a chave", "the provider refused the key"),
    "CANCEL_REQUESTED": Text("cancelamento pedido", "cancel asked for"),
    "CLAIM_EXPIRED": Text("o processo calou antes de enviar", "the worker fell silent"),
    "CLAIM_RELEASED": Text("vaga devolvida sem enviar", "slot given back, nothing sent"),
    "DEADLINE_PASSED": Text("prazo passou: perguntando ao provedor", "deadline: provider asked"),
    "DUPLICATE_CALLBACK": Text("callback repetido", "callback repeated"),
    "EMPTY_SUCCESS": Text("sucesso sem saídas; perguntado de novo", "success without outputs"),
    "FOUND_BY_POLL": Text("achado por consulta, sem callback", "found by asking, no callback"),
    "LATE_CALLBACK": Text("callback atrasado", "callback came late"),
    "LATE_SUCCESS": Text("sucesso tardio: saídas guardadas", "late success: outputs kept"),
    "MEDIA_STORED": Text("mídia guardada", "media stored"),
    "OUTPUTS_LOST": Text("as saídas não puderam ser salvas", "outputs could not be saved"),
    "PARAMETER_ADJUSTED": Text("parâmetro ajustado", "parameter adjusted"),
    "PROVIDER_UNREACHABLE": Text("provedor fora de alcance", "provider unreachable"),
    "QUERY_FAILED": Text("a consulta ao provedor falhou", "asking the provider failed"),
    "REPLY_NOT_KEPT": Text("a resposta não pôde ser guardada", "the reply could not be kept"),
    "RETRY_SCHEDULED": Text("nova tentativa marcada", "retry scheduled"),
    "STOP_ASKED": Text("parada pedida ao provedor", "provider asked to stop"),
    "SUBMIT_UNKNOWN": Text("envio sem resposta: não se repete", "no reply: never sent twice"),
    "TASK_ADOPTED": Text("tarefa reconhecida pelo callback", "task adopted by its callback"),
}
# What a person can do about an error, by its ErrorInfo reason.
REASONS: Mapping[str, Text] = {
    "JOB_NOT_FOUND": Text("Não há job com este id.", "No job has this id."),
    "INVALID_ID": Text(
        "Isto não é o id de um job. Procure por qualquer outro id no campo de busca.",
        "This is not the id of a job. The search field takes any other id.",
    ),
    "JOB_ALREADY_FINAL": Text("Este job já terminou.", "This job has ended already."),
    "JOB_NOT_FINAL": Text(
        "Este job ainda não terminou; espere ou cancele.", "This job is still open."
    ),
    "JOB_NOT_RETRYABLE": Text(
        "Este job não pode ser repetido: envie o arquivo de novo.",
        "This job cannot be tried again: send the file anew.",
    ),
    "TOO_MANY_ACTIVE_JOBS": Text(
        "Limite de jobs em andamento atingido. Espere um terminar, ou cancele-o.",
        "You have as many jobs under way as allowed. Wait for one to end, or cancel it.",
    ),
    "UPLOADS_FULL": Text(
        "Há muitos envios ao mesmo tempo. Tente de novo em alguns segundos.",
        "Many files are being sent just now. Try again in a few seconds.",
    ),
    "TOOL_NOT_FOUND": Text("Não há ferramenta com este nome.", "No tool has this name."),
    "PAYLOAD_NOT_FOUND": Text("Este conteúdo não existe.", "There is no such payload."),
    "REQUEST_ID_REUSED": Text(
        "Este pedido já foi usado para outra coisa. Recarregue a página.",
        "This request was used before, for something else. Reload the page.",
    ),
    "UNAVAILABLE": Text(
        "Um serviço da Etapa não responde. Tente de novo em instantes.",
        "A service of Etapa does not answer. Try again in a moment.",
    ),
    "DEADLINE_EXCEEDED": Text(
        "A resposta demorou demais. Veja a lista de jobs antes de repetir.",
        "The answer took too long. Look at the list of jobs before repeating.",
    ),
    "NOT_FOUND": Text("Esta página não existe.", "This page does not exist."),
    "CSRF_REFUSED": Text(
        "O pedido não veio desta página. Recarregue e tente de novo.",
        "The request did not come from this page. Reload and try again.",
    ),
    "HOST_REFUSED": Text(
        "A console não atende por este nome. Abra-a por 127.0.0.1 ou acrescente o nome a "
        "ETAPA_CONSOLE_HOSTS.",
        "The console does not answer to this name. Open it at 127.0.0.1, or add the name to "
        "ETAPA_CONSOLE_HOSTS.",
    ),
    "UPLOAD_TOO_LARGE": Text(
        "O arquivo é grande demais: o limite é {limit}.", "The file is too large: {limit} at most."
    ),
    "MEDIA_MISSING": Text("Escolha um arquivo.", "Choose a file."),
    "MEDIA_EMPTY": Text("O arquivo está vazio.", "The file is empty."),
    "BAD_FORM": Text("O formulário chegou incompleto.", "The form arrived incomplete."),
    "BAD_FILTER": Text("O filtro não existe.", "There is no such filter."),
    "TOO_MANY_STREAMS": Text(
        "Há páginas demais abertas ao vivo.", "Too many pages are being watched."
    ),
    "INTERNAL": Text(
        "Algo deu errado dentro da Etapa. Informe o trace id a quem a opera.",
        "Something went wrong inside Etapa. Report the trace id to its operators.",
    ),
}
TEXTS: Mapping[str, Text] = {
    "title": Text("Etapa", "Etapa"),
    "skip": Text("Ir para o conteúdo", "Skip to content"),
    "nav_tools": Text("Ferramentas", "Tools"),
    "nav_jobs": Text("Jobs", "Jobs"),
    "nav_queue": Text("Fila", "Queue"),
    "search_hint": Text("job, taskId, trace, usuário, URL...", "job, taskId, trace, user, URL..."),
    "search": Text("Buscar", "Search"),
    "dev_mode": Text("modo de desenvolvimento, sem login", "development mode, no login"),
    "switch_user": Text("Trocar usuário", "Switch user"),
    "switch": Text("Trocar", "Switch"),
    "add_credits": Text("+500 créditos", "+500 credits"),
    "credits": Text("{count} créditos", "{count} credits"),
    "credits_unknown": Text("saldo indisponível", "balance unknown"),
    "reserved": Text("{count} reservados", "{count} reserved"),
    "other_language": Text("English", "Português"),
    "no_script": Text(
        "Sem JavaScript a página não se atualiza sozinha: recarregue para ver o andamento.",
        "Without JavaScript this page does not update itself: reload to see progress.",
    ),
    "close": Text("Fechar", "Close"),
    "copy": Text("copiar", "copy"),
    "copied": Text("copiado", "copied"),
    "tools_title": Text("Ferramentas", "Tools"),
    "tools_none": Text("Nenhuma ferramenta foi anunciada.", "No tool has been announced."),
    "price": Text("{price} créditos", "{price} credits"),
    "price_from": Text("{low}–{high} créditos", "{low}–{high} credits"),
    "run": Text("Processar · {price}", "Run · {price}"),
    "sending": Text("Enviando...", "Sending..."),
    "drop_image": Text("Solte a imagem aqui ou escolha", "Drop the image here, or choose"),
    "drop_video": Text("Solte o vídeo aqui ou escolha", "Drop the video here, or choose"),
    "change_file": Text("trocar", "change"),
    "media_limit": Text(
        "até {bytes}; reduzida a {side} px se for maior",
        "up to {bytes}; scaled down to {side} px if larger",
    ),
    "media_limit_video": Text(
        "até {bytes}, {seconds} s e {side} px de lado",
        "up to {bytes}, {seconds} s and {side} px a side",
    ),
    "or_url": Text("ou cole um endereço", "or paste an address"),
    "unset": Text("padrão", "default"),
    "not_chosen": Text("nenhuma", "none"),
    "my_jobs": Text("Seus jobs desta ferramenta", "Your jobs of this tool"),
    "no_jobs_yet": Text("Os jobs aparecem aqui, ao vivo.", "Jobs appear here, live."),
    "position": Text("Posição:", "Position:"),
    "why": Text("Por quê:", "Why:"),
    "high_demand": Text("Fila com alta demanda, já já!", "The queue is busy, almost there!"),
    "estimate": Text("estimativa", "estimate"),
    "progress": Text("Progresso", "Progress"),
    "cancel": Text("Cancelar", "Cancel"),
    "cancelling": Text("cancelando...", "cancelling..."),
    "failed_at": Text("Falhou em:", "Failed at:"),
    "failed_in": Text("Falhou em “{label}”: {message}", "Failed at “{label}”: {message}"),
    "error_toast": Text('Erro em "{label}": {message}', 'Error at "{label}": {message}'),
    "toast_tap": Text("Toque para ver detalhes", "Tap for details"),
    "details": Text("Ver Detalhes", "Details"),
    "retry": Text("Tentar Novamente", "Try Again"),
    "retry_price": Text("Tentar Novamente · {cost}", "Try Again · {cost}"),
    "returned": Text("{count} créditos devolvidos", "{count} credits returned"),
    "charged": Text("{count} créditos cobrados", "{count} credits charged"),
    "held": Text("{count} créditos reservados", "{count} credits reserved"),
    "free": Text("nada foi cobrado", "nothing was charged"),
    "before": Text("Antes", "Before"),
    "after": Text("Depois", "After"),
    "compare": Text("Comparar antes e depois", "Compare before and after"),
    "download": Text("Baixar", "Download"),
    "output": Text("Resultado", "Result"),
    "output_gone": Text("a saída não pôde ser salva", "the output could not be saved"),
    "open_job": Text("Abrir página do job", "Open job page"),
    "retry_of": Text("repete", "repeats"),
    "completed_in": Text("Pronto em {duration}", "Done in {duration}"),
    "cancelled_title": Text("Cancelado pelo usuário", "Cancelled by the user"),
    "job": Text("job", "job"),
    "tool": Text("ferramenta", "tool"),
    "task": Text("taskId", "taskId"),
    "trace": Text("trace", "trace"),
    "user": Text("usuário", "user"),
    "account": Text("conta", "account"),
    "attempt": Text("tentativa", "attempt"),
    "in_queue": Text("na fila", "in queue"),
    "at_provider": Text("provedor", "provider"),
    "total": Text("total", "total"),
    "callbacks": Text("callbacks", "callbacks"),
    "provider_cost": Text("custo RH", "RH cost"),
    "cost": Text("preço", "price"),
    "coins": Text("{count} moedas", "{count} coins"),
    "timeline": Text("Linha do tempo", "Timeline"),
    "ours": Text("nós", "ours"),
    "providers": Text("provedor", "provider"),
    "arriving_one": Text("1 passo chegando", "1 step arriving"),
    "arriving": Text("{count} passos chegando", "{count} steps arriving"),
    "left_out": Text("{count} eventos não listados", "{count} events not listed"),
    "no_steps": Text("O histórico ainda não chegou.", "The history has not arrived yet."),
    "times_in": Text("horários em", "times in"),
    "attempts": Text("Tentativas", "Attempts"),
    "no_attempts": Text("Nenhuma tentativa ainda.", "No attempt yet."),
    "outcome": Text("desfecho", "outcome"),
    "claimed_at": Text("vaga", "slot"),
    "ended_at": Text("fim", "end"),
    "ledger": Text("Créditos", "Credits"),
    "no_ledger": Text("Nenhum movimento.", "No movement."),
    "inputs": Text("Parâmetros", "Parameters"),
    "payloads": Text("Conteúdos brutos", "Raw payloads"),
    "no_payloads": Text("Nada guardado ainda.", "Nothing stored yet."),
    "as_it_came": Text("{bytes} como chegou", "{bytes} as it came"),
    "as_sent": Text("{bytes} como saiu", "{bytes} as sent"),
    "masked": Text("trechos ocultos: {count}", "masked ranges: {count}"),
    "cut": Text("guardado só em parte", "kept in part only"),
    "repeats": Text("repetiu {count}×", "came again {count}×"),
    "deciding": Text("decidiu o desfecho", "decided the outcome"),
    "pretty": Text("Formatado", "Formatted"),
    "raw": Text("Bruto", "Raw"),
    "headers": Text("Cabeçalhos", "Headers"),
    "empty_body": Text("Sem corpo.", "No body."),
    "binary_body": Text("{bytes} que não são texto", "{bytes} that are no text"),
    "shown_part": Text("Mostrados os primeiros {bytes}.", "The first {bytes} are shown."),
    "loading": Text("Carregando...", "Loading..."),
    "same_failure": Text("Mesma falha: {count} em 2 h", "Same failure: {count} in 2 h"),
    "same_failure_none": Text("Só este job, em 2 h", "Only this job, in 2 h"),
    "same_failure_who": Text("usuários: {users} · desde", "users: {users} · since"),
    "last_success": Text("Último sucesso desta ferramenta", "Last success of this tool"),
    "no_success": Text("Nenhum sucesso recente desta ferramenta", "No recent success of this tool"),
    "account_is": Text("Conta {name}: {health}", "Account {name}: {health}"),
    "slots": Text("{held} de {slots} vagas", "{held} of {slots} slots"),
    "paused": Text("pausada", "paused"),
    "jobs_title": Text("Jobs", "Jobs"),
    "all": Text("todos", "all"),
    "filter": Text("Filtrar", "Filter"),
    "status": Text("status", "status"),
    "created": Text("criado", "created"),
    "duration": Text("duração", "duration"),
    "step": Text("etapa", "step"),
    "next_page": Text("Mais antigos", "Older"),
    "first_page": Text("Mais novos", "Newest"),
    "no_jobs": Text("Nenhum job com estes filtros.", "No job matches these filters."),
    "all_users": Text("todos os usuários", "all users"),
    "find_title": Text("Busca por “{query}”", "Search for “{query}”"),
    "found_none": Text(
        "Nada encontrado. Busque por id do job, taskId, trace id, id da entrega, id do pedido, "
        "usuário ou URL de saída.",
        "Nothing found. Search by job id, taskId, trace id, delivery id, request id, user or "
        "output URL.",
    ),
    "matched": Text("achado por", "matched by"),
    "queue_title": Text("Fila", "Queue"),
    "running_now": Text("processando", "running"),
    "waiting_now": Text("esperando", "waiting"),
    "slots_free": Text("vagas livres", "free slots"),
    "global_limit": Text("limite global", "global limit"),
    "no_limit": Text("sem limite", "none"),
    "oldest": Text("mais antigo", "longest wait"),
    "accounts": Text("Contas", "Accounts"),
    "no_accounts": Text("Nenhuma conta configurada.", "No account configured."),
    "by_tool": Text("Por ferramenta", "By tool"),
    "last_error": Text("últimas palavras", "last words"),
    "health": Text("saúde", "health"),
    "load": Text("vagas", "slots"),
    "callback_loss": Text("sem callback", "no callback"),
    "callback_loss_is": Text(
        "Tentativas das últimas 24 h cujo fim nenhum callback avisou, de todas que terminaram",
        "Attempts of the last 24 h whose end no callback told, out of all that ended",
    ),
    "missing_part": Text("{what}: mostrado o que se sabe.", "{what}: shown is what is known."),
    "offline": Text("sem atualização ao vivo; consultando", "no live updates; polling"),
    "error_title": Text("Algo não deu certo", "Something went wrong"),
    "not_found_title": Text("Não encontrado", "Not found"),
    "away_title": Text("Sem resposta no momento", "No answer at the moment"),
    "try_again": Text("Tentar de novo", "Try again"),
    "go_home": Text("Ver ferramentas", "See the tools"),
    "reason": Text("motivo", "reason"),
    "active_job": Text("job em andamento", "job under way"),
    "unknown_side": Text("lado: desconhecido", "side: unknown"),
    "yes": Text("sim", "yes"),
    "no": Text("não", "no"),
}


def step_name(step: str, language: Language) -> str:
    """Return a step's name on the timeline; a step of a newer server stays its code."""
    found = STEPS.get(step)
    return found.name.to(language) if found else step


def live_label(step: str, language: Language) -> str:
    """Return what a step is called while it goes on."""
    found = STEPS.get(step)
    return found.live.to(language) if found else step


def failed_label(step: str, language: Language) -> str:
    """Return a step's label as it stands after "Falhou em:"."""
    return live_label(step, language).rstrip(".!")


def word(table: Mapping[str, Text], key: str, language: Language) -> str:
    """Return a word of one of the tables; what a newer server says stays as it is."""
    found = table.get(key)
    return found.to(language) if found else key
