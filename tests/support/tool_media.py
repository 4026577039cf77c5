"""Real media files, made small and on the spot, for tests of what people may send."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import av
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()


def image_bytes(image: Image.Image, file_format: str = "JPEG", **options: Any) -> bytes:
    """Return the image as a file of that format."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def two_halves(width: int = 80, height: int = 40) -> Image.Image:
    """Return an image that is red in its left half and blue in its right half."""
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (width // 2, 0, width, height))
    return image


def noise_bytes(size: int) -> bytes:
    """Return bytes that hardly compress, the same at every call."""
    return hashlib.shake_256(b"noise").digest(size)


def bomb_png(width: int, height: int) -> bytes:
    """Return a small PNG that claims, and inflates to, that many clear pixels of 4 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    squeeze = zlib.compressobj(9)
    row = bytes(1 + 4 * width)
    pixels = b"".join(squeeze.compress(row) for _ in range(height)) + squeeze.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def write_video(
    path: Path,
    *,
    codec: str = "libx264",
    seconds: float = 1.0,
    size: tuple[int, int] = (64, 48),
    rate: int = 10,
    sound: str = "",
    container: str = "",
    options: dict[str, str] | None = None,
) -> Path:
    """Write a video whose frames fade from black to white, with silence if `sound` is a codec."""
    with av.open(str(path), "w", format=container or None, options=options or {}) as out:
        picture: Any = out.add_stream(codec, rate=rate)
        picture.width, picture.height = size
        picture.pix_fmt = "yuv420p"
        track: Any = out.add_stream(sound, rate=48_000, layout="stereo") if sound else None
        frames = max(1, round(seconds * rate))
        for number in range(frames):
            shade = 255 * number // frames
            pixels = bytes([shade, shade, shade, 255]) * (size[0] * size[1])
            frame = av.VideoFrame.from_bytes(pixels, *size, format="rgba")
            out.mux(picture.encode(frame.reformat(format="yuv420p")))
        out.mux(picture.encode(None))
        if track is not None:
            _write_silence(out, track, seconds)
    return path


def write_sound(path: Path, seconds: float = 1.0) -> Path:
    """Write a file that has a sound track and no picture."""
    with av.open(str(path), "w") as out:
        _write_silence(out, out.add_stream("aac", rate=48_000, layout="stereo"), seconds)
    return path


def _write_silence(out: Any, track: Any, seconds: float) -> None:
    size = track.codec_context.frame_size or 960
    for number in range(int(seconds * 48_000 / size)):
        layout = track.codec_context.format.name
        frame = av.AudioFrame(format=layout, layout="stereo", samples=size)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.pts = 48_000, number * size
        out.mux(track.encode(frame))
    out.mux(track.encode(None))
