"""Enlarges a video twofold as H.264 in MP4, audio kept where the container takes it as it is."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import cast

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

# An AV1 file fails in the provider's loader (reference section 2.6, field report).
REFUSED_CODECS = frozenset({"av1"})
COPIED_AUDIO = frozenset({"aac", "mp3"})


class UnreadableVideoError(Exception):
    """The loader could not open the file, or finds no picture in it."""


def upscale_video(data: bytes, fast: bool) -> bytes:
    """Return the video at twice its width and height, or raise `UnreadableVideoError`."""
    try:
        with av.open(io.BytesIO(data), "r") as source:
            if not source.streams.video or _codec(source.streams.video[0]) in REFUSED_CODECS:
                raise UnreadableVideoError
            return _reencode(source, fast)
    except (av.error.FFmpegError, ValueError, IndexError):
        raise UnreadableVideoError from None


def sample_video() -> bytes:
    """Return a short clip: the example of a video loader."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as target:
        stream = _add_h264(target, 64, 48, Fraction(8), fast=True)
        for index in range(8):
            frame = VideoFrame(64, 48, "gray")
            frame.planes[0].update(bytes([index * 30]) * frame.planes[0].buffer_size)
            frame.pts, frame.time_base = index, Fraction(1, 8)
            target.mux(stream.encode(frame.reformat(format="yuv420p")))
        target.mux(stream.encode(None))
    return out.getvalue()


def _codec(stream: VideoStream) -> str:
    return stream.codec_context.codec.canonical_name


def _reencode(source: InputContainer, fast: bool) -> bytes:
    picture = source.streams.video[0]
    sound = next((s for s in source.streams.audio if s.codec_context.name in COPIED_AUDIO), None)
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as target:
        rate = picture.average_rate or Fraction(25)
        stream = _add_h264(target, picture.width * 2, picture.height * 2, rate, fast)
        if picture.time_base is not None:
            # The source's own clock: that of the average rate would shift uneven frames.
            stream.codec_context.time_base = picture.time_base
        copy = target.add_stream_from_template(sound) if sound is not None else None
        frames = 0
        for packet in source.demux([item for item in (picture, sound) if item is not None]):
            if packet.stream is picture:
                frames += _enlarge(cast("Packet[VideoStream]", packet), stream, target)
            elif copy is not None and packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
        if not frames:
            raise UnreadableVideoError
        target.mux(stream.encode(None))
    return out.getvalue()


def _enlarge(packet: Packet[VideoStream], stream: VideoStream, target: OutputContainer) -> int:
    """Encode a packet's frames at the new size; return how many there were."""
    frames = packet.decode()
    for frame in frames:
        target.mux(stream.encode(frame.reformat(stream.width, stream.height, "yuv420p")))
    return len(frames)


def _add_h264(
    target: OutputContainer, width: int, height: int, rate: Fraction, fast: bool
) -> VideoStream:
    stream = target.add_stream("libx264", rate=rate)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    # A fixed thread count keeps equal inputs at equal bytes on any machine.
    stream.options = {"preset": "ultrafast" if fast else "veryfast", "crf": "23", "threads": "2"}
    return stream
