"""Remarks of layers: the same remark of several layers is one note."""

from __future__ import annotations

from dataclasses import dataclass

from caffe2tf.diagnostics import Hint, Position, Severity
from caffe2tf.ir import Node, Value
from caffe2tf.ir.expr import Expr
from caffe2tf.ir.stub import Stub
from caffe2tf.layers import Context, Elementwise, Layer
from caffe2tf.load.remarks import remarks_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Remarking(Elementwise):
    """A layer with remarks."""

    says: tuple[str, ...]

    def remarks(self) -> tuple[str, ...]:
        return self.says

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        raise NotImplementedError


def node(name: str, layer: Layer, line: int) -> Node:
    return Node(name=name, layer=layer, inputs=(), outputs=(), where=Position("n.prototxt", line, 1))


def test_a_repeated_remark_is_one_note_at_the_first_layer() -> None:
    nodes = [
        node("a", Remarking(says=("one", "two")), 1),
        node("b", Remarking(says=()), 2),
        node("c", Remarking(says=("two",)), 3),
        node("d", Remarking(says=("two", "three")), 4),
    ]
    notes = remarks_of(nodes)
    assert [str(n) for n in notes] == [
        "n.prototxt:1:1: layer 'a': one",
        "n.prototxt:1:1: layer 'a' and 2 more like it: two",
        "n.prototxt:4:1: layer 'd': three",
    ]
    assert {n.severity for n in notes} == {Severity.NOTE}


def test_a_stub_asks_for_the_shapes_that_were_assumed() -> None:
    nodes = [
        node("a", Stub(type="Odd", given=((2, 3),)), 1),
        node("b", Stub(type="Odd", given=((2, 3), None)), 2),
        node("c", Stub(type="Odd", given=(None,)), 3),
        node("d", Stub(type="Even", given=(None,)), 4),
    ]
    found = [(n.layer, n.repeats, n.hint) for n in remarks_of(nodes)]
    assert found == [("a", 0, None), ("b", 1, Hint.INPUT_SHAPE), ("d", 0, Hint.INPUT_SHAPE)]
