"""Re-encodes a short video as H.264 with AAC sound in MP4. Runs in a media worker."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

# Visually lossless, so that the upscaler gets what the sender saw; fast enough for 10 s of
# video in a few seconds of one core.
_X264 = {"crf": "17", "preset": "veryfast", "threads": "2"}
_AUDIO_RATE = 48_000


def transcode_to_h264(container: InputContainer, target: Path) -> tuple[int, int]:
    """Write the container's first picture and first sound track; return width and height."""
    picture = container.streams.video[0]
    sound = container.streams.audio[0] if container.streams.audio else None
    picture.thread_type = "AUTO"
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as out:
        video_out = _video_stream(out, picture)
        audio_out = out.add_stream("aac", rate=_AUDIO_RATE, layout="stereo") if sound else None
        writer = _Writer(out, video_out, audio_out)
        for packet in container.demux([picture, *([sound] if sound else [])]):
            for frame in packet.decode():
                writer.write(frame)
        writer.flush()
        return video_out.width, video_out.height


def _video_stream(out: OutputContainer, picture: VideoStream) -> VideoStream:
    rate = picture.average_rate or Fraction(30)
    stream = out.add_stream("libx264", rate=rate, options=_X264)
    # 4:2:0 halves both sides, so both must be even.
    stream.width, stream.height = max(2, picture.width & ~1), max(2, picture.height & ~1)
    stream.pix_fmt = "yuv420p"
    if picture.time_base is not None:
        stream.codec_context.time_base = picture.time_base
    return stream


class _Writer:
    """Sends each decoded frame through its encoder into the file."""

    def __init__(self, out: OutputContainer, video: VideoStream, audio: AudioStream | None) -> None:
        self._out = out
        self._video = video
        self._audio = audio
        self._resampler = av.AudioResampler(format="fltp", layout="stereo", rate=_AUDIO_RATE)

    def write(self, frame: object) -> None:
        """Encode one frame of either track."""
        if isinstance(frame, av.VideoFrame):
            self._picture(frame)
        elif isinstance(frame, av.AudioFrame):
            self._sound(frame)

    def flush(self) -> None:
        """Write what the encoders still hold."""
        if self._audio is not None:
            self._sound(None)
            self._out.mux(self._audio.encode(None))
        self._out.mux(self._video.encode(None))

    def _picture(self, frame: av.VideoFrame) -> None:
        width, height = self._video.width, self._video.height
        self._out.mux(self._video.encode(frame.reformat(width, height, "yuv420p")))

    def _sound(self, frame: av.AudioFrame | None) -> None:
        if self._audio is None:
            return
        for piece in self._resampler.resample(frame):
            self._out.mux(self._audio.encode(piece))
