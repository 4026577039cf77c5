from __future__ import annotations

import io

import pytest
from PIL import Image, ImageCms

from services.runtime.blobs import BlobStore
from services.tools.domain import BadMediaError, Text
from services.tools.tool import Kind, MediaInput
from tests.integration.tools.conftest import Prepare
from tests.support.tool_media import bomb_png, image_bytes, noise_bytes, two_halves

RULE = MediaInput(name="image", kind=Kind.IMAGE, label=Text("Foto", "Photo"), max_side_px=1024)
RED, BLUE, WHITE = (254, 0, 0), (0, 0, 254), (255, 255, 255)


def near(image: Image.Image, at: tuple[int, int], colour: tuple[int, int, int]) -> bool:
    pixel = image.getpixel(at)
    assert isinstance(pixel, tuple)
    return all(abs(have - want) <= 12 for have, want in zip(pixel, colour, strict=True))


async def kept(prepare: Prepare, blobs: BlobStore, data: bytes) -> Image.Image:
    prepared = await prepare(RULE, data)
    image = Image.open(io.BytesIO(await blobs.get(prepared.sha256)))
    image.load()
    assert (image.format, image.mode) == ("JPEG", "RGB")
    assert prepared.content_type == "image/jpeg"
    assert (prepared.width, prepared.height) == image.size
    return image


async def test_image_is_turned_upright_and_stripped(prepare: Prepare, blobs: BlobStore) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate 90° clockwise to see it upright
    exif[0x010F] = "SecretCamera"
    data = image_bytes(two_halves(), exif=exif.tobytes(), comment=b"SecretComment", quality=100)
    image = await kept(prepare, blobs, data)
    assert image.size == (40, 80)
    assert near(image, (20, 10), RED)
    assert near(image, (20, 70), BLUE)
    assert not image.getexif()
    assert "comment" not in image.info


async def test_same_photo_is_kept_under_the_same_digest(prepare: Prepare) -> None:
    data = image_bytes(two_halves())
    first, second = await prepare(RULE, data), await prepare(RULE, data, "outra.png")
    assert first.sha256 == second.sha256
    assert (first.file_name, second.file_name) == ("foto.jpg", "outra.png")


@pytest.mark.parametrize(
    ("size", "expected"), [((3000, 1500), (1024, 512)), ((800, 600), (800, 600))]
)
async def test_image_is_scaled_down_and_never_up(
    prepare: Prepare, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    prepared = await prepare(RULE, image_bytes(two_halves(*size)))
    assert (prepared.width, prepared.height) == expected


async def test_thin_image_keeps_a_pixel(prepare: Prepare) -> None:
    prepared = await prepare(RULE, image_bytes(Image.new("RGB", (4000, 1)), "PNG"))
    assert (prepared.width, prepared.height) == (1024, 1)


async def test_noisy_image_ends_below_two_megabytes(prepare: Prepare, blobs: BlobStore) -> None:
    noise = noise_bytes(1024 * 1024 * 3)
    prepared = await prepare(RULE, image_bytes(Image.frombytes("RGB", (1024, 1024), noise), "PNG"))
    assert prepared.bytes <= 2_000_000
    assert await blobs.size(prepared.sha256) == prepared.bytes


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "HEIF", "AVIF", "BMP", "GIF"])
async def test_format_is_accepted(prepare: Prepare, blobs: BlobStore, file_format: str) -> None:
    image = await kept(prepare, blobs, image_bytes(two_halves(), file_format))
    assert image.size == (80, 40)
    assert near(image, (10, 20), RED)
    assert near(image, (70, 20), BLUE)


async def test_transparency_becomes_white(prepare: Prepare, blobs: BlobStore) -> None:
    clear = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    clear.paste((255, 0, 0, 255), (0, 0, 16, 32))
    for data in (image_bytes(clear, "PNG"), image_bytes(clear, "WEBP", lossless=True)):
        image = await kept(prepare, blobs, data)
        assert near(image, (28, 16), WHITE)
        assert near(image, (4, 16), RED)


async def test_transparent_palette_becomes_white(prepare: Prepare, blobs: BlobStore) -> None:
    palette = two_halves(32, 32).quantize(4)
    clear = palette.getpixel((2, 2))
    image = await kept(prepare, blobs, image_bytes(palette, "PNG", transparency=clear))
    assert near(image, (4, 16), WHITE)
    assert near(image, (28, 16), BLUE)


async def test_only_the_first_frame_of_an_animation_is_used(
    prepare: Prepare, blobs: BlobStore
) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue", "white")]
    for file_format in ("GIF", "WEBP"):
        data = image_bytes(frames[0], file_format, save_all=True, append_images=frames[1:])
        assert near(await kept(prepare, blobs, data), (16, 16), RED)


async def test_sixteen_bit_grey_keeps_its_tones(prepare: Prepare, blobs: BlobStore) -> None:
    grey = Image.new("I;16", (16, 16), 128 * 256)
    assert near(await kept(prepare, blobs, image_bytes(grey, "PNG")), (8, 8), (128, 128, 128))


async def test_cmyk_jpeg_becomes_rgb(prepare: Prepare, blobs: BlobStore) -> None:
    data = image_bytes(two_halves().convert("CMYK"), quality=100)
    assert near(await kept(prepare, blobs, data), (10, 20), RED)


async def test_bilevel_and_grey_become_rgb(prepare: Prepare, blobs: BlobStore) -> None:
    for mode in ("1", "L", "LA"):
        data = image_bytes(Image.new("L", (16, 16), 255).convert(mode), "PNG")
        assert near(await kept(prepare, blobs, data), (8, 8), WHITE)


async def test_colour_profile_is_applied(prepare: Prepare, blobs: BlobStore) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ"))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = image_bytes(two_halves(), icc_profile=profile, quality=100)
    image = await kept(prepare, blobs, data)
    assert near(image, (10, 20), RED)
    assert "icc_profile" not in image.info
    broken = image_bytes(two_halves(), icc_profile=lab.tobytes()[:200], quality=100)
    assert near(await kept(prepare, blobs, broken), (10, 20), RED)


async def refusal(prepare: Prepare, data: bytes) -> BadMediaError:
    with pytest.raises(BadMediaError) as caught:
        await prepare(RULE, data)
    assert caught.value.field == "image"
    assert caught.value.facts["message_pt"]
    return caught.value


async def test_empty_file_is_refused(prepare: Prepare) -> None:
    assert (await refusal(prepare, b"")).reason == "MEDIA_EMPTY"


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"%PDF-1.7 not a photo", "application/pdf"),
        (b"<html><body>404</body></html>", "text/html"),
        (b"PK\x03\x04 a zip", "application/zip"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00", "video/mp4"),
        (b"hello", "text/plain"),
        (b"\x00\x01\x02\x03", "application/octet-stream"),
    ],
)
async def test_other_content_under_a_right_name_is_refused(
    prepare: Prepare, data: bytes, content_type: str
) -> None:
    error = await refusal(prepare, data)
    assert error.reason == "MEDIA_WRONG_KIND"
    assert content_type in error.message


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "HEIF", "GIF"])
async def test_truncated_image_is_refused(prepare: Prepare, file_format: str) -> None:
    noise = Image.frombytes("RGB", (200, 200), noise_bytes(120_000))
    data = image_bytes(noise, file_format)
    error = await refusal(prepare, data[: len(data) // 2])
    assert error.reason in ("MEDIA_TRUNCATED", "MEDIA_UNREADABLE")
    assert error.facts["decoder"]


async def test_magic_alone_is_refused(prepare: Prepare) -> None:
    for data in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM" + b"\x00" * 60):
        assert (await refusal(prepare, data)).reason in ("MEDIA_TRUNCATED", "MEDIA_UNREADABLE")


async def test_decompression_bomb_is_refused_before_it_is_decoded(prepare: Prepare) -> None:
    data = bomb_png(12_000, 12_000)
    assert len(data) < 1_000_000
    error = await refusal(prepare, data)
    assert error.reason == "MEDIA_TOO_MANY_PIXELS"
    assert error.facts["width"] == "12000"
