"""JSON log lines on stdout: one set-up, one shape, every line joined by job and trace ids.

Usage: `log = get_log(__name__)`, then `log.info("job_claimed", job_id=..., attempt=...)`.
The event word is a past-tense action; a step line is the one exception: its message is
`[upscaler_jobs] Job <id>: <step>` as the plan has it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, MutableMapping
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import structlog
from opentelemetry import trace

from services.runtime.redact import redact_text

_bulk_fields: dict[str, str] = {}


def set_up_logging(service: str, level: str = "INFO") -> None:
    """Send structlog and the standard library's logging to stdout as JSON lines."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_service(service),
        _add_trace,
        structlog.processors.format_exc_info,
        _redact,
    ]
    render = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    structlog.configure(
        processors=[*shared, _rename_event, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _rename_event,
                render,
            ],
        )
    )
    _bulk_fields["service"] = service
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


def get_log(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of a module."""
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(module=name))


def write_lines(module: str, lines: Iterable[str]) -> None:
    """Write many INFO lines at once, in order, at a small part of what as many calls would cost.

    Each is given as the members of a JSON object, without its braces and on one line; a `message`
    is among them. Added is what is the same in all: no trace of the context. Secrets are masked.
    """
    if not structlog.get_logger().is_enabled_for(logging.INFO):
        return
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    common = {"level": "info", "timestamp": now, "module": module, **_bulk_fields}
    rest = "," + msgspec.json.encode(common).decode()[1:] + "\n"
    sys.stdout.write(redact_text("".join([f"{{{line}{rest}" for line in lines])))
    sys.stdout.flush()


def _add_service(service: str) -> structlog.typing.Processor:
    def add(_log: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        return event

    return add


def _add_trace(
    _log: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event.setdefault("trace_id", f"{context.trace_id:032x}")
        event.setdefault("span_id", f"{context.span_id:016x}")
    return event


def _redact(_log: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = redact_text(value)
    return event


def _rename_event(
    _log: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    event["message"] = event.pop("event", "")
    return event
