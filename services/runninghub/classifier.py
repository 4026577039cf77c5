"""Finds the class of a failure: the exact error code first, then the words, else `unknown`.

Pure; the rules are data in `verdict_table`. Callers come in through `verdicts`.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.runninghub.exchange import Transport
from services.runninghub.failure import FailureClass, Stage
from services.runninghub.json_shape import as_words
from services.runninghub.report import (
    FailedReason,
    PromptTips,
    Reply,
    StartReply,
    TaskReport,
    TaskState,
)
from services.runninghub.verdict_table import (
    CLASSES,
    CODES,
    HTTP_STATUSES,
    MESSAGES,
    MNEMONICS,
    REASONS,
    UNSETTLED_AT_START,
)

# Ends that are no error of the provider's: whoever calls them a failure says why.
_ENDED_FINE = (TaskState.SUCCEEDED, TaskState.CANCELLED, TaskState.BLANK)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that may tell what a failure is. `code` is "" where the provider gave none."""

    stage: Stage
    code: str = ""
    message: str = ""
    reason: FailedReason | None = None
    prompt_tips: PromptTips | None = None
    http_status: int | None = None
    is_json: bool = True
    transport: Transport = Transport.REPLIED
    state: TaskState | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A class, the words it rests on, unchanged, and the rule that chose it ("code 421")."""

    failure: FailureClass
    stage: Stage
    words: str
    rule: str

    @property
    def error_class(self) -> str:
        """The class's name, as stored."""
        return self.failure.name

    @property
    def failed_at_step(self) -> str:
        """The step code where the cause lies."""
        return self.stage.step


def classify(evidence: Evidence) -> Verdict:
    """Return the verdict on one failure; what no rule knows is `unknown`, never a guess."""
    name, rule = _judge(evidence)
    words = _words(evidence.reason, evidence.message, evidence.code)
    return Verdict(CLASSES[name], evidence.stage, words or _no_words(evidence), rule)


def evidence_of(
    stage: Stage,
    reply: Reply | StartReply | None = None,
    transport: Transport = Transport.REPLIED,
) -> Evidence:
    """Gather the evidence of one call; `reply` is None where none came."""
    if isinstance(reply, StartReply):
        reply = reply.task
    if reply is None:
        return Evidence(stage, transport=transport)
    task = reply if isinstance(reply, TaskReport) else None
    return Evidence(
        stage=stage,
        code=reply.code,
        message=reply.message,
        reason=task.reason if task else None,
        prompt_tips=task.prompt_tips if task else None,
        http_status=reply.http_status,
        is_json=reply.is_json,
        transport=transport,
        state=task.state if task else None,
    )


def error_words(reply: Reply) -> str:
    """Return the provider's most informative words, unchanged; "" where it gave none.

    `failedReason` comes first: the message beside it is often only "the workflow failed".
    """
    reason = reply.reason if isinstance(reply, TaskReport) else None
    return _words(reason, reply.message, reply.code)


def _judge(evidence: Evidence) -> tuple[str, str]:
    if evidence.transport is not Transport.REPLIED:
        return _silent(evidence), f"transport {evidence.transport}"
    code = _known_code(evidence.code)
    if evidence.stage is Stage.START and code in UNSETTLED_AT_START:
        return "submit_unknown", f"code {code} at start"
    rule = CODES.get(code)
    if rule is not None and not rule.refine:
        return rule.class_name, f"code {code}"
    by_words = _judge_words(evidence)
    if by_words is not None:
        return by_words
    if rule is not None:
        return rule.class_name, f"code {code}"
    if evidence.code or evidence.reason is not None:
        return "unknown", "no rule"
    return _wordless(evidence)


def _judge_words(evidence: Evidence) -> tuple[str, str] | None:
    for part in (evidence.message, *evidence.message.split("|")):
        word = part.strip()
        by_mnemonic = MNEMONICS.get(word.partition("(")[0])
        if by_mnemonic is not None and not CODES[by_mnemonic].refine:
            return CODES[by_mnemonic].class_name, f"message {word.partition('(')[0]}"
        if word.casefold() in MESSAGES:
            return MESSAGES[word.casefold()], "message"
    subject = _subject(evidence)
    for name, pattern in REASONS:
        match = pattern.search(subject)
        if match is not None:
            return name, f"words {match.group(0)[:80]!r}"
    return None


def _subject(evidence: Evidence) -> str:
    reason, tips = evidence.reason, evidence.prompt_tips
    parts = [f"{reason.exception_type}: {reason.exception_message}"] if reason else []
    parts.append(evidence.message)
    if tips is not None and not tips.is_clean:
        parts += [tips.error, as_words(tips.node_errors)]
    return "\n".join(parts)


def _silent(evidence: Evidence) -> str:
    """Judge a call that got no whole reply."""
    if evidence.stage is Stage.UPLOAD:
        return "upload_failed"
    if evidence.stage is Stage.START and evidence.transport is Transport.SENT_NO_REPLY:
        return "submit_unknown"
    return "provider_unreachable"


def _wordless(evidence: Evidence) -> tuple[str, str]:
    """Judge a reply without error code: a page of an edge, or JSON of an unknown form."""
    status = evidence.http_status
    if status in HTTP_STATUSES:
        return HTTP_STATUSES[status], f"HTTP {status}"
    form = f"HTTP {status}, " + ("unknown JSON" if evidence.is_json else "no JSON")
    if evidence.stage is Stage.START:
        return "submit_unknown", form
    if not evidence.is_json or (status or 0) >= 500:
        return ("upload_failed" if evidence.stage is Stage.UPLOAD else "edge_error"), form
    return "unknown", "no rule"


def _known_code(code: str) -> str:
    """Return the number of a code that came as a mnemonic; any other code as it is."""
    return MNEMONICS.get(code.partition("(")[0].upper(), code)


def _words(reason: FailedReason | None, message: str, code: str) -> str:
    if reason is not None and (reason.exception_type or reason.exception_message):
        return ": ".join(filter(None, (reason.exception_type, reason.exception_message)))
    return message or code


def _no_words(evidence: Evidence) -> str:
    """Say what was met where the provider said nothing: a fact, not an interpretation."""
    if evidence.transport is not Transport.REPLIED:
        return f"no reply ({evidence.transport})"
    if evidence.http_status is None or evidence.state in _ENDED_FINE:
        return ""
    if evidence.state is TaskState.FAILED:
        return "status FAILED, without a word of why"
    return f"HTTP {evidence.http_status}" + ("" if evidence.is_json else ", no JSON")
