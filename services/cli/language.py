"""Chooses the language of the command line. The words for a job are in `etapa_client.words`."""

from __future__ import annotations

from collections.abc import Mapping

from etapa_client.words import Language
from services.cli.errors import CliError

_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
_NO_LANGUAGE = ("", "c", "posix")


class UnknownLanguageError(CliError):
    """There are texts in two languages only."""

    def __init__(self, wanted: str) -> None:
        super().__init__(f"there are no texts in {wanted!r}: give --lang pt or --lang en")


def choose_language(wanted: str, env: Mapping[str, str]) -> Language:
    """Return the language of `--lang`, else of the locale, else Portuguese.

    >>> choose_language("", {"LANG": "en_GB.UTF-8"})
    <Language.EN: 'en'>
    """
    if wanted:
        name = wanted.replace("_", "-").lower().split("-")[0]
        if name not in tuple(Language):
            raise UnknownLanguageError(wanted)
        return Language(name)
    locale = next((env[name] for name in _VARIABLES if env.get(name)), "").lower()
    name = locale.split(".")[0].split("_")[0].split("@")[0]
    return Language.PT if name in (*_NO_LANGUAGE, "pt") else Language.EN
