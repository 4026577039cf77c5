"""A migrated database with partitions, and an intake that writes to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from etapa.observability.v1 import event_pb2, intake_pb2
from services.observability.delivery import DeliveryIntake
from services.observability.domain import StepChange
from services.observability.fold import Folded
from services.observability.intake import Intake
from services.observability.partition import ensure_partitions
from services.observability.store import SESSION
from services.observability.wire_intake import batch_from, deliveries_from
from services.runtime.blobs import BlobStore
from services.runtime.db import Pool, open_pool
from tests.support.postgres import MakeDatabase


@dataclass
class Desk:
    """The two intakes over one pool, fed with protos as the servicer would."""

    pool: Pool
    blobs: BlobStore
    committed: list[Folded] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.intake = Intake(self.pool, self.blobs, self.committed.append)
        self.deliveries = DeliveryIntake(self.pool, self.blobs, lambda: datetime.now(UTC))

    async def record(self, *events: event_pb2.Event) -> list[tuple[str, int, str]]:
        """Store copies of the events; return what was rejected."""
        request = intake_pb2.RecordEventsRequest(events=events)
        batch = batch_from(request, datetime.now(UTC))
        refused = await self.intake.record(batch.events)
        return batch.rejected + [(str(each.job_id), each.seq, why) for each, why in refused]

    async def deliver(self, *deliveries: intake_pb2.Delivery) -> None:
        """Store callbacks."""
        request = intake_pb2.RecordDeliveriesRequest(deliveries=deliveries)
        await self.deliveries.record(deliveries_from(request))

    @property
    def logged_steps(self) -> list[tuple[int, str]]:
        """The (seq, step) of each step that was told as recorded."""
        return [
            (event.seq, event.change.step)
            for each in self.committed
            for _, event in each.steps
            if isinstance(event.change, StepChange)
        ]


@pytest.fixture
async def pool(make_database: MakeDatabase) -> AsyncIterator[Pool]:
    dsn = await make_database(["observability"])
    pool = await open_pool(dsn, "test", max_size=4, settings=SESSION)
    await ensure_partitions(pool, datetime.now(UTC), 7)
    yield pool
    await pool.close()


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(str(tmp_path / "blobs"))


@pytest.fixture
def desk(pool: Pool, blobs: BlobStore) -> Desk:
    return Desk(pool, blobs)
