"""Reorder: every pair of layouts, by as few layers as possible."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe2tf.ir.expr import Call, Expr
from caffe2tf.ir.layer import Context
from caffe2tf.ir.layout import Block, Layout
from caffe2tf.ir.value import Value
from caffe2tf.passes.reorder import Reorder

TURNED = Block((3, 20), (1, 0))
PLAIN2 = Layout.plain(2)


def emit(source: Layout, target: Layout, shape: tuple[int | None, ...]) -> Expr:
    x = Value(id="x", blob="x", shape=shape, layout=source)
    return Reorder(source=source, target=target).emit(Context(name="r", inputs=(x,), outputs=()), x)


def constructs(expr: Expr) -> list[Any]:
    if not isinstance(expr, Call):
        return []
    return [*(c for i in expr.inputs for c in constructs(i)), expr.construct]


def names(source: Layout, target: Layout, shape: tuple[int | None, ...]) -> list[str]:
    return [c.target.removeprefix("layers.") for c in constructs(emit(source, target, shape))]


def compute(expr: Expr, tensor: Any) -> Any:  # noqa: ANN401 - arrays and tensors of TensorFlow
    import keras

    import caffe2tf.runtime.shape.reshape
    import caffe2tf.runtime.transpose

    homes = (keras.layers, caffe2tf.runtime.transpose, caffe2tf.runtime.shape.reshape)
    for c in constructs(expr):
        name = c.target.removeprefix("layers.")
        cls = next(getattr(h, name) for h in homes if hasattr(h, name))
        layer = cls.from_config(cls(*c.args, **dict(c.kwargs)).get_config())
        assert tuple(layer.compute_output_shape(tensor.shape)) == tuple(layer(tensor).shape)
        tensor = layer(tensor)
    return tensor


def check(source: Layout, target: Layout, shape: tuple[int, ...]) -> None:
    blob = np.arange(math.prod(shape), dtype=np.float32).reshape(shape) - 7
    have = compute(emit(source, target, shape), source.from_caffe(blob))
    assert np.array_equal(np.asarray(have), target.from_caffe(blob))


@settings(max_examples=60)
@given(st.data())
def test_axes(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.sampled_from((1, 2, 3, 4)), min_size=2, max_size=5)))
    orders = st.permutations(range(len(shape))).map(lambda o: Layout(tuple(o)))
    source = data.draw(orders)
    check(source, data.draw(orders.filter(lambda o: o != source)), shape)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    "blocks",
    [
        (TURNED,),
        (Block((3, 4, 5), (1, 2, 0)),),
        (Block((3, 4, 5), (2, 0, 1)),),
        (Block((12, 5), (1, 0)),),
        (Block((8,), (0,)), Block((4, 13), (1, 0))),
        (Block((2, 5), (1, 0)), Block((10, 5), (1, 0))),
    ],
)
def test_flattened_axes(blocks: tuple[Block, ...], *, turned: bool) -> None:
    flat = Layout((0, 1), blocks)
    for other in (PLAIN2, Layout((0, 1), (TURNED,)), Layout((0, 1), (Block((3, 4, 5), (1, 2, 0)),)), Layout((1, 0))):
        if other != flat:
            check(*((other, flat) if turned else (flat, other)), shape=(2, 60))


def test_the_emitted_layers() -> None:
    image, flat = Layout.channels_last(4), Layout((0, 1), (TURNED,))
    assert names(image, Layout.plain(4), (2, 3, 4, 5)) == ["Permute"]
    assert names(image, Layout.plain(4), (2, 3, 1, 1)) == ["Reshape"]
    assert names(image, Layout.plain(4), (2, 3, 1, None)) == ["Permute"]
    assert names(image, Layout.plain(4), (2, None, 1, 1)) == ["Reshape"]
    assert names(image, Layout((1, 0, 2, 3)), (2, 3, 1, 1)) == ["Transpose"]
    assert names(flat, PLAIN2, (2, 60)) == ["Reshape", "Permute", "Flatten"]
    assert names(PLAIN2, flat, (2, 60)) == ["Reshape", "Permute", "Flatten"]
    assert names(Layout((0, 1), (TURNED, TURNED)), PLAIN2, (2, 120)) == ["Reblock"]
