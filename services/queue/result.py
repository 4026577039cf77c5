"""What a verified success still has to bring home, as the attempt's row keeps it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.runninghub.report import Output


class Result(msgspec.Struct, frozen=True):
    """One output as the provider named it: a file by `url`, or a `text`."""

    url: str
    node_id: str = ""
    output_type: str = ""
    text: str = ""


def results_to_json(outputs: Sequence[Output]) -> str:
    """Write outputs for the attempt's row, in the provider's order."""
    results = [Result(o.url, o.node_id, o.output_type, o.text) for o in outputs]
    return msgspec.json.encode(results).decode()


def results_from_json(text: str) -> list[Result]:
    """Read what `results_to_json` wrote."""
    return msgspec.json.decode(text, type=list[Result])
