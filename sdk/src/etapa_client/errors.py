"""Errors as classes: a caller catches `JobNotFoundError`, never a status code."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from etapa.queue.v1 import queue_pb2

_DETAILS_KEY = "grpc-status-details-bin"


class EtapaError(Exception):
    """Base of all errors of this client, and the class of reasons that it does not know.

    `reason` is the server's stable UPPER_SNAKE word, `facts` the values in the message, `code`
    the gRPC status, `retry_after_s` the pause the server asked for (0: none).
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "UNKNOWN",
        facts: Mapping[str, str] | None = None,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        retry_after_s: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.facts: Mapping[str, str] = dict(facts or {})
        self.code = code
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return self.message

    @property
    def trace_id(self) -> str:
        """The trace id that the server gave with an internal error; empty if none."""
        return self.facts.get("trace_id", "")


class _JobError(EtapaError):
    @property
    def job_id(self) -> str:
        """The job in question."""
        return self.facts.get("job_id", "")


class JobNotFoundError(_JobError):
    """No job has this id."""


class JobAlreadyFinalError(_JobError):
    """The job is completed, failed or cancelled, and stays so."""


class JobNotFinalError(_JobError):
    """The job is still open; only a final one can be tried again."""


class JobNotPendingError(_JobError):
    """The job's media was accepted already, so it can't be refused any more."""


class JobNotRetryableError(_JobError):
    """The job ended before its media had arrived; send it again as a new job."""


class JobNotQueuedError(_JobError):
    """The job does not wait in the queue."""


class RequestIdReusedError(EtapaError):
    """This request id was used before, for something else."""

    @property
    def request_id(self) -> str:
        """The request id in question."""
        return self.facts.get("request_id", "")


class TooManyActiveJobsError(EtapaError):
    """The user has as many active jobs as allowed."""

    @property
    def active_job_ids(self) -> tuple[str, ...]:
        """The active jobs."""
        joined = self.facts.get("active_job_ids", "") or self.facts.get("active_job_id", "")
        return tuple(part for part in joined.replace(" ", "").split(",") if part)


class UploadsFullError(EtapaError):
    """All seats for uploads and the line for them are taken. Nothing was made; try again soon."""


class ToolNotFoundError(EtapaError):
    """No tool has this name."""

    @property
    def tool(self) -> str:
        """The name asked for."""
        return self.facts.get("tool", "")


class AccountNotFoundError(EtapaError):
    """No provider account has this name."""

    @property
    def account(self) -> str:
        """The name asked for."""
        return self.facts.get("account", "")


class PayloadNotFoundError(EtapaError):
    """No payload has this id."""

    @property
    def payload_id(self) -> str:
        """The id asked for."""
        return self.facts.get("payload_id", "")


class InvalidInputError(EtapaError):
    """The request itself is wrong; the same request never works."""

    @property
    def field(self) -> str:
        """The culprit; empty where it is no single field."""
        return self.facts.get("field", "")


class InvalidIdError(InvalidInputError):
    """The text can't be an id; a well-formed id of no job is `JobNotFoundError`."""

    @property
    def value(self) -> str:
        """The text in question, its first 80 characters."""
        return self.facts.get("value", "")


class DeadlineRequiredError(InvalidInputError):
    """The call had no deadline."""


class SeqExpiredError(_JobError):
    """The events from that number on are no longer kept one by one. Read the trail instead."""


class CursorExpiredError(EtapaError):
    """The cursor is too old. Start again without one."""


class UnavailableError(EtapaError):
    """The server, or something it needs, is down. The same call may work soon."""


class DeadlineExceededError(EtapaError):
    """No answer came in time. Whether the call took effect is unknown."""


_REASONS: Mapping[str, type[EtapaError]] = {
    "JOB_NOT_FOUND": JobNotFoundError,
    "JOB_ALREADY_FINAL": JobAlreadyFinalError,
    "JOB_NOT_FINAL": JobNotFinalError,
    "JOB_NOT_PENDING": JobNotPendingError,
    "JOB_NOT_QUEUED": JobNotQueuedError,
    "JOB_NOT_RETRYABLE": JobNotRetryableError,
    "REQUEST_ID_REUSED": RequestIdReusedError,
    "TOO_MANY_ACTIVE_JOBS": TooManyActiveJobsError,
    "UPLOADS_FULL": UploadsFullError,
    "TOOL_NOT_FOUND": ToolNotFoundError,
    "ACCOUNT_NOT_FOUND": AccountNotFoundError,
    "PAYLOAD_NOT_FOUND": PayloadNotFoundError,
    "DEADLINE_REQUIRED": DeadlineRequiredError,
    "INVALID_ID": InvalidIdError,
    "SEQ_EXPIRED": SeqExpiredError,
    "CURSOR_EXPIRED": CursorExpiredError,
}
_CODES: Mapping[grpc.StatusCode, type[EtapaError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidInputError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
}
_STATUSES: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def error_from(call_error: aio.AioRpcError, address: str) -> EtapaError:
    """Turn a failed call into the error of its reason. Raise it `from call_error`."""
    info, retry_after_s, field = _details(call_error)
    code = call_error.code()
    if info is None:
        return _without_details(call_error, address)
    message = call_error.details() or info.reason
    return _named(code, message, info.reason, info.metadata, field, retry_after_s)


def error_from_refusal(refusal: queue_pb2.Refusal) -> EtapaError:
    """Turn the refusal of one request among several into what it would have raised by itself."""
    return _named(
        _STATUSES.get(refusal.code, grpc.StatusCode.UNKNOWN),
        refusal.message or refusal.reason,
        refusal.reason,
        refusal.facts,
        refusal.field,
        refusal.retry_delay.ToTimedelta().total_seconds(),
    )


def _named(
    code: grpc.StatusCode,
    message: str,
    reason: str,
    facts: Mapping[str, str],
    field: str,
    retry_after_s: float,
) -> EtapaError:
    kind = _REASONS.get(reason) or _CODES.get(code, EtapaError)
    known = dict(facts)
    if field:
        known.setdefault("field", field)
    return kind(message, reason=reason, facts=known, code=code, retry_after_s=retry_after_s)


def _details(call_error: aio.AioRpcError) -> tuple[error_details_pb2.ErrorInfo | None, float, str]:
    info: error_details_pb2.ErrorInfo | None = None
    retry_after_s, field = 0.0, ""
    for detail in _status_of(call_error).details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
            retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            field = bad.field_violations[0].field if bad.field_violations else ""
    return info, retry_after_s, field


def _status_of(call_error: aio.AioRpcError) -> status_pb2.Status:
    status = status_pb2.Status()
    metadata = call_error.trailing_metadata()
    raw = metadata.get(_DETAILS_KEY) if metadata is not None else None
    if isinstance(raw, bytes):
        try:
            status.ParseFromString(raw)
        except Exception:  # DecodeError differs between protobuf back ends; no details, then
            return status_pb2.Status()
    return status


def _without_details(call_error: aio.AioRpcError, address: str) -> EtapaError:
    code, said = call_error.code(), call_error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        message = (
            f"No Etapa service answers at {address} ({said}). "
            "Check the address and that the service is up (`make up`), then try again."
        )
        return UnavailableError(
            message, reason="UNAVAILABLE", facts={"address": address}, code=code
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        message = f"{address} gave no answer in time. Read the state again before repeating."
        return DeadlineExceededError(
            message, reason="DEADLINE_EXCEEDED", facts={"address": address}, code=code
        )
    kind = _CODES.get(code, EtapaError)
    message = said or f"{address} answered {code.name}."
    if code is grpc.StatusCode.UNIMPLEMENTED:
        message = f"{address} does not serve this call. Check that the address is that service's."
    return kind(message, reason=code.name, facts={"address": address}, code=code)
