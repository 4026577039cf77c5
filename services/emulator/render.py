"""Makes real results out of real inputs: upscaled, composed and cut-out images.

Pure functions from bytes to bytes, meant for a worker thread. Equal inputs give equal bytes.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps, UnidentifiedImageError

from services.emulator.catalog import Work
from services.emulator.video import UnreadableVideoError, sample_video, upscale_video

LONGEST_SIDE = 8192


class UnreadableInputError(Exception):
    """A loader could not open its file. `name` is the input's value, `is_video` the loader."""

    def __init__(self, name: str, is_video: bool) -> None:
        super().__init__(f"cannot identify {'video' if is_video else 'image'} file {name!r}")
        self.name = name
        self.is_video = is_video


@dataclass(frozen=True, slots=True)
class Plan:
    """One rendering. `inputs` are (value, bytes) in the app's order; `fast` trades beauty."""

    work: Work
    inputs: tuple[tuple[str, bytes], ...]
    resolution: int | None = None
    fast: bool = False


def render(plan: Plan) -> tuple[bytes, str]:
    """Do the work; return the file and its extension, or raise `UnreadableInputError`."""
    if plan.work is Work.VIDEO_UPSCALE:
        return _render_video(plan), "mp4"
    images = [_open(name, data) for name, data in plan.inputs]
    if plan.work is Work.COMPOSITE:
        result = _compose(images[0], images[-1])
    elif plan.work is Work.CUTOUT:
        result = _cut_out(images[0])
    else:
        result = _upscale(images[0], plan.resolution, plan.fast)
    return _as_png(result, plan.fast), "png"


def sample_image() -> bytes:
    """Return the picture that an app shows where the caller gives none."""
    width, height = 64, 48
    across = Image.linear_gradient("L").resize((width, height))
    down = across.transpose(Image.Transpose.ROTATE_90).resize((width, height))
    return _as_png(Image.merge("RGB", (across, down, ImageChops.invert(across))), fast=True)


def sample_input(is_video: bool) -> bytes:
    """Return the built-in example file of a loader."""
    return sample_video() if is_video else sample_image()


def _open(name: str, data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
        turned = ImageOps.exif_transpose(image)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise UnreadableInputError(name, is_video=False) from None
    return turned.convert("RGBA" if "A" in turned.getbands() else "RGB")


def _render_video(plan: Plan) -> bytes:
    name, data = plan.inputs[0]
    try:
        return upscale_video(data, plan.fast)
    except UnreadableVideoError:
        raise UnreadableInputError(name, is_video=True) from None


def _upscale(image: Image.Image, resolution: int | None, fast: bool) -> Image.Image:
    """Enlarge at least twofold, further towards `resolution` on the longest side."""
    longest = max(image.size)
    target = longest * 2 if fast else max(longest * 2, resolution or 0)
    target = max(min(target, LONGEST_SIDE), longest + 1)
    size = (
        max(round(image.width * target / longest), image.width + 1),
        max(round(image.height * target / longest), image.height + 1),
    )
    method = Image.Resampling.BILINEAR if fast else Image.Resampling.LANCZOS
    return image.resize(size, method)


def _compose(person: Image.Image, reference: Image.Image) -> Image.Image:
    """Lay the reference into the person's picture: framed, in the lower right third."""
    canvas = person.convert("RGB")
    box = (max(canvas.width // 3, 1), max(canvas.height // 3, 1))
    inset = ImageOps.fit(reference.convert("RGB"), box, Image.Resampling.LANCZOS)
    place = (canvas.width - box[0], canvas.height - box[1])
    tinted = Image.blend(inset, canvas.crop((*place, canvas.width, canvas.height)), 0.25)
    canvas.paste(tinted, place)
    ImageDraw.Draw(canvas).rectangle((*place, canvas.width - 1, canvas.height - 1), outline="white")
    return canvas


def _cut_out(image: Image.Image) -> Image.Image:
    """Make what looks like the border transparent; keep an oval in the middle in any case."""
    picture = image.convert("RGB")
    edge = picture.resize((1, 1), box=(0, 0, picture.width, max(picture.height // 20, 1)))
    backdrop = Image.new("RGB", picture.size, edge.getpixel((0, 0)))
    distance = ImageChops.difference(picture, backdrop).convert("L")
    mask = distance.point([255 if level > 40 else 0 for level in range(256)])
    draw = ImageDraw.Draw(mask)
    left, top = picture.width // 4, picture.height // 6
    draw.ellipse((left, top, picture.width - left, picture.height - top), fill=255)
    draw.rectangle((0, 0, max(picture.width // 50, 1), picture.height), fill=0)
    soft = mask.filter(ImageFilter.GaussianBlur(1))
    picture.putalpha(soft)
    return picture


def _as_png(image: Image.Image, fast: bool) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1 if fast else 3)
    return out.getvalue()
