"""Between the protos of accounts, tools and credits and the domain."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration

from etapa.queue.v1 import credits_pb2, operations_pb2
from etapa_client.names import HEALTHS, LEDGER_KINDS
from services.queue import check
from services.queue.account import AccountSettings, AccountView
from services.queue.domain import BOOKS, BUCKETS, BadRequestError, LedgerEntry, TimeLimits
from services.queue.events import to_timestamp
from services.queue.ledger import DEFAULT_BUCKET, Grant
from services.queue.store_ledger import Balance, LedgerFilter
from services.queue.store_operations import Announcement

MAX_GRANT = 1_000_000_000


def account_to_proto(view: AccountView) -> operations_pb2.Account:
    """Convert an account; a key is not part of it."""
    return operations_pb2.Account(
        name=view.name,
        base_url=view.base_url,
        slots=view.slots,
        held=view.held,
        health=HEALTHS[view.health],
        rests_until=to_timestamp(view.rests_until) if view.rests_until else None,
        paused=view.paused,
        last_error=view.last_error,
        health_changed_at=to_timestamp(view.health_changed_at),
        ended_attempts=view.loss.ended_attempts,
        without_callback=view.loss.without_callback,
    )


def account_from(request: operations_pb2.SetAccountRequest) -> AccountSettings:
    """Read what is to be set of an account; what is unset stays as it is."""
    return AccountSettings(
        name=request.name,
        base_url=request.base_url if request.HasField("base_url") else None,
        api_key=request.api_key if request.HasField("api_key") else None,
        slots=request.slots if request.HasField("slots") else None,
        paused=request.paused if request.HasField("paused") else None,
        reset_health=request.reset_health,
    )


def announcement_from(message: operations_pb2.ToolAnnouncement) -> Announcement:
    """Read what the catalogue says of a tool."""
    prices = {each.variant: each.credits for each in message.variants}
    if len(prices) < len(message.variants):
        raise BadRequestError(f"{message.name[:80]} names a variant twice", "tools.variants")
    limits = message.time_limits
    return Announcement(
        name=message.name,
        view=message.view,
        label_pt=message.label_pt,
        label_en=message.label_en,
        output_kind=message.output_kind,
        limits=TimeLimits(
            upload_s=_seconds(limits.upload),
            queue_wait_s=_seconds(limits.queue_wait),
            start_s=_seconds(limits.start),
            run_s=_seconds(limits.run),
            finalise_s=_seconds(limits.finalise),
        ),
        prices=prices,
    )


def grant_from(request: credits_pb2.GrantCreditsRequest) -> Grant:
    """Read and check a wish to add credits."""
    bucket = request.bucket or DEFAULT_BUCKET
    if bucket not in BUCKETS:
        raise BadRequestError(f"bucket {bucket[:80]!r} is none of {', '.join(BUCKETS)}", "bucket")
    return Grant(
        request_id=check.text("request_id", request.request_id, check.MAX_NAME, least=1),
        user_id=check.text("user_id", request.user_id, check.MAX_NAME, least=1),
        bucket=bucket,
        amount=check.whole("amount", request.amount, 1, MAX_GRANT),
    )


def ledger_filter_from(request: credits_pb2.ListLedgerRequest) -> LedgerFilter:
    """Read and check whose entries are wanted."""
    user_id = check.text("user_id", request.user_id, check.MAX_NAME)
    if not user_id and not request.job_id:
        raise BadRequestError("give user_id or job_id", "user_id")
    job_id = check.job_id(request.job_id) if request.job_id else None
    return LedgerFilter(user_id, job_id)


def balances_to_proto(balances: Sequence[Balance]) -> credits_pb2.GetBalanceResponse:
    """Convert balances, with their sums."""
    return credits_pb2.GetBalanceResponse(
        available=sum(each.available for each in balances),
        reserved=sum(each.reserved for each in balances),
        balances=[
            credits_pb2.Balance(
                bucket=each.bucket, available=each.available, reserved=each.reserved
            )
            for each in balances
        ],
    )


def entry_to_proto(entry: LedgerEntry) -> credits_pb2.LedgerEntry:
    """Convert one movement of credits."""
    debit, credit = BOOKS[entry.kind]
    return credits_pb2.LedgerEntry(
        entry_id=str(entry.entry_id),
        user_id=entry.user_id,
        job_id=str(entry.job_id) if entry.job_id else "",
        kind=LEDGER_KINDS[entry.kind],
        bucket=entry.bucket,
        amount=entry.amount,
        created_at=to_timestamp(entry.created_at),
        debit=debit,
        credit=credit,
    )


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
