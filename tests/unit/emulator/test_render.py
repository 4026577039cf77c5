"""Images are really made from their inputs, and equal inputs give equal bytes."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from services.emulator.catalog import Work
from services.emulator.render import Plan, UnreadableInputError, render, sample_image
from services.emulator.stamp import make_stamp
from tests.support.runninghub_http import photo


def image_of(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(
    ("size", "resolution", "expected"),
    [
        ((60, 40), None, (120, 80)),
        ((60, 40), 300, (300, 200)),
        ((60, 40), 64, (120, 80)),
        ((1, 1), None, (2, 2)),
        ((3, 400), 1000, (8, 1000)),
    ],
)
def test_upscaling_doubles_at_least_and_goes_towards_the_resolution(
    size: tuple[int, int], resolution: int | None, expected: tuple[int, int]
) -> None:
    data, extension = render(Plan(Work.UPSCALE, (("x", photo(*size)),), resolution))
    assert (image_of(data).size, extension) == (expected, "png")


def test_an_upscaled_picture_still_shows_its_input() -> None:
    source = image_of(photo(64, 64)).convert("RGB")
    data, _ = render(Plan(Work.UPSCALE, (("x", photo(64, 64)),)))
    back = image_of(data).convert("RGB").resize((64, 64), Image.Resampling.BOX)
    differences = [abs(a - b) for a, b in zip(source.tobytes(), back.tobytes(), strict=True)]
    assert sum(differences) / len(differences) < 4


def test_a_huge_input_still_grows() -> None:
    data, _ = render(Plan(Work.UPSCALE, (("x", photo(8300, 4)),), fast=True))
    assert image_of(data).size == (8301, 5)


def test_transparency_and_orientation_are_kept() -> None:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), "red").save(out, "JPEG", exif=exif)
    turned, _ = render(Plan(Work.UPSCALE, (("x", out.getvalue()),)))
    clear = io.BytesIO()
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(clear, "PNG")
    seen, _ = render(Plan(Work.UPSCALE, (("x", clear.getvalue()),)))
    assert image_of(turned).size == (40, 80)
    assert image_of(seen).mode == "RGBA"


@pytest.mark.parametrize("work", [Work.UPSCALE, Work.COMPOSITE, Work.CUTOUT])
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (50, 40)])
def test_any_size_can_be_worked_on(work: Work, size: tuple[int, int]) -> None:
    inputs = (("a", photo(*size)), ("b", photo(30, 30)))
    data, _ = render(Plan(work, inputs))
    assert image_of(data).width >= size[0]


@pytest.mark.parametrize("work", list(Work)[:3])
def test_equal_plans_give_equal_bytes(work: Work) -> None:
    plan = Plan(work, (("a", photo()), ("b", sample_image())))
    assert render(plan) == render(plan)


@pytest.mark.parametrize("data", [b"", b"no picture", photo()[:200]])
def test_what_is_no_picture_is_named(data: bytes) -> None:
    with pytest.raises(UnreadableInputError) as raised:
        render(Plan(Work.UPSCALE, (("api/x.jpg", data),)))
    assert (raised.value.name, raised.value.is_video) == ("api/x.jpg", False)


def test_a_stamp_is_metadata_and_leaves_the_picture_alone() -> None:
    data = sample_image()
    stamp, at = make_stamp("png", len(data), "1882730238719295489")
    stamped = image_of(data[:at] + stamp + data[at:])
    stamped.load()
    assert stamped.info["rh-task"] == "1882730238719295489"
    assert stamped.tobytes() == image_of(data).tobytes()
