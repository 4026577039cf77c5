"""The typed values that RunningHub's replies about tasks are read into, of both generations."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from services.runninghub.json_shape import JsonObject


class TaskState(StrEnum):
    """What a report says about the task, or why it says nothing about it."""

    WAITING = "waiting"  # accepted, not yet running
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    BLANK = "blank"  # no status and no error: seen after a cancel (field report, 2026-09)
    NOT_FOUND = "not_found"  # unknown, expired, another account's, or not yet propagated
    CALL_REFUSED = "call_refused"  # the error is about our call; the task is untouched
    UNREADABLE = "unreadable"  # no JSON, or JSON of an unknown form

    @property
    def is_final(self) -> bool:
        """Whether the provider will change nothing more about the task."""
        return self in (TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED)


class StartOutcome(StrEnum):
    """What a reply to a start call settles."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # definitely not started
    DOUBTFUL = "doubtful"  # an error *and* a task id: query before believing either
    UNREADABLE = "unreadable"  # may have been accepted: submit unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What every reply has. `code` is "" when fine; `strange` tells what was not understood."""

    http_status: int = 200
    is_json: bool = True
    code: str = ""
    message: str = ""
    strange: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FailedReason:
    """ComfyUI's own account of a failure; every text as it came, nested JSON decoded.

    `node_name` is the node's class, not the user's title. Inputs may hold prompts of users.
    """

    exception_type: str = ""
    exception_message: str = ""
    node_name: str = ""
    node_id: str = ""
    traceback: tuple[str, ...] = ()
    current_inputs: object = None
    current_outputs: object = None


@dataclass(frozen=True, slots=True)
class Output:
    """One result: a file (`url`) or a text (`text`, `url` is then "")."""

    url: str
    node_id: str = ""
    output_type: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the provider charged, as the decimal texts it sent; None where it sent nothing.

    `task_cost_time` is in seconds.
    """

    consume_money: str | None = None
    consume_coins: str | None = None
    task_cost_time: str | None = None
    third_party_consume_money: str | None = None


@dataclass(frozen=True, slots=True)
class PromptTips:
    """The graph validation of a start reply. `node_errors` is {node id: ComfyUI's errors}."""

    result: bool | None = None
    error: str = ""
    node_errors: JsonObject = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether the whole graph is valid; an accepted task may still have invalid parts."""
        return self.result is not False and not self.node_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReport(Reply):
    """A task object of either generation; `status` is the provider's own word."""

    state: TaskState
    task_id: str = ""
    status: str = ""
    reason: FailedReason | None = None
    outputs: tuple[Output, ...] = ()
    usage: Usage = Usage()
    prompt_tips: PromptTips | None = None


@dataclass(frozen=True, slots=True)
class StartReply:
    """A reply to a start call: what it settles, and the task object beside it."""

    outcome: StartOutcome
    task: TaskReport

    @property
    def task_id(self) -> str:
        """The provider's task id; "" where it gave none."""
        return self.task.task_id
