from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import pytest

from services.runtime.blobs import BlobStore
from services.tools.catalog.video_upscaler import TOOL
from services.tools.domain import BadMediaError
from tests.integration.tools.conftest import Prepare
from tests.support.tool_media import write_sound, write_video

(RULE,) = TOOL.media


async def refusal(prepare: Prepare, data: bytes) -> BadMediaError:
    with pytest.raises(BadMediaError) as caught:
        await prepare(RULE, data, "filme.mp4")
    assert caught.value.field == "video"
    return caught.value


@pytest.mark.parametrize(
    ("name", "codec", "content_type"),
    [
        ("a.mp4", "libx264", "video/mp4"),
        ("a.mov", "libx264", "video/quicktime"),
        ("a.mov", "libx265", "video/quicktime"),
        ("a.webm", "libvpx-vp9", "video/webm"),
        ("a.webm", "libvpx", "video/webm"),
        ("a.mp4", "mpeg4", "video/mp4"),
    ],
)
async def test_playable_video_is_kept_as_it_came(
    prepare: Prepare, blobs: BlobStore, tmp_path: Path, name: str, codec: str, content_type: str
) -> None:
    data = write_video(tmp_path / name, codec=codec, seconds=1.5).read_bytes()
    prepared = await prepare(RULE, data, name)
    assert prepared.content_type == content_type
    assert (prepared.width, prepared.height) == (64, 48)
    assert prepared.duration_s == pytest.approx(1.5, abs=0.11)
    assert prepared.sha256 == prepared.source_sha256
    assert await blobs.get(prepared.sha256) == data


@pytest.mark.parametrize("container", ["mp4", "webm"])
async def test_av1_is_reencoded_as_h264_with_its_sound(
    prepare: Prepare, blobs: BlobStore, tmp_path: Path, container: str
) -> None:
    path = tmp_path / f"a.{container}"
    data = write_video(path, codec="libsvtav1", sound="libopus", seconds=2).read_bytes()
    prepared = await prepare(RULE, data)
    assert prepared.content_type == "video/mp4"
    kept: Any = av.open(io.BytesIO(await blobs.get(prepared.sha256)))
    with kept:
        assert kept.streams.video[0].codec_context.name == "h264"
        assert kept.streams.audio[0].codec_context.name == "aac"
        assert (kept.streams.video[0].width, kept.streams.video[0].height) == (64, 48)
        assert kept.duration is not None
        assert kept.duration / av.time_base == pytest.approx(2.0, abs=0.2)
        assert len(list(kept.decode(video=0))) == 20


async def test_silent_av1_of_odd_size_is_reencoded(
    prepare: Prepare, blobs: BlobStore, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "a.mp4", codec="libsvtav1", size=(66, 70))
    prepared = await prepare(RULE, path.read_bytes())
    assert (prepared.width, prepared.height) == (66, 70)


async def test_long_video_is_refused(prepare: Prepare, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=11)
    error = await refusal(prepare, path.read_bytes())
    assert error.reason == "VIDEO_TOO_LONG"
    assert "10 s" in error.message


async def test_ten_seconds_and_a_frame_pass(prepare: Prepare, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=10.1)
    assert (await prepare(RULE, path.read_bytes())).duration_s == pytest.approx(10.1, abs=0.01)


@pytest.mark.parametrize("size", [(1282, 48), (48, 1282)])
async def test_large_frame_is_refused(
    prepare: Prepare, tmp_path: Path, size: tuple[int, int]
) -> None:
    path = write_video(tmp_path / "a.mp4", size=size, seconds=0.2)
    error = await refusal(prepare, path.read_bytes())
    assert error.reason == "MEDIA_TOO_MANY_PIXELS"
    assert "1280" in error.message


@pytest.mark.parametrize("flags", ["", "+faststart"])
async def test_truncated_video_is_refused(prepare: Prepare, tmp_path: Path, flags: str) -> None:
    options = {"movflags": flags} if flags else {}
    path = write_video(tmp_path / "a.mp4", seconds=5, size=(320, 240), options=options)
    data = path.read_bytes()
    error = await refusal(prepare, data[: len(data) * 2 // 3])
    assert error.reason in ("MEDIA_TRUNCATED", "MEDIA_UNREADABLE")


async def test_sound_without_picture_is_refused(prepare: Prepare, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mp4")
    assert (await refusal(prepare, path.read_bytes())).reason == "MEDIA_WRONG_KIND"


@pytest.mark.parametrize(("container", "name"), [("matroska", "x-matroska"), ("avi", "x-msvideo")])
async def test_other_container_is_refused(
    prepare: Prepare, tmp_path: Path, container: str, name: str
) -> None:
    path = write_video(tmp_path / "a.mp4", container=container)
    error = await refusal(prepare, path.read_bytes())
    assert error.reason == "MEDIA_WRONG_KIND"
    assert name in error.message


async def test_playlist_that_names_local_files_is_refused(prepare: Prepare) -> None:
    playlist = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n"
    assert (await refusal(prepare, playlist)).reason == "MEDIA_WRONG_KIND"
    disguised = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom\n" + playlist
    assert (await refusal(prepare, disguised)).reason == "MEDIA_UNREADABLE"


async def test_image_under_a_video_name_is_refused(prepare: Prepare) -> None:
    assert (await refusal(prepare, b"\xff\xd8\xff\xe0 a photo")).reason == "MEDIA_WRONG_KIND"


async def test_title_that_is_no_utf8_is_no_reason_to_refuse(
    prepare: Prepare, tmp_path: Path
) -> None:
    data = write_video(tmp_path / "a.mp4").read_bytes()
    latin = data.replace(b"Lavf", b"\xe7\xe3o\xff")
    assert latin != data
    assert (await prepare(RULE, latin)).width == 64
