"""Makes any accepted image into a plain JPEG within a tool's limits. Runs in a media worker.

Upright by EXIF and free of it, sRGB, flat on white, first frame only. A provider node once
failed on WebP files that its reader could not open (failure class 16), hence always JPEG.
"""

from __future__ import annotations

import io
from pathlib import Path

import pillow_heif
from PIL import Image, ImageCms, ImageOps

from services.tools.domain import (
    MediaTruncatedError,
    MediaUnreadableError,
    Text,
    TooManyPixelsError,
)
from services.tools.tool import MediaInput
from services.tools.worker_wire import Ready

# Checked on the header, before a pixel is decoded. 100 million hold any phone's photo, and
# decode within a worker's memory.
MAX_PIXELS = 100_000_000
# "about 2 MB" in docs/tool-mappings.md.
TARGET_BYTES = 2_000_000
# What Pillow and libheif raise on damaged files (Pillow 13, pillow-heif 1.8, tried 2026-11-24).
_DECODER_ERRORS = (OSError, SyntaxError, EOFError, ValueError, RuntimeError)
_FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "GIF", "BMP")
_QUALITIES = (95, 90, 85, 75, 60)
# Resizing needs true colours; these modes hold indexes, bits or wide numbers.
_INDIRECT = ("1", "P", "PA", "I", "I;16", "I;16L", "I;16B", "F")

Image.MAX_IMAGE_PIXELS = None  # our own, stricter and earlier check stands in for Pillow's
Image.init()  # `Image.open` with a list of formats finds only what is loaded
pillow_heif.register_heif_opener()


def prepare_image(source: Path, target: Path, rule: MediaInput) -> Ready:
    """Write the image to `target` as JPEG and return its facts. Raises a `BadMediaError`."""
    try:
        with Image.open(source, formats=_FORMATS) as opened:
            check_pixels(opened.width, opened.height, rule)
            image = _upright_rgb(opened, rule.max_side_px)
    except _DECODER_ERRORS as err:
        if isinstance(err, OSError) and err.errno:  # the disk's fault, not the image's
            raise
        raise _unreadable(err, rule) from err
    target.write_bytes(_encode(image))
    return Ready(content_type="image/jpeg", width=image.width, height=image.height)


def check_pixels(width: int, height: int, rule: MediaInput) -> None:
    """Refuse what is too large to decode. Raises `TooManyPixelsError`."""
    if width * height <= MAX_PIXELS:
        return
    size, limit = f"{width}×{height}", MAX_PIXELS // 1_000_000
    raise TooManyPixelsError(
        rule.name,
        Text(
            f"A imagem tem {size} pixels; o limite é {limit} megapixels. Envie uma menor.",
            f"The image has {size} pixels; the limit is {limit} megapixels. Send a smaller one.",
        ),
        {"width": str(width), "height": str(height), "limit": str(MAX_PIXELS)},
    )


def _upright_rgb(opened: Image.Image, max_side: int) -> Image.Image:
    opened.draft(None, (max_side, max_side))  # lets the JPEG decoder skip detail; others ignore
    opened.load()
    profile = opened.info.get("icc_profile")
    image = ImageOps.exif_transpose(opened)
    if image.mode in _INDIRECT:
        image = _direct(image)
    image = _in_srgb(_flat(_fit(image, max_side)), profile)
    image.info = {}  # the JPEG writer would copy a comment out of it
    return image


def _fit(image: Image.Image, max_side: int) -> Image.Image:
    scale = max_side / max(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _direct(image: Image.Image) -> Image.Image:
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode == "1":
        return image.convert("L")
    # 16-bit grey: a plain convert would clip everything above 255 to white.
    return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")


def _flat(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    layered = image.convert("RGBA")
    white = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(white, layered).convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile and image.mode in ("RGB", "CMYK", "L"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            # A broken or foreign profile is common, and no reason to refuse the photo.
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")


def _encode(image: Image.Image) -> bytes:
    data = b""
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        subsampling = 0 if quality >= _QUALITIES[1] else 2
        # Not `optimize`: Pillow 13 gives it a buffer that a noisy photo overflows.
        image.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
        data = buffer.getvalue()
        if len(data) <= TARGET_BYTES:
            break
    return data


def _unreadable(err: Exception, rule: MediaInput) -> MediaUnreadableError | MediaTruncatedError:
    words = str(err)[:200]
    if "truncated" in words.lower() or "end of file" in words.lower():
        return MediaTruncatedError(
            rule.name,
            Text(
                "O arquivo da imagem está incompleto. Envie-o de novo.",
                "The image file is incomplete. Send it again.",
            ),
            {"decoder": words},
        )
    return MediaUnreadableError(
        rule.name,
        Text(
            "A imagem está danificada e não pôde ser lida. Abra-a, salve como JPEG e envie.",
            "The image is damaged and cannot be read. Open it, save it as JPEG, send that.",
        ),
        {"decoder": words},
    )
