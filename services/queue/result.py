"""What a verified success still has to bring home, as the attempt's row keeps it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.queue.domain import SavedOutput
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


def unsaved_output(result: Result | Output, provider_url: str = "") -> SavedOutput:
    """Return an output of which we hold no file: a text, or one that could not be saved."""
    return SavedOutput(
        url="",
        provider_url=provider_url,
        sha256="",
        bytes=0,
        content_type="text/plain" if result.text else "",
        node_id=result.node_id,
        text=result.text,
    )


def results_from_json(text: str) -> list[Result]:
    """Read what `results_to_json` wrote."""
    return msgspec.json.decode(text, type=list[Result])
