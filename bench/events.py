"""Events as the queue would tell them, for figures that speak to observability alone. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from etapa.observability.v1 import event_pb2, intake_pb2
from etapa.queue.v1 import job_pb2
from services.runtime.ids import new_id


class Story:
    """One job's events, one after the other: first its upload, then as many steps as are wanted."""

    def __init__(self, tool: str = "bench_text", user_id: str = "user-0000") -> None:
        self.job_id = str(new_id())
        self.seq = 0
        self._trace_id = new_id().hex
        self._tool, self._user_id = tool, user_id

    def next(self) -> event_pb2.Event:
        """Return the next step."""
        self.seq += 1
        event = event_pb2.Event(
            job_id=self.job_id,
            seq=self.seq,
            attempt=1,
            trace_id=self._trace_id,
            step=event_pb2.StepEvent(
                step=job_pb2.STEP_UPLOAD if self.seq == 1 else job_pb2.STEP_RUNNING,
                status=(
                    job_pb2.JOB_STATUS_PENDING if self.seq == 1 else job_pb2.JOB_STATUS_RUNNING
                ),
                details_json='{"taskId":"1900000000000000001","attempt":1}',
            ),
        )
        if self.seq == 1:
            event.step.facts.CopyFrom(self._facts())
        event.occurred_at.FromDatetime(datetime.now(UTC))
        return event

    def _facts(self) -> event_pb2.JobFacts:
        return event_pb2.JobFacts(
            tool=self._tool,
            variant="standard",
            user_id=self._user_id,
            cost=1,
            input_json='{"ref":"none"}',
            caller="bench",
            request_id=self.job_id,
        )


def batches(stories: list[Story], rounds: int, size: int) -> Iterator[list[event_pb2.Event]]:
    """Yield `rounds` events of every story, in batches of `size`."""
    batch: list[event_pb2.Event] = []
    for _ in range(rounds):
        for story in stories:
            batch.append(story.next())
            if len(batch) == size:
                yield batch
                batch = []
    if batch:
        yield batch


def numbered(number: int, events: list[event_pb2.Event]) -> intake_pb2.RecordEventsRequest:
    """Return one request of RecordEvents."""
    return intake_pb2.RecordEventsRequest(batch=number, events=events)
