"""Print the events that wait in the queue's outbox, a JSON line each, oldest first.

Usage: `python scripts/show_outbox.py postgresql://… [JOB_ID]`.
"""

from __future__ import annotations

import asyncio
import sys
from uuid import UUID

import asyncpg
from google.protobuf.json_format import MessageToJson

from etapa.observability.v1 import intake_pb2

_QUERY = (
    "SELECT body FROM queue.outbox WHERE $1::uuid IS NULL OR job_id = $1 ORDER BY id LIMIT 10000"
)


async def show(dsn: str, job_id: UUID | None) -> None:
    """Print up to 10,000 packs."""
    conn = await asyncpg.connect(dsn)
    try:
        for row in await conn.fetch(_QUERY, job_id):
            for event in intake_pb2.RecordEventsRequest.FromString(row["body"]).events:
                print(MessageToJson(event, indent=None, preserving_proto_field_name=True))
    finally:
        await conn.close()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    asyncio.run(show(sys.argv[1], UUID(sys.argv[2]) if len(sys.argv) == 3 else None))
