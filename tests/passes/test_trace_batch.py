"""The batch: every case that `caffe2tf.passes.trace_batch` numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffe2tf.ir import Node, Shape, Value
from caffe2tf.ir.expr import Expr
from caffe2tf.ir.layer import Batch, Context, Elementwise
from caffe2tf.layers.shape.concat import Concat
from caffe2tf.layers.shape.flatten import Flatten
from caffe2tf.passes.trace_batch import trace_batch
from tests.passes.graphs import build, constant, node, relu, source

DATA, CONSTANT = source("data"), constant("c", (2, 3))
ALL_IN_ONE = Flatten(axis=0, end_axis=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen(Elementwise):
    """A layer whose rows are not those of its bottom."""

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        del batched, inputs, outputs
        return Batch.ABSENT

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        raise NotImplementedError


def traced(*nodes: Node) -> tuple[bool, set[str]]:
    """Whether the batch size is free, and the values without the batch."""
    done = trace_batch(build(*nodes))
    return done.free_batch, set(done.unbatched)


def test_1_sources_have_the_batch_and_constants_do_not() -> None:
    assert traced(DATA, CONSTANT) == (True, {"c"})


def test_2_nor_has_what_only_constants_lead_to() -> None:
    """Layers that would mix the batch fix nothing there."""
    assert traced(DATA, CONSTANT, relu("r", "c"), node("f", ALL_IN_ONE, "r")) == (True, {"c", "r", "f"})


def test_3_a_layer_keeps_the_batch() -> None:
    assert traced(DATA, relu("r", "data")) == (True, set())


def test_3_a_layer_gives_something_without_it() -> None:
    assert traced(DATA, node("chosen", Chosen(), "data"), relu("r", "chosen")) == (True, {"chosen", "r"})


def test_4_a_layer_that_mixes_items_fixes_the_batch_size() -> None:
    assert traced(DATA, node("f", ALL_IN_ONE, "data"), relu("r", "f")) == (False, set())


def test_4_so_does_one_that_joins_them_with_constants() -> None:
    assert traced(DATA, CONSTANT, node("both", Concat(axis=1), "data c")) == (False, {"c"})
