"""Print the migration that adds a dictionary of frames, made from sample bodies; always the same.

Usage: `python scripts/make_dictionary.py NUMBER > services/observability/migrations/….sql`. What a
migration holds is never changed: for other samples, print another one with the next number.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lz4 import block

from bench import bodies
from etapa.observability.v1 import event_pb2
from services.runninghub.request import NodeValue, StartRequest

_SAMPLES = Path(__file__).parents[1] / "tests/data/runninghub"
# A dictionary is looked through for each body, so a sample that has little new in it is left out.
_LEAST_NEWS_BYTES, _LEAST_NEWS = 96, 0.25
_COMPACT, _SPACED = (",", ":"), (", ", ": ")
# The headers that come with callbacks, as their senders write them.
_HEADERS = (
    {"Host": "", "Content-Type": "application/json", "Content-Length": "", "User-Agent": ""},
    {
        "content-type": "application/json; charset=utf-8",
        "accept": "*/*",
        "connection": "keep-alive",
    },
    {"user-agent": "", "accept-encoding": "gzip, deflate, br"},
    {"content-type": "application/json", "host": "", "content-length": ""},
)


def texts() -> Iterator[str]:
    """Yield what bodies look like: the provider's samples, our requests, the benchmark's form."""
    yield from map(_description, _HEADERS)
    yield bodies.example().decode()
    samples = [json.loads(file.read_text("utf-8")) for file in sorted(_SAMPLES.glob("*.json"))]
    for separators in (_SPACED, _COMPACT):
        for sample in samples:
            yield _dumped(sample, separators)
    yield from _requests()


def _description(headers: Mapping[str, str]) -> str:
    """Return how the gateway describes a callback, without what is no text."""
    info = event_pb2.PayloadInfo(
        kind=event_pb2.PAYLOAD_KIND_CALLBACK,
        call="callback",
        method="POST",
        url="/runninghub/" + "*" * 43,
        headers=[event_pb2.Header(name=name, value=value) for name, value in headers.items()],
        transport="received",
    )
    return info.SerializeToString().decode("ascii")


def _requests() -> Iterator[str]:
    names = ("image", "video", "text", "prompt", "seed", "value", "select")
    nodes = tuple(NodeValue(str(n), name, "") for n, name in enumerate(names, 1))
    webhook = "https://example.com/runninghub/" + "*" * 43
    for instance in ("plus", "default"):
        request = StartRequest(
            target_id="", nodes=nodes, webhook_url=webhook, instance_type=instance
        )
        yield request.body.decode()
    yield _dumped({"taskId": "1990000000000000001"}, _COMPACT)


def _dumped(sample: Any, separators: tuple[str, str]) -> str:
    return json.dumps(sample, ensure_ascii=False, separators=separators)


def dictionary() -> bytes:
    """Return the texts one after the other, without those that hold little new."""
    made = b""
    for text in texts():
        raw = text.encode()
        news = len(block.compress(raw, store_size=False, dict=made)) if made else len(raw)
        if news >= min(max(_LEAST_NEWS_BYTES, _LEAST_NEWS * len(raw)), len(raw)):
            made += raw
    return made


def migration(number: int) -> str:
    """Return the migration's text."""
    content = dictionary().decode()
    quote = "$bodies$"
    if quote in content:
        raise ValueError(f"a sample holds {quote}")
    return (
        "-- A dictionary of frames. Made by scripts/make_dictionary.py; never changed, as frames\n"
        "-- name it for ever.\n"
        "INSERT INTO observability.dictionaries (number, content)\n"
        f"VALUES ({number}, convert_to({quote}{content}{quote}, 'UTF8'));\n"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(migration(int(sys.argv[1])), end="")
