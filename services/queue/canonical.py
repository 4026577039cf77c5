"""What makes a request to create a job the same as an earlier one: a digest of its parameters.

Canonical JSON here: keys sorted by code point, no white space, non-ASCII escaped, whole numbers
exact to any size, other numbers as the shortest text that reads back the same double.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, NoReturn

from services.queue.domain import BadRequestError

_FIELD = "input_json"


def canonical_inputs(input_json: str) -> str:
    """Return one JSON object in canonical form. Raises `BadRequestError` on anything else."""
    try:
        value = _DECODER.decode(input_json)
        text = _ENCODER.encode(value)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except BadRequestError:
        raise
    except UnicodeEncodeError as error:  # no strict reader after us would take it
        raise BadRequestError(f"{_FIELD} holds half of a surrogate pair", _FIELD) from error
    except RecursionError as error:
        raise BadRequestError(f"{_FIELD} is nested too deeply", _FIELD) from error
    except ValueError as error:
        raise BadRequestError(f"{_FIELD} is not JSON: {error}", _FIELD) from error
    if not isinstance(value, dict):
        raise BadRequestError(f"{_FIELD} is not one JSON object", _FIELD)
    return text


def params_sha256(tool: str, variant: str, user_id: str, inputs: str) -> bytes:
    """Return the digest of a request's parameters; `inputs` in canonical form."""
    return hashlib.sha256(json.dumps([tool, variant, user_id, inputs]).encode()).digest()


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadRequestError(f"{_FIELD} names a key twice in one object", _FIELD)
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise BadRequestError(f"{_FIELD} holds {name}, which is not JSON", _FIELD)


# Made once: to make them costs more than to use them on small inputs.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
# Half of a pair, or a whole one: as canonical text writes it.
_SURROGATE = re.compile(r"\\ud[89a-f]")
