"""The verdict table as data: classes, error codes, message words, `failedReason` patterns.

Codes: docs/runninghub-api.md §5; words and patterns: its §6 (read 2026-11-24). Only `verdicts`
reads this; the texts for users are in `verdict_texts`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from services.runninghub.failure import (
    AccountEffect,
    AutoRetry,
    FailureClass,
    RetryWorth,
    Side,
    Stage,
)

_USER, _CONFIG, _ACCOUNT, _PROVIDER, _US = Side
_NO, _AS_IS, _CHANGED = RetryWorth
_UNAUTHORIZED, _NO_MONEY = AccountEffect.UNAUTHORIZED, AccountEffect.NO_MONEY
_FULL = AccountEffect.FULL

_ROWS: Final = (
    # --- reported by the provider about a run
    # Off by default: the larger machine costs more. Raise max_retries to allow one try on it.
    FailureClass(
        "gpu_oom", _CONFIG, _CHANGED, Stage.RUN, AutoRetry(0, (5.0,), instance_type="plus")
    ),
    FailureClass("moderation", _USER, _CHANGED, Stage.RUN),
    FailureClass("node_missing", _CONFIG, _NO, Stage.RUN),
    FailureClass("model_missing", _CONFIG, _NO, Stage.RUN),
    FailureClass("input_unreadable", _USER, _CHANGED, Stage.RUN),
    FailureClass("file_processing_failed", _USER, _CHANGED, Stage.RUN, AutoRetry(1, (10.0,))),
    FailureClass("infra", _PROVIDER, _AS_IS, Stage.RUN, AutoRetry(2, (10.0, 30.0))),
    FailureClass("timeout", _PROVIDER, _AS_IS, Stage.RUN, AutoRetry(1, (15.0,))),
    FailureClass("generation_failed", _PROVIDER, _AS_IS, Stage.RUN, AutoRetry(1, (10.0,))),
    FailureClass("no_output", _PROVIDER, _AS_IS, Stage.RUN),
    FailureClass("task_lost", _PROVIDER, _AS_IS, Stage.RUN),
    FailureClass("cancelled_at_provider", _ACCOUNT, _AS_IS, Stage.RUN),
    # --- our account at the provider
    FailureClass(
        "account_full",
        _ACCOUNT,
        _AS_IS,
        Stage.START,
        AutoRetry(0, (30.0, 60.0, 120.0)),
        counts_as_attempt=False,
        account_effect=_FULL,
    ),
    FailureClass(
        "rate_limited",
        _ACCOUNT,
        _AS_IS,
        Stage.START,
        AutoRetry(0, (10.0, 30.0, 60.0)),
        counts_as_attempt=False,
        account_effect=_FULL,
    ),
    # These two end the account's turn, not the job's: another account may take it.
    FailureClass(
        "account_unauthorized",
        _ACCOUNT,
        _NO,
        Stage.START,
        AutoRetry(0, (5.0,)),
        counts_as_attempt=False,
        account_effect=_UNAUTHORIZED,
    ),
    FailureClass(
        "account_no_money",
        _ACCOUNT,
        _NO,
        Stage.START,
        AutoRetry(0, (5.0,)),
        counts_as_attempt=False,
        account_effect=_NO_MONEY,
    ),
    FailureClass("account_machine", _ACCOUNT, _NO, Stage.START),
    # --- the tool's definition
    FailureClass("config_node_mismatch", _CONFIG, _NO, Stage.START),
    FailureClass("config_app_missing", _CONFIG, _NO, Stage.START),
    FailureClass("config_workflow", _CONFIG, _NO, Stage.START),
    # --- between us and the provider
    FailureClass("provider_busy", _PROVIDER, _AS_IS, Stage.START, AutoRetry(3, (10.0, 30.0, 60.0))),
    FailureClass("edge_error", _PROVIDER, _AS_IS, Stage.START, AutoRetry(2, (10.0, 30.0))),
    FailureClass(
        "provider_unreachable",
        _PROVIDER,
        _AS_IS,
        Stage.START,
        AutoRetry(0, (2.0, 5.0, 15.0, 30.0)),
        counts_as_attempt=False,
    ),
    FailureClass("submit_unknown", _PROVIDER, _AS_IS, Stage.START),
    FailureClass(
        "upload_failed",
        _PROVIDER,
        _AS_IS,
        Stage.UPLOAD,
        AutoRetry(5, (2.0, 4.0, 8.0, 16.0, 40.0)),
        counts_as_attempt=False,
    ),
    FailureClass("output_gone", _PROVIDER, _AS_IS, Stage.FINALISE),
    # Its file host failed, or sent something else; in `output_unsavable` our side failed.
    FailureClass("output_undelivered", _PROVIDER, _AS_IS, Stage.FINALISE),
    FailureClass("output_unsavable", _US, _AS_IS, Stage.FINALISE),
    # --- the user's request
    FailureClass("file_too_big", _USER, _CHANGED, Stage.MEDIA),
    FailureClass("bad_media", _USER, _CHANGED, Stage.MEDIA),
    FailureClass("media_unreachable", _USER, _CHANGED, Stage.MEDIA),
    FailureClass("upload_timeout", _USER, _AS_IS, Stage.MEDIA),
    FailureClass("upload_truncated", _USER, _AS_IS, Stage.MEDIA),
    FailureClass("no_credits", _USER, _CHANGED, Stage.CREDITS),
    FailureClass("cancelled", _USER, _AS_IS, Stage.QUEUE),
    # --- Etapa itself
    FailureClass("queue_timeout", _US, _AS_IS, Stage.QUEUE),
    FailureClass("start_timeout", _US, _AS_IS, Stage.START),
    FailureClass("input_missing", _US, _AS_IS, Stage.RUN, AutoRetry(1, (2.0,))),
    FailureClass("client_fault", _US, _NO, Stage.START),
    FailureClass("internal", _US, _AS_IS, Stage.START),
    # The words of the provider are all there is: its side until a rule knows better.
    FailureClass("unknown", _PROVIDER, _AS_IS, Stage.RUN),
)
CLASSES: Final = {row.name: row for row in _ROWS}


@dataclass(frozen=True, slots=True)
class CodeRule:
    """What one error code means. `refine`: words beside it may name a narrower class."""

    class_name: str
    refine: bool = False
    mnemonic: str = ""


CODES: Final = {
    "1": CodeRule("unknown", refine=True),  # catch-all of v1: only the words tell
    "301": CodeRule("client_fault", mnemonic="PARAMS_INVALID"),
    "380": CodeRule("config_app_missing", mnemonic="WORKFLOW_NOT_EXISTS"),
    "401": CodeRule("account_unauthorized", mnemonic="APIKEY_INVALID"),
    "412": CodeRule("client_fault", mnemonic="TOKEN_INVALID"),
    "415": CodeRule("account_full", mnemonic="TASK_INSTANCE_MAXED"),
    "416": CodeRule("account_no_money", mnemonic="TASK_CREATE_FAILED_BY_NOT_ENOUGH_WALLET"),
    "421": CodeRule("account_full", mnemonic="TASK_QUEUE_MAXED"),
    "423": CodeRule("task_lost", mnemonic="TASK_NOT_FOUNED"),
    "433": CodeRule("config_workflow", refine=True, mnemonic="VALIDATE_PROMPT_FAILED"),
    "435": CodeRule("account_machine", mnemonic="TASK_USER_EXCLAPI_INSTANCE_NOT_FOUND"),
    "436": CodeRule("account_unauthorized", mnemonic="TASK_USER_EXCLAPI_REQUIRED"),
    "500": CodeRule("infra", refine=True, mnemonic="UNKNOWN_ERROR"),
    "605": CodeRule("account_no_money"),
    "801": CodeRule("account_unauthorized", mnemonic="APIKEY_UNSUPPORTED_FREE_USER"),
    "802": CodeRule("account_unauthorized", mnemonic="APIKEY_UNAUTHORIZED"),
    "803": CodeRule("config_node_mismatch", mnemonic="APIKEY_INVALID_NODE_INFO"),
    "805": CodeRule("unknown", refine=True, mnemonic="APIKEY_TASK_STATUS_ERROR"),
    "806": CodeRule("account_unauthorized", mnemonic="APIKEY_USER_NOT_FOUND"),
    "807": CodeRule("task_lost", mnemonic="APIKEY_TASK_NOT_FOUND"),
    "808": CodeRule("upload_failed", mnemonic="APIKEY_UPLOAD_FAILED"),
    "809": CodeRule("file_too_big", mnemonic="APIKEY_FILE_SIZE_EXCEEDED"),
    "810": CodeRule("config_workflow", mnemonic="WORKFLOW_NOT_SAVED_OR_NOT_RUNNING"),
    "811": CodeRule("account_unauthorized", mnemonic="CORPAPIKEY_INVALID"),
    "812": CodeRule("account_no_money", mnemonic="CORPAPIKEY_INSUFFICIENT_FUNDS"),
    "814": CodeRule("account_full", mnemonic="PERSONAL_QUEUE_COUNT_LIMIT"),
    "901": CodeRule("config_app_missing", mnemonic="WEBAPP_NOT_EXISTS"),
    "1000": CodeRule("infra", refine=True),
    "1001": CodeRule("client_fault"),
    "1002": CodeRule("account_unauthorized"),
    "1003": CodeRule("rate_limited"),
    "1004": CodeRule("task_lost"),
    "1005": CodeRule("infra", refine=True),
    "1006": CodeRule("timeout"),
    "1007": CodeRule("client_fault"),
    "1008": CodeRule("file_too_big"),
    "1009": CodeRule("client_fault"),
    "1010": CodeRule("provider_busy"),
    "1011": CodeRule("provider_busy"),
    "1012": CodeRule("infra", refine=True),
    "1013": CodeRule("file_processing_failed", refine=True),
    "1014": CodeRule("account_machine"),
    "1015": CodeRule("generation_failed", refine=True),
    "1101": CodeRule("config_node_mismatch", mnemonic="NODE_INFO_MISMATCH"),
    "1404": CodeRule("model_missing"),
    "1500": CodeRule("config_app_missing"),
    "1501": CodeRule("moderation"),
    "1504": CodeRule("timeout"),
    "1505": CodeRule("moderation"),
    "1520": CodeRule("account_full"),
    "1601": CodeRule("account_unauthorized"),
}
MNEMONICS: Final = {rule.mnemonic: code for code, rule in CODES.items() if rule.mnemonic}

# Codes after which a start may nevertheless have been accepted (§5: "submit only as unknown").
UNSETTLED_AT_START: Final = frozenset({"500", "1000"})

# Whole messages, lower case, that name a cause where the code does not. Never a part of one: 801
# to 813 nearly all begin with APIKEY_, so a loose match would condemn healthy keys.
MESSAGES: Final = {
    "api key不存在": "account_unauthorized",
    "apikey verification failed": "account_unauthorized",
    "api queue limit reached, please retry later": "account_full",
    "task not found or expired": "task_lost",
    "content verification failed": "moderation",
}

# HTTP statuses of replies that carry no error code of RunningHub; only those that settle that
# nothing was accepted. 401 and 429: §1.3 and §5; the others: RFC 9110.
HTTP_STATUSES: Final = {
    301: "client_fault",
    302: "client_fault",
    307: "client_fault",
    308: "client_fault",
    400: "edge_error",
    401: "account_unauthorized",
    403: "edge_error",
    404: "client_fault",
    405: "client_fault",
    411: "client_fault",
    413: "file_too_big",
    414: "client_fault",
    415: "client_fault",
    429: "rate_limited",
}

_MODEL_FILE = r"\.(?:safetensors|ckpt|pth|pt|gguf|onnx|bin)\b"


def _rule(class_name: str, *patterns: str) -> tuple[str, re.Pattern[str]]:
    return class_name, re.compile("|".join(patterns), re.IGNORECASE)


# Tried in this order on "exception_type: exception_message" (or the message where there is no
# failedReason). Precise signals of one cause stand before general ones.
REASONS: Final = (
    _rule(
        "gpu_oom",
        r"OutOfMemoryError",
        r"allocation on device\b",
        r"\bCUDA(?: error:)? out of memory",
        r"would exceed allowed memory",
        r"\bVRAM (?:overflow|exhausted)",
        r"显存",
    ),
    _rule(
        "moderation",
        r"\bporn",
        r"\bnsfw\b",
        r"\bsensitive (?:content|information|words?|image|material)",
        r"\bcontains sensitive\b",
        r"\bprohibited\b",
        r"敏感|色情|违规|审核未通过",
    ),
    _rule(
        "infra",
        r"stale file handle",
        r"connection (?:reset|aborted|refused|timed out)",
        r"no space left",
        r"max retries exceeded",
        r"upstream (?:is )?saturated",
        r"上游负载已饱和",
    ),
    _rule(
        "input_unreadable",
        r"UnidentifiedImageError",
        r"cannot identify image file",
        r"could not be loaded with cv",
        r"image file is truncated",
        r"DecompressionBombError",
    ),
    _rule(
        "model_missing",
        r"value[ _]not[ _]in[ _]list",
        rf"no such file or directory.*{_MODEL_FILE}",
        rf"{_MODEL_FILE}.*(?:not found|does not exist|no such file)",
    ),
    _rule(
        "node_missing",
        r"missing_node_type",
        r"node type not found",
        r"\bnode\b.{0,200}\bdoes not exist",
        r"\bnode .{0,200}\bnot found\b",
    ),
    # What we uploaded, or the signed link that we gave, was not there when the node wanted it.
    _rule(
        "input_missing",
        r"invalid (?:image|video|audio) file",
        r"no such file.*/input/",
        r"\b4\d\d client error\b.*\bfor url\b",
    ),
    _rule("timeout", r"\btimed out\b", r"\bTimeoutError\b", r"超时"),
)
