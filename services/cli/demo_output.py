"""Fetches what a job of the demo made, keeps it as files, and measures them."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiohttp
import av
from PIL import Image, ImageOps

from services.cli.demo_check import OutputFile
from services.cli.errors import CliError
from services.cli.story import Story

_TIMEOUT = aiohttp.ClientTimeout(total=30)
_VIDEO_ENDINGS = (".mp4", ".mov", ".webm")


class OutputError(CliError):
    """An output cannot be fetched, or is not what it says."""


async def fetch_outputs(story: Story, folder: Path) -> list[OutputFile]:
    """Save all outputs of a job into a folder and return them with their dimensions."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    job_id = story.trail.job.job_id
    found = []
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as http:
        for number, output in enumerate(story.outputs, 1):
            ending = Path(unquote(urlsplit(output.url).path)).suffix
            path = folder / f"{job_id}-{number}{ending}"
            body = await _get(http, output.url)
            await asyncio.to_thread(path.write_bytes, body)
            width, height = await asyncio.to_thread(dimensions, path)
            digest = hashlib.sha256(body).hexdigest()
            found.append(OutputFile(str(path), len(body), width, height, digest))
    return found


def dimensions(path: Path) -> tuple[int, int]:
    """Return width and height of an image, as it is looked at, or of a video."""
    try:
        if path.suffix in _VIDEO_ENDINGS:
            with av.open(str(path)) as video:
                stream = video.streams.video[0]
                return stream.width, stream.height
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).size
    # PyAV's errors are not all OSErrors; bad data is a ValueError.
    except (OSError, ValueError, IndexError) as error:
        raise OutputError(f"{path} is no image or video: {error}") from error


async def _get(http: aiohttp.ClientSession, url: str) -> bytes:
    try:
        async with http.get(url) as reply:
            if reply.status != 200:
                raise OutputError(f"{url} answered {reply.status}")
            return await reply.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise OutputError(f"{url} cannot be fetched: {error}") from error
