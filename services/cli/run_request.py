"""What was typed after `etapa run TOOL`, turned into parameters and media. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etapa.tools.v1 import tools_pb2
from etapa_client.words import Language, Words
from services.cli.errors import CliError

_TRUE, _FALSE = ("true", "yes", "1", "sim"), ("false", "no", "0", "nao", "não")


class RunArgumentError(CliError):
    """What was typed does not fit the tool; the message says what the tool takes."""


_KIND = Words("ARQUIVO|URL", "FILE|URL")
_TWICE = Words("{what} foi dado duas vezes", "{what} is given twice")
_EMPTY = Words("--{name} precisa de um arquivo ou de uma URL", "--{name} needs a file or a URL")
_VALUE = Words("--{name} precisa de um valor", "--{name} needs a value")
_ALONE = Words(
    "{word!r} está solto; as opções são --nome valor", "{word!r} stands alone; give --name value"
)
_SHAPE = Words(
    "{option} {text!r} não é {option} {shape}", "{option} {text!r} is not {option} {shape}"
)
_WHICH = Words(
    "--url não diz para qual mídia é; {tool} aceita: {media}",
    "--url does not say which media it is for; {tool} takes: {media}",
)
_MISSING = Words(
    "{tool} precisa de {media}: dê um arquivo ou uma URL, como em `{usage}`",
    "{tool} needs {media}: give a file or a URL, as in `{usage}`",
)
_UNKNOWN = Words(
    "{tool} não tem {what}; use `{usage}`", "{tool} has no {what}; it is run as `{usage}`"
)


@dataclass(frozen=True, slots=True)
class RunArguments:
    """Parameters, and the path or URL of each media input."""

    inputs: Mapping[str, Any]
    media: Mapping[str, str]


def read_arguments(
    tool: tools_pb2.ToolInfo,
    language: Language,
    *,
    params: Sequence[str] = (),
    media: Sequence[str] = (),
    url: str = "",
    rest: Sequence[str] = (),
) -> RunArguments:
    """Return what was asked for. `rest` are options named as the tool names its media.

    Raises RunArgumentError for what the tool does not have, and for media that is missing. Values
    of parameters are checked by the tool alone.
    """
    reading = _Reading(tool, language)
    for text in params:
        name, value = reading.pair(text, "--param", "name=value")
        reading.set_param(name, value)
    for text in media:
        name, value = reading.pair(text, "--media", "name=FILE|URL")
        reading.set_media(name, value)
    for name, value in _options(rest, reading):
        reading.set_option(name, value)
    if url:
        reading.set_url(url)
    reading.check_complete()
    return RunArguments(reading.inputs, reading.media)


def usage(tool: tools_pb2.ToolInfo, language: Language) -> str:
    """Return how the tool is run, on one line."""
    media = [f"--{one.name} {_KIND.to(language)}" for one in tool.media]
    params = [f"[--param {name}=…]" for name in properties(tool)]
    return " ".join([f"etapa run {tool.name}", *media, *params])


def properties(tool: tools_pb2.ToolInfo) -> dict[str, Any]:
    """Return the tool's parameters by name, each with its part of the schema."""
    schema = json.loads(tool.input_schema_json or "{}")
    found = schema.get("properties", {})
    return found if isinstance(found, dict) else {}


class _Reading:
    """The arguments gathered so far, each checked by name as it comes."""

    def __init__(self, tool: tools_pb2.ToolInfo, language: Language) -> None:
        self._tool = tool
        self._language = language
        self._properties = properties(tool)
        self._media_names = [one.name for one in tool.media]
        self.inputs: dict[str, Any] = {}
        self.media: dict[str, str] = {}

    def set_param(self, name: str, value: str) -> None:
        if name in self.inputs:
            raise self.error(_TWICE, what=name)
        # A parameter that the tool lacks goes along: the tool says so, and what it has.
        self.inputs[name] = _typed(value, self._properties.get(name, {}))

    def set_media(self, name: str, source: str) -> None:
        if name not in self._media_names:
            raise self.unknown(f"--media {name}")
        if name in self.media:
            raise self.error(_TWICE, what=f"--{name}")
        if not source:
            raise self.error(_EMPTY, name=name)
        self.media[name] = source

    def set_option(self, name: str, value: str) -> None:
        known = name.replace("-", "_")
        if known in self._media_names:
            self.set_media(known, value)
        elif known in self._properties:
            self.set_param(known, value)
        else:
            raise self.unknown(f"--{name}")

    def set_url(self, url: str) -> None:
        missing = [name for name in self._media_names if name not in self.media]
        if len(missing) != 1:
            names = ", ".join(f"--{name} URL" for name in self._media_names)
            raise self.error(_WHICH, tool=self._tool.name, media=names)
        self.set_media(missing[0], url)

    def check_complete(self) -> None:
        missing = [name for name in self._media_names if name not in self.media]
        if missing:
            labels = ", ".join(f"--{name} ({self._label(name)})" for name in missing)
            shown = usage(self._tool, self._language)
            raise self.error(_MISSING, tool=self._tool.name, media=labels, usage=shown)

    def pair(self, text: str, option: str, shape: str) -> tuple[str, str]:
        name, given, value = text.partition("=")
        if not given or not name.strip():
            raise self.error(_SHAPE, option=option, text=text, shape=shape)
        return name.strip(), value

    def unknown(self, what: str) -> RunArgumentError:
        shown = usage(self._tool, self._language)
        return self.error(_UNKNOWN, tool=self._tool.name, what=what, usage=shown)

    def error(self, words: Words, **facts: object) -> RunArgumentError:
        return RunArgumentError(words.to(self._language, **facts))

    def _label(self, name: str) -> str:
        [one] = [one for one in self._tool.media if one.name == name]
        return one.label_pt if self._language is Language.PT else one.label_en


def _options(rest: Sequence[str], reading: _Reading) -> Iterable[tuple[str, str]]:
    waiting = list(rest)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("--") or word == "--":
            raise reading.error(_ALONE, word=word)
        name, given, value = word[2:].partition("=")
        if not given:
            if not waiting or waiting[0].startswith("--"):
                raise reading.error(_VALUE, name=name)
            value = waiting.pop(0)
        yield name, value


def _typed(value: str, schema: Mapping[str, Any]) -> Any:
    """Return a value in the type of the schema; one that is not of it stays text.

    The tool then refuses it in its own words, with what it allows.
    """
    wanted = schema.get("type")
    if wanted == "boolean":
        return {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}.get(
            value.lower(), value
        )
    if wanted in ("integer", "number"):
        try:
            number = json.loads(value)
        except ValueError:
            return value
        return number if isinstance(number, int | float) else value
    if wanted in ("array", "object"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
