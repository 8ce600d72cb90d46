"""Layers read their own parameters from a message; what is the same for all layers is a field of the definition."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.test_imports import OURS, TREES

TYPED = {"name", "type", "bottom", "top", "phase", "include", "exclude", "param"}
"""Fields of LayerParameter that LayerDefinition offers as typed fields and properties."""


def untyped(tree: ast.AST) -> list[str]:
    """Return the fields that ``something.message.field`` reads although the definition offers them."""
    attributes = (n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Attribute))
    return [n.attr for n in attributes if n.value.attr == "message" and n.attr in TYPED]  # type: ignore[attr-defined]  # checked above


@pytest.mark.parametrize("module", [name for name in OURS if not name.startswith("caffe2tf.parse")])
def test_only_the_parser_reads_common_fields_from_messages(module: str) -> None:
    assert untyped(TREES[module]) == []


@pytest.mark.parametrize("source", ["proto.message.phase == 0", "def f(d):\n    return d.x.message.param[0].name"])
def test_a_common_field_is_found(source: str) -> None:
    assert len(untyped(ast.parse(source))) == 1


@pytest.mark.parametrize(
    "source", ["proto.message.pooling_param.pool", "proto.phase", "error.message", "message.phase"]
)
def test_other_fields_are_not(source: str) -> None:
    assert untyped(ast.parse(source)) == []
