"""Looks into a video within a tool's limits, and re-encodes what the provider can't play.

Runs in a media worker. The file's own claims are checked against its packets: length and
completeness are measured, and one frame must decode.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from services.tools.domain import (
    MediaKindError,
    MediaTooCostlyError,
    MediaTruncatedError,
    MediaUnreadableError,
    Text,
    TooManyPixelsError,
    VideoTooLongError,
)
from services.tools.tool import MediaInput
from services.tools.transcode import transcode_to_h264
from services.tools.worker_wire import Ready

# Cameras and trim dialogs overshoot by some frames.
GRACE_S = 0.25
# 10 s at 240 frames a second is 2,400; more packets than this is an attack.
MAX_PACKETS = 20_000
# A file whose packets end this much before its declared length was cut off.
MISSING_S = 0.5
# What the provider's loader plays. AV1 fails there (docs/runninghub-api.md §2.6, read 2026-11-24),
# and who exports it (screen recorders, browsers) seldom has a switch for it: so AV1, and any
# other codec, is re-encoded to H.264 rather than refused.
PLAYABLE = frozenset({"h264", "hevc", "vp8", "vp9", "mpeg4"})
# Other system errors are no proof: FFmpeg says EIO of a malformed file (FFmpeg 8, tried).
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DEMUXERS = {"video/webm": "matroska"}


@dataclass(frozen=True, slots=True)
class _Measured:
    seconds: float
    frames_decoded: bool
    damaged: bool


def prepare_video(source: Path, target: Path, content_type: str, rule: MediaInput) -> Ready:
    """Return the video's facts; write `target` only where it had to be re-encoded.

    Raises a `BadMediaError`.
    """
    try:
        return _prepare(source, target, content_type, rule)
    except av.error.FFmpegError as err:
        if err.errno in _DISK_FULL:
            raise
        raise _unreadable(rule, str(err)) from err


def _prepare(source: Path, target: Path, content_type: str, rule: MediaInput) -> Ready:
    with _open(source, content_type) as container:
        stream = _picture(container, rule)
        codec, width, height = stream.codec_context.name, stream.width, stream.height
        _check_side(width, height, rule)
        declared_s = _declared_s(container, stream)
        measured = _measure(container, stream, rule)
    _check_whole(measured, declared_s, rule)
    seconds = round(measured.seconds, 3)
    if codec in PLAYABLE:
        return Ready(
            content_type=content_type, width=width, height=height, duration_s=seconds, same=True
        )
    with _open(source, content_type) as container:
        width, height = transcode_to_h264(container, target)
    return Ready(content_type="video/mp4", width=width, height=height, duration_s=seconds)


def _open(source: Path, content_type: str) -> InputContainer:
    # The demuxer is fixed by the sniffed type and may open this one file only: FFmpeg's
    # playlist formats would read other files and URLs on the sender's behalf.
    return av.open(
        str(source),
        format=_DEMUXERS.get(content_type, "mov"),
        options={"protocol_whitelist": "file", "enable_drefs": "0"},
        metadata_errors="replace",  # titles in Latin-1 are common
    )


def _picture(container: InputContainer, rule: MediaInput) -> VideoStream:
    for stream in container.streams.video:
        if stream.disposition & av.stream.Disposition.attached_pic:
            continue
        if stream.codec_context is None:  # as FFmpeg knows no decoder for it
            raise _unreadable(rule, "unknown codec")
        return stream
    raise MediaKindError(
        rule.name,
        Text(
            "O arquivo não tem imagem, só som. Envie um vídeo.",
            "The file has no picture, only sound. Send a video.",
        ),
    )


def _check_side(width: int, height: int, rule: MediaInput) -> None:
    if 0 < max(width, height) <= rule.max_side_px:
        return
    size, limit = f"{width}×{height}", rule.max_side_px
    raise TooManyPixelsError(
        rule.name,
        Text(
            f"O vídeo tem {size} pixels; o lado maior pode ter até {limit}. Reduza-o e envie.",
            f"The video has {size} pixels; its longest side may have {limit}. Scale it down.",
        ),
        {"width": str(width), "height": str(height), "limit": str(limit)},
    )


def _declared_s(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _measure(container: InputContainer, stream: VideoStream, rule: MediaInput) -> _Measured:
    """Walk over all packets; stop as soon as they are too many or reach too far."""
    time_base = stream.time_base or Fraction(1, 1000)
    first: int | None = None
    end = 0
    decoded = damaged = False
    for count, packet in enumerate(container.demux(stream)):
        if count > MAX_PACKETS:
            raise _too_many_packets(rule)
        damaged = damaged or packet.is_corrupt
        if packet.pts is not None:
            first = packet.pts if first is None else min(first, packet.pts)
            end = max(end, packet.pts + (packet.duration or 0))
            _check_length(float((end - first) * time_base), rule)
        decoded = decoded or bool(packet.decode())
    seconds = float((end - (first or 0)) * time_base)
    return _Measured(seconds, decoded, damaged)


def _check_length(seconds: float, rule: MediaInput) -> None:
    if seconds <= rule.max_s + GRACE_S:
        return
    limit = f"{rule.max_s:g}"
    raise VideoTooLongError(
        rule.name,
        Text(
            f"O vídeo dura mais que {limit} s. Corte-o para até {limit} s e envie.",
            f"The video is longer than {limit} s. Trim it to {limit} s and send that.",
        ),
        {"limit_s": limit},
    )


def _check_whole(measured: _Measured, declared_s: float, rule: MediaInput) -> None:
    if not measured.frames_decoded:
        raise _unreadable(rule, "no frame decodes")
    if measured.damaged or measured.seconds < declared_s - MISSING_S:
        raise MediaTruncatedError(
            rule.name,
            Text(
                "O arquivo do vídeo está incompleto. Envie-o de novo.",
                "The video file is incomplete. Send it again.",
            ),
            {"declared_s": f"{declared_s:.2f}", "found_s": f"{measured.seconds:.2f}"},
        )


def _too_many_packets(rule: MediaInput) -> MediaTooCostlyError:
    return MediaTooCostlyError(
        rule.name,
        Text(
            "O vídeo tem quadros demais. Exporte-o com até 60 quadros por segundo.",
            "The video has too many frames. Export it with at most 60 frames a second.",
        ),
        {"limit": str(MAX_PACKETS)},
    )


def _unreadable(rule: MediaInput, words: str) -> MediaUnreadableError:
    return MediaUnreadableError(
        rule.name,
        Text(
            "O vídeo está danificado e não pôde ser lido. Exporte-o como MP4 (H.264) e envie.",
            "The video is damaged and cannot be read. Export it as MP4 (H.264) and send that.",
        ),
        {"decoder": words[:200]},
    )
