"""Overrides are checked node by node."""

from __future__ import annotations

from typing import Any

import pytest

from services.emulator.catalog import WEBAPPS, WORKFLOWS
from services.emulator.codes import CODES, Refusal, v1_text, v2_text
from services.emulator.node_info import NodeValue, check_nodes

FACE = WEBAPPS["2037184937371115522"]


@pytest.mark.parametrize(
    ("value", "text"), [("0.5", "0.5"), (0.5, "0.5"), (1, "1"), (True, "true"), (False, "false")]
)
def test_values_are_kept_as_text(value: Any, text: str) -> None:
    app = WORKFLOWS["1900000000000000001"]
    raw = [{"nodeId": "6", "fieldName": "text", "fieldValue": value}]
    assert check_nodes(app, raw) == (NodeValue("6", "text", text),)


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"nodeId": "1", "fieldName": "image"}, 803),
        ({"nodeId": "", "fieldName": "", "fieldValue": "x"}, 803),
        ({"nodeId": "102", "fieldName": "value", "fieldValue": "nan?"}, 433),
        ({"nodeId": "102", "fieldName": "value", "fieldValue": "nan"}, 433),
        ({"nodeId": "547", "fieldName": "value", "fieldValue": "2048.5"}, 433),
        ({"nodeId": "102", "fieldName": "value", "fieldValue": "-0.1"}, 433),
        (None, 301),
    ],
)
def test_what_does_not_fit_is_refused(entry: Any, code: int) -> None:
    with pytest.raises(Refusal) as raised:
        check_nodes(FACE, [entry])
    assert raised.value.code == code


def test_v1_says_the_bare_word_where_v2_names_the_culprit() -> None:
    refused = Refusal(803, "NODE_INFO_MISMATCH(nodeId=1)")
    assert refused.words("v1") == "APIKEY_INVALID_NODE_INFO"
    assert refused.words("v2") == "NODE_INFO_MISMATCH(nodeId=1)"


def test_every_code_has_words_in_both_generations() -> None:
    assert all(v1_text(code) and v2_text(code) for code in CODES)
    assert v1_text(99_999) == "UNKNOWN_ERROR"


@pytest.mark.parametrize("app", [*WEBAPPS.values(), *WORKFLOWS.values()], ids=lambda a: a.name)
def test_every_app_has_a_graph_with_its_nodes_and_a_file_to_load(app: Any) -> None:
    graph = app.graph()
    assert set(graph) == app.nodes
    assert all(node["class_type"] for node in graph.values())
    assert app.media
