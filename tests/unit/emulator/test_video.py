"""Videos come back twice as large, whatever their size, rate and sound."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import cast

import av
import pytest
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from services.emulator.stamp import make_stamp
from services.emulator.video import UnreadableVideoError, sample_video, upscale_video


def clip(
    codec: str = "libx264",
    form: str = "mp4",
    size: tuple[int, int] = (64, 48),
    times: tuple[int, ...] = tuple(range(10)),
    with_sound: bool = False,
) -> bytes:
    """Make a clip with a frame at each of `times` tenths of a second."""
    out = io.BytesIO()
    with av.open(out, "w", format=form) as target:
        stream = cast("VideoStream", target.add_stream(codec, rate=Fraction(10)))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        sound = target.add_stream("aac", rate=48_000) if with_sound else None
        for index in times:
            frame = VideoFrame(*size, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([index * 20 % 256]) * plane.buffer_size)
            frame.pts, frame.time_base = index, Fraction(1, 10)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
        if sound is not None:
            silence = AudioFrame("fltp", "stereo", 1024)
            for channel in silence.planes:
                channel.update(bytes(channel.buffer_size))
            silence.sample_rate, silence.pts = 48_000, 0
            target.mux(sound.encode(silence))
            target.mux(sound.encode(None))
    return out.getvalue()


def read(data: bytes) -> tuple[tuple[int, int], str, list[float], list[str]]:
    with av.open(io.BytesIO(data), "r") as video:
        stream = video.streams.video[0]
        times = [round(float(frame.time or 0), 2) for frame in video.decode(stream)]
        sounds = [item.codec_context.name for item in video.streams.audio]
        return (stream.width, stream.height), stream.codec_context.name, times, sounds


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("form", ["mp4", "mov", "matroska"])
def test_a_video_doubles_in_h264(form: str, fast: bool) -> None:
    size, codec, times, _ = read(upscale_video(clip(form=form), fast))
    assert (size, codec) == ((128, 96), "h264")
    assert times == [index / 10 for index in range(10)]


def test_other_codecs_are_read() -> None:
    assert read(upscale_video(clip("libvpx-vp9", "webm"), fast=True))[0] == (128, 96)


def test_av1_is_refused_as_the_providers_loader_does() -> None:
    with pytest.raises(UnreadableVideoError):
        upscale_video(clip("libsvtav1", size=(128, 128)), fast=True)


def test_uneven_frame_times_are_kept() -> None:
    _, _, times, _ = read(upscale_video(clip(times=(0, 1, 5, 6, 12)), fast=True))
    assert times == [0.0, 0.1, 0.5, 0.6, 1.2]


def test_sound_is_kept() -> None:
    assert read(upscale_video(clip(with_sound=True), fast=True))[3] == ["aac"]


def test_equal_videos_give_equal_bytes() -> None:
    assert upscale_video(clip(), fast=True) == upscale_video(clip(), fast=True)


@pytest.mark.parametrize("data", [b"", b"no video", clip()[:500]])
def test_what_is_no_video_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableVideoError):
        upscale_video(data, fast=True)


def test_a_stamped_video_still_plays() -> None:
    data = sample_video()
    stamp, at = make_stamp("mp4", len(data), "1882730238719295489")
    assert read(data[:at] + stamp + data[at:]) == read(data)
