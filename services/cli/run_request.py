"""What was typed after `etapa run TOOL`, turned into parameters and media. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etapa.tools.v1 import tools_pb2
from services.cli.errors import CliError
from services.cli.language import Language

_TRUE, _FALSE = ("true", "yes", "1", "sim"), ("false", "no", "0", "nao", "não")


class RunArgumentError(CliError):
    """What was typed does not fit the tool; the message says what the tool takes."""


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
        name, value = _pair(text, "--param", "name=value")
        reading.set_param(name, value)
    for text in media:
        name, value = _pair(text, "--media", "name=FILE|URL")
        reading.set_media(name, value)
    for name, value in _options(rest, reading):
        reading.set_option(name, value)
    if url:
        reading.set_url(url)
    reading.check_complete()
    return RunArguments(reading.inputs, reading.media)


def usage(tool: tools_pb2.ToolInfo, language: Language) -> str:
    """Return how the tool is run, on one line."""
    media = [f"--{one.name} {_KINDS[language]}" for one in tool.media]
    params = [f"[--param {name}=…]" for name in properties(tool)]
    return " ".join([f"etapa run {tool.name}", *media, *params])


def properties(tool: tools_pb2.ToolInfo) -> dict[str, Any]:
    """Return the tool's parameters by name, each with its part of the schema."""
    schema = json.loads(tool.input_schema_json or "{}")
    found = schema.get("properties", {})
    return found if isinstance(found, dict) else {}


_KINDS = {Language.PT: "ARQUIVO|URL", Language.EN: "FILE|URL"}


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
            raise RunArgumentError(f"the parameter {name} is given twice")
        # A parameter that the tool lacks goes along: the tool says so, and what it has.
        self.inputs[name] = _typed(value, self._properties.get(name, {}))

    def set_media(self, name: str, source: str) -> None:
        if name not in self._media_names:
            raise self._unknown(f"--media {name}")
        if name in self.media:
            raise RunArgumentError(f"the media {name} is given twice")
        if not source:
            raise RunArgumentError(f"--{name} needs a file or a URL")
        self.media[name] = source

    def set_option(self, name: str, value: str) -> None:
        known = name.replace("-", "_")
        if known in self._media_names:
            self.set_media(known, value)
        elif known in self._properties:
            self.set_param(known, value)
        else:
            raise self.unknown_option(name)

    def set_url(self, url: str) -> None:
        missing = [name for name in self._media_names if name not in self.media]
        if len(missing) != 1:
            names = ", ".join(f"--{name} URL" for name in self._media_names)
            raise RunArgumentError(
                f"--url does not say which media it is for; {self._tool.name} takes: {names}"
            )
        self.set_media(missing[0], url)

    def check_complete(self) -> None:
        missing = [name for name in self._media_names if name not in self.media]
        if missing:
            labels = ", ".join(f"--{name} ({self._label(name)})" for name in missing)
            raise RunArgumentError(
                f"{self._tool.name} needs {labels}: give a file or a URL, as in "
                f"`{usage(self._tool, self._language)}`"
            )

    def unknown_option(self, name: str) -> RunArgumentError:
        return self._unknown(f"--{name}")

    def _unknown(self, what: str) -> RunArgumentError:
        return RunArgumentError(
            f"{self._tool.name} has no {what}; it is run as `{usage(self._tool, self._language)}`"
        )

    def _label(self, name: str) -> str:
        [one] = [one for one in self._tool.media if one.name == name]
        return one.label_pt if self._language is Language.PT else one.label_en


def _options(rest: Sequence[str], reading: _Reading) -> Iterable[tuple[str, str]]:
    waiting = list(rest)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("--") or word == "--":
            raise RunArgumentError(f"{word!r} stands alone; options are --name value")
        name, given, value = word[2:].partition("=")
        if not given:
            if not waiting or waiting[0].startswith("--"):
                raise RunArgumentError(f"--{name} needs a value")
            value = waiting.pop(0)
        yield name, value


def _pair(text: str, option: str, shape: str) -> tuple[str, str]:
    name, given, value = text.partition("=")
    if not given or not name.strip():
        raise RunArgumentError(f"{option} {text!r} is not {option} {shape}")
    return name.strip(), value


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
