"""Brings a job's media to where the provider can use it: the account's uploads, or a URL.

Uploads are free to repeat and cached per account and digest for less than their life there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.queue import store_uploads
from services.queue.command import Payload
from services.queue.domain import MediaFile, Node
from services.queue.recorder import Recorder
from services.queue.store import Work
from services.runninghub.exchange import Transport
from services.runninghub.provider import Provider
from services.runninghub.request import Account, Media, NodeValue
from services.runninghub.verdicts import Stage, Verdict, classify, evidence_of
from services.runtime.blobs import BlobStore
from services.runtime.db import Pool
from services.runtime.media_links import sign_link
from services.runtime.tracing import trace_id_of

# An upload lives about a day at the provider (field report, docs/runninghub-api.md §2.6, 2026-09).
UPLOAD_LIFE = timedelta(hours=12)
LINK_LIFE = timedelta(hours=24)


class UploadRefusedError(Exception):
    """The media could not be brought to the account; nothing was started."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.words)
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as the account knows it."""

    file_name: str
    download_url: str


@dataclass(slots=True)
class Placed:
    """The node values of a start call, and the raw record of how they came to be."""

    nodes: tuple[NodeValue, ...] = ()
    payloads: list[Payload] = field(default_factory=list)


class Placement:
    """Places media for attempts. `public_url` is our gateway's, "" where there is none."""

    def __init__(
        self,
        pool: Pool,
        provider: Provider,
        blobs: BlobStore,
        recorder: Recorder,
        clock: Callable[[], datetime],
        *,
        public_url: str,
        media_key: bytes,
        time_scale: float = 1.0,
    ) -> None:
        self._pool = pool
        self._provider = provider
        self._blobs = blobs
        self._recorder = recorder
        self._clock = clock
        self._public_url = public_url
        self._media_key = media_key
        self._time_scale = time_scale

    async def place(self, work: Work, placed: Placed) -> None:
        """Fill in the nodes of the start call. Raises `UploadRefusedError`; bounded retries.

        `placed.payloads` grows call by call, so that it is true whatever ends this.
        """
        media = {m.name: m for m in work.submission.media}
        wanted = [media[name] for name in self._needs_upload(work.submission.nodes)]
        uploads = await self._known(work, wanted)
        for item in wanted:
            if item.sha256 not in uploads:
                uploads[item.sha256] = await self._upload(work, item, placed)
        placed.nodes = tuple(
            NodeValue(node.node_id, node.field_name, self._value(node, media, uploads))
            for node in work.submission.nodes
        )

    async def forget(self, work: Work) -> None:
        """Upload the job's media anew next time: the provider says that it has lost them."""
        digests = [item.sha256 for item in work.submission.media]
        async with self._pool.acquire() as conn:
            await store_uploads.forget_uploads(conn, work.account, digests)

    def _needs_upload(self, nodes: Sequence[Node]) -> list[str]:
        names = [node.media_file for node in nodes if node.media_file]
        if not self._public_url:
            names += [node.media_url for node in nodes if node.media_url]
        return list(dict.fromkeys(names))

    def _value(
        self, node: Node, media: Mapping[str, MediaFile], uploads: Mapping[str, Upload]
    ) -> str:
        if node.media_file:
            return uploads[media[node.media_file].sha256].file_name
        if not node.media_url:
            return node.text or ""
        item = media[node.media_url]
        if not self._public_url:
            # Unproven: nobody published a run that took an upload's own URL (read 2026-11-24).
            return uploads[item.sha256].download_url
        expires_at = int((self._clock() + LINK_LIFE).timestamp())
        return sign_link(self._public_url, self._media_key, item.sha256, item.file_name, expires_at)

    async def _known(self, work: Work, media: Sequence[MediaFile]) -> dict[str, Upload]:
        if not media:
            return {}
        async with self._pool.acquire() as conn:
            digests = [item.sha256 for item in media]
            known = await store_uploads.find_uploads(conn, work.account, digests, self._clock())
        return {sha256: Upload(*found) for sha256, found in known.items()}

    async def _upload(self, work: Work, item: MediaFile, placed: Placed) -> Upload:
        account = Account(work.account, work.base_url, work.api_key)
        tries = 0
        while True:
            call = await self._provider.upload(account, self._media(item))
            trace_id = trace_id_of(work.traceparent)
            placed.payloads += await self._recorder.exchange(
                call.exchange, work.attempt, [work.api_key], trace_id
            )
            if call.reply is not None and call.reply.is_ok:
                break
            if call.transport is Transport.NEVER_SENT:
                # The site itself is away: the account rests, the job keeps its place.
                raise UploadRefusedError(classify(evidence_of(Stage.START, None, call.transport)))
            verdict = classify(evidence_of(Stage.UPLOAD, call.reply, call.transport))
            auto = verdict.failure.auto
            if tries >= auto.max_retries or verdict.failure.name != "upload_failed":
                raise UploadRefusedError(verdict)
            await asyncio.sleep(auto.delay_s(tries) * self._time_scale)
            tries += 1
        upload = Upload(call.reply.file_name, call.reply.download_url)
        async with self._pool.acquire() as conn:
            expires_at = self._clock() + UPLOAD_LIFE
            await store_uploads.keep_upload(
                conn, work.account, item.sha256, upload.file_name, upload.download_url, expires_at
            )
        return upload

    def _media(self, item: MediaFile) -> Media:
        def read() -> AsyncIterator[bytes]:
            return self._blobs.stream(item.sha256)

        return Media(
            file_name=item.file_name,
            content_type=item.content_type,
            size_bytes=item.bytes,
            sha256=item.sha256,
            open=read,
        )
