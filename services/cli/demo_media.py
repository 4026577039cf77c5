"""Draws the demo's media: photos with light, depth and grain, and a short H.264 video of one."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
from PIL import Image, ImageChops, ImageDraw, ImageFilter

PHOTO_SIZE = (640, 800)
VIDEO_SIZE = (480, 270)
VIDEO_S, VIDEO_FPS = 2, 24
_GRAIN = 18
_QUALITY = 92
_ORIENTATION, _MAKER = 0x0112, 0x010F  # EXIF tags

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]
SKIN: Colour = (214, 168, 140)
HAIR: Colour = (52, 36, 30)
SHIRT: Colour = (72, 96, 132)
DRESS: Colour = (164, 44, 60)


def write_media(folder: Path) -> dict[str, Path]:
    """Write all files into a folder and return their paths by name."""
    folder.mkdir(parents=True, exist_ok=True)
    person = _finish(_person(_backdrop(1), lean=0.0), 1)
    photos = {
        "photo": ("foto.jpg", person),
        "pose": ("pose.jpg", _finish(_person(_backdrop(2), lean=0.16), 2)),
        "clothing": ("roupa.jpg", _finish(_clothing(), 3)),
        "heavy": ("foto-pesada.jpg", _finish(_person(_backdrop(4), lean=-0.1), 4)),
    }
    paths = {name: folder / file_name for name, (file_name, _) in photos.items()}
    for name, (_, image) in photos.items():
        _save(image, paths[name])
    paths["video"] = folder / "video.mp4"
    _write_video(person, paths["video"])
    return paths


def _backdrop(seed: int) -> Image.Image:
    """Return an evening sky over hills, with lights out of focus."""
    dice = random.Random(seed)  # noqa: S311 - a picture, no secret
    width, height = PHOTO_SIZE
    image = _gradient((38, 52, 92), (244, 176, 120))
    draw = ImageDraw.Draw(image)
    for layer in range(3):
        top = height * (0.55 + 0.12 * layer)
        points = [(x, top + dice.uniform(-40, 40)) for x in range(0, width + 81, 80)]
        shade = 70 - 20 * layer
        draw.polygon([(0, height), *points, (width, height)], fill=(shade, shade + 14, shade + 20))
    image = image.filter(ImageFilter.GaussianBlur(6))
    for _ in range(26):
        radius = dice.uniform(8, 30)
        x, y = dice.uniform(0, width), dice.uniform(height * 0.45, height)
        warm = (255, dice.randint(170, 230), dice.randint(90, 160))
        _glow(image, (x - radius, y - radius, x + radius, y + radius), warm, 0.35)
    return image


def _person(image: Image.Image, lean: float) -> Image.Image:
    """Put a person before the backdrop; `lean` tilts the shoulders."""
    width, height = image.size
    middle, shift = width / 2, lean * width
    body = [
        (middle - width * 0.36, height),
        (middle - width * 0.27 + shift, height * 0.62),
        (middle - width * 0.07 + shift, height * 0.53),
        (middle + width * 0.07 + shift, height * 0.53),
        (middle + width * 0.27 + shift, height * (0.62 - lean * 0.3)),
        (middle + width * 0.36, height),
    ]
    _shape(image, lambda draw: draw.polygon(body, fill=255), SHIRT)
    head = middle + shift
    neck = (head - width * 0.06, height * 0.42, head + width * 0.06, height * 0.57)
    hair = (head - width * 0.17, height * 0.16, head + width * 0.17, height * 0.46)
    face = (head - width * 0.135, height * 0.205, head + width * 0.135, height * 0.465)
    for box, colour in ((neck, SKIN), (hair, HAIR), (face, SKIN)):
        _shape(image, _ellipse(box), colour)
    _face(image, head)
    return image


def _face(image: Image.Image, head: float) -> None:
    width, height = image.size
    for side in (-1, 1):
        x, y = head + side * width * 0.055, height * 0.325
        _shape(image, _ellipse((x - 15, y - 7, x + 15, y + 7)), (238, 234, 228))
        _shape(image, _ellipse((x - 7, y - 7, x + 7, y + 7)), (64, 44, 34))
    mouth = (head - 26, height * 0.405, head + 26, height * 0.42)
    _shape(image, _ellipse(mouth), (168, 84, 80))


def _clothing() -> Image.Image:
    """Return a dress on a light wall."""
    image = _gradient((236, 232, 226), (198, 192, 186))
    width, height = image.size
    outline = [
        (width * 0.40, height * 0.14),
        (width * 0.60, height * 0.14),
        (width * 0.70, height * 0.30),
        (width * 0.60, height * 0.46),
        (width * 0.80, height * 0.90),
        (width * 0.20, height * 0.90),
        (width * 0.40, height * 0.46),
        (width * 0.30, height * 0.30),
    ]
    _shape(image, lambda draw: draw.polygon(outline, fill=255), DRESS)
    for fold in range(5):
        x = width * (0.32 + 0.09 * fold)
        crease = [(width * 0.5, height * 0.46), (x, height * 0.89), (x + 14, height * 0.89)]
        _shape(image, lambda draw, c=crease: draw.polygon(c, fill=110), (92, 20, 34))  # type: ignore[misc]
    return image


def _ellipse(box: Box) -> Callable[[ImageDraw.ImageDraw], None]:
    return lambda draw: draw.ellipse(box, fill=255)


def _shape(
    image: Image.Image, outline: Callable[[ImageDraw.ImageDraw], None], colour: Colour
) -> None:
    """Paint a soft-edged shape, lit from the upper left."""
    mask = Image.new("L", image.size)
    outline(ImageDraw.Draw(mask))
    # The corners of a turned square are black: only its middle is used.
    across = Image.linear_gradient("L").rotate(60).crop((64, 64, 192, 192)).resize(image.size)
    light = Image.merge("RGB", (across, across, across))
    shaded = Image.blend(Image.new("RGB", image.size, colour), light, 0.22)
    image.paste(shaded, (0, 0), mask.filter(ImageFilter.GaussianBlur(2)))


def _glow(image: Image.Image, box: Box, colour: Colour, strength: float) -> None:
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).ellipse(box, fill=int(255 * strength))
    image.paste(colour, (0, 0), mask.filter(ImageFilter.GaussianBlur(3)))


def _gradient(top: Colour, bottom: Colour) -> Image.Image:
    down = Image.linear_gradient("L").resize(PHOTO_SIZE)
    return Image.composite(
        Image.new("RGB", PHOTO_SIZE, bottom), Image.new("RGB", PHOTO_SIZE, top), down
    )


def _finish(image: Image.Image, seed: int) -> Image.Image:
    """Give the picture a vignette and the grain of a sensor."""
    dice = random.Random(seed)  # noqa: S311 - a picture, no secret
    edge = Image.radial_gradient("L").resize(PHOTO_SIZE).point(lambda value: 255 - value // 4)
    image = ImageChops.multiply(image, Image.merge("RGB", (edge, edge, edge)))
    tile = Image.frombytes("L", (128, 128), dice.randbytes(128 * 128))
    grain = Image.new("L", PHOTO_SIZE)
    for x in range(0, PHOTO_SIZE[0], 128):
        for y in range(0, PHOTO_SIZE[1], 128):
            grain.paste(tile.rotate(dice.choice((0, 90, 180, 270))), (x, y))
    soft = grain.filter(ImageFilter.GaussianBlur(0.7))
    noise = soft.point(lambda value: 128 + (value - 128) * _GRAIN // 100)
    return ImageChops.overlay(image, Image.merge("RGB", (noise, noise, noise)))


def _save(image: Image.Image, path: Path) -> None:
    """Save as a telephone does: turned by its EXIF tag, which every reader has to heed."""
    exif = Image.Exif()
    exif[_MAKER] = "Etapa"
    exif[_ORIENTATION] = 6
    turned = image.transpose(Image.Transpose.ROTATE_90)
    turned.save(path, "JPEG", quality=_QUALITY, exif=exif)


def _write_video(photo: Image.Image, path: Path) -> None:
    """Write a slow move over the photo, as a camera would make it."""
    width, height = VIDEO_SIZE
    scale = width / photo.width
    wide = photo.resize((width, round(photo.height * scale)), Image.Resampling.LANCZOS)
    frames = VIDEO_S * VIDEO_FPS
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=VIDEO_FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "23"}
        for number in range(frames):
            top = (wide.height - height) * number // frames
            view = wide.crop((0, top, width, top + height)).convert("RGBA")
            frame = av.VideoFrame.from_bytes(view.tobytes(), width, height, format="rgba")
            out.mux(stream.encode(frame.reformat(format="yuv420p")))
        out.mux(stream.encode(None))
