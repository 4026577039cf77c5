from __future__ import annotations

import pytest

from services.tools.request import Source, display_name


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (Source("image", file_name="ana.jpg"), "ana.jpg"),
        (Source("image", file_name="C:\\fotos\\ana.jpg"), "ana.jpg"),
        (Source("image", file_name="../../etc/passwd"), "passwd"),
        (Source("image", file_name="a\x00b\x1b[31m.jpg"), "ab[31m.jpg"),
        (Source("image", file_name="çãé 写真.heic"), "çãé 写真.heic"),
        (Source("image", file_name=""), "image"),
        (Source("image", url="https://example.com/f/gato.png?sig=secret#x"), "gato.png"),
        (Source("image", url="https://example.com/"), "image"),
        (Source("image", file_name="x" * 500 + ".jpg"), "x" * 196 + ".jpg"),
    ],
)
def test_file_name_is_made_fit_for_people(source: Source, name: str) -> None:
    assert display_name(source) == name
