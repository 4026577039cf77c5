"""The state machine: a job as it is, a command, and the time give what is to be written.

Pure. The job must be the one in the database, locked; then the answer is the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from services.queue import command as c
from services.queue import ending, outcome, start
from services.queue.domain import Change, JobState
from services.queue.draft import Draft
from services.queue.policy import Policy


def decide(job: JobState, command: c.Command, now: datetime, policy: Policy) -> Change:
    """Return the change that a command makes; raises a domain error where it may not.

    A change without events and without a touched attempt needs no write.
    """
    return RULES[type(command)](job, command, now, policy)


def _record(job: JobState, command: c.Record, now: datetime, policy: Policy) -> Change:
    draft = Draft(job, now, policy)
    draft.payloads(command.payloads)
    if command.note is not None:
        code, text, details = command.note
        draft.note(code, text, details)
    return draft.change


# A test holds that every command has its rule.
RULES: Mapping[type, Callable[[JobState, Any, datetime, Policy], Change]] = {
    c.BeginStart: start.begin_start,
    c.Accept: start.accept,
    c.Refuse: start.refuse,
    c.Release: start.release,
    c.LoseReply: start.lose_reply,
    c.SeeCallback: outcome.see_callback,
    c.Answer: outcome.answer,
    c.MissAnswer: outcome.miss_answer,
    c.NoteStop: outcome.note_stop,
    c.SaveOutputs: outcome.save_outputs,
    c.GiveUpOutputs: outcome.give_up_outputs,
    c.RejectMedia: ending.reject_media,
    c.AskCancel: ending.ask_cancel,
    c.CheckDeadline: ending.check_deadline,
    c.ExpireLease: ending.expire_lease,
    c.Record: _record,
}
