from __future__ import annotations

import pytest
from rich.text import Text

from etapa_client.words import Language
from services.cli.language import UnknownLanguageError, choose_language
from services.cli.layout import clean, columns, details, duration, one_line


def test_columns_align_whatever_the_width_of_the_letters() -> None:
    lines = columns([["工作", "x"], ["a", "y"]], indent=0)
    assert [line.plain for line in lines] == ["工作  x", "a     y"]


def test_the_last_column_is_neither_padded_nor_cut() -> None:
    long = "x" * 300
    assert columns([["a", long], ["b", "c"]], indent=1)[0].plain == f" a  {long}"
    assert columns([["a", ""]], indent=0)[0].plain == "a"


@pytest.mark.parametrize("language", list(Language))
def test_durations_are_short_and_in_the_language(language: Language) -> None:
    sign = "," if language is Language.PT else "."
    told = [duration(seconds, language) for seconds in (None, 0.0, 0.9994, 59.94, 61, 7322)]
    assert told == ["-", "0 ms", "999 ms", f"59{sign}9 s", "1:01", "2:02:02"]


def test_details_quote_only_what_could_be_misread() -> None:
    facts = {"a": 1, "b": "x y", "c": None, "d": {"k": [1]}, "e": "", "f": "plain"}
    assert details(facts) == 'a=1  b="x y"  c=null  d={"k":[1]}  e=""  f=plain'


def test_text_from_outside_loses_control_characters() -> None:
    assert clean("a\x1b[0mb\nc\rd") == "a\\x1b[0mb\nc\\x0dd"
    assert one_line("a\n  b\tc\x00") == "a b c\\x00"
    assert "\x1b" not in details({"k\x1b": "v\x1b"})


def test_markup_in_text_is_text() -> None:
    [line] = columns([[Text("[red]x[/red]"), ""]], indent=0)
    assert line.plain == "[red]x[/red]"


@pytest.mark.parametrize(
    ("wanted", "env", "chosen"),
    [
        ("", {}, Language.PT),
        ("", {"LANG": "C.UTF-8"}, Language.PT),
        ("", {"LANG": "pt_PT.UTF-8"}, Language.PT),
        ("", {"LANG": "en_US.UTF-8"}, Language.EN),
        ("", {"LANG": "pt_BR.UTF-8", "LC_ALL": "en_GB"}, Language.EN),
        ("", {"LANG": "de_DE@euro"}, Language.EN),
        ("en", {"LANG": "pt_BR"}, Language.EN),
        ("pt-BR", {"LANG": "en_US"}, Language.PT),
    ],
)
def test_the_language_is_the_option_else_the_locale_else_portuguese(
    wanted: str, env: dict[str, str], chosen: Language
) -> None:
    assert choose_language(wanted, env) is chosen


def test_a_language_without_texts_is_an_error() -> None:
    with pytest.raises(UnknownLanguageError, match="--lang pt"):
        choose_language("xx", {})
