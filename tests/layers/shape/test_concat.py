"""Concat: recordings of Caffe, each axis of each rank, layouts, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError, LayerError
from caffe2tf.ir.layer import Batch
from caffe2tf.ir.layout import Block, Layout
from caffe2tf.ir.value import Value
from caffe2tf.layers.shape.concat import Concat
from tests.builders import layer
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def concat_layer(parameters: str, *bottoms: str) -> str:
    return layer("Concat", "out", bottoms, parameters=f"concat_param {{ {parameters} }}")


def draw(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("case", recorded("concat"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 2, 5), (3, 2, 5, 4), (2, 3, 2, 4, 5)])
def test_all_axes(shape: tuple[int, ...]) -> None:
    for axis in range(len(shape)):
        sizes = (shape[axis], 1, shape[axis] + 2)
        parts = {f"b{i}": draw(*shape[:axis], n, *shape[axis + 1 :]) for i, n in enumerate(sizes)}
        written = f"axis: {axis - len(shape)}" if axis % 2 else f"concat_dim: {axis}"
        have = run_layer(concat_layer(written, *parts), parts)["out"]
        assert_matches(have, np.concatenate(list(parts.values()), axis), written)


def test_single_bottom_is_not_copied() -> None:
    relu = layer("ReLU", "r", ["out"])
    x = draw(2, 3, 4, 5)
    assert calls(concat_layer("", "data") + relu, {"data": x.shape}) == ["ReLU"]
    assert_matches(run_layer(concat_layer("axis: 0", "data"), {"data": x})["out"], x)


def test_default_axis_is_1() -> None:
    a, b = draw(2, 3, 4, 5), draw(2, 2, 4, 5)
    assert_matches(run_layer(concat_layer("", "a", "b"), {"a": a, "b": b})["out"], np.concatenate([a, b], 1))


def test_same_bottom_twice() -> None:
    x = draw(2, 3, 4, 5)
    assert_matches(run_layer(concat_layer("axis: 2", "x", "x"), {"x": x})["out"], np.concatenate([x, x], 2))


def test_flattened_images_keep_their_order() -> None:
    flatten = layer("Flatten", "fa", ["a"]) + layer("Flatten", "fb", ["b"])
    ip = layer("InnerProduct", "ip", ["out"], parameters="inner_product_param { num_output: 4 }")
    a, b, c = draw(2, 3, 4, 5), draw(2, 4, 2, 3), draw(2, 6)
    rng = np.random.default_rng(5)
    blobs = [rng.standard_normal((4, 90)), rng.standard_normal(4)]
    text = flatten + concat_layer("axis: -1", "fa", "c", "fb") + ip
    have = run_layer(text, {"a": a, "b": b, "c": c}, {"ip": blobs})
    want = np.concatenate([a.reshape(2, -1), c, b.reshape(2, -1)], 1)
    assert_matches(have["out"], want)
    assert_matches(have["ip"], want @ blobs[0].T + blobs[1])
    assert "Permute" not in calls(text, {"a": a.shape, "b": b.shape, "c": c.shape})


def test_most_common_layout_is_kept() -> None:
    def value(layout: Layout, shape: tuple[int, ...] = (2, 3, 4, 5)) -> Value:
        return Value(id="v", blob="v", shape=shape, layout=layout)

    concat, last, plain = Concat(axis=1), Layout.channels_last(4), Layout.plain(4)
    for given, kept in (((last, plain, last), last), ((plain, plain, last), plain), ((plain, last), last)):
        found = concat.arrange([value(x) for x in given], [])
        assert found.inputs == (kept,) * len(given)
        assert found.outputs == (kept,)
    block = Block((3, 20), (1, 0))
    flat, flat_shape = Layout.flat([block]), (2, 60)
    joined = concat.arrange([value(flat, flat_shape), value(Layout.plain(2), (2, 5))], [])
    assert joined.outputs == (Layout((0, 1), (block, Block((5,), (0,)))),)
    turned = concat.arrange([value(flat, flat_shape), value(Layout((1, 0)), (2, 5))], [])
    assert turned.inputs == (Layout.plain(2),) * 2
    assert (
        Concat(axis=0).arrange([value(flat, flat_shape), value(Layout.plain(2), flat_shape)], []).inputs == (flat,) * 2
    )


def test_unknown_extents() -> None:
    assert Concat(axis=1).infer((None, 3, 4), (2, 5, None)) == ((2, 8, 4),)
    assert Concat(axis=1).infer((2, None), (2, 5)) == ((2, None),)
    with pytest.raises(LayerError, match="same extents"):
        Concat(axis=1).infer((None, 3, 4), (2, 5, 5))


def test_batch_is_kept_unless_concatenated() -> None:
    a, b = draw(3, 2, 4, 5), draw(3, 3, 4, 5)
    (have,) = reloaded(built(concat_layer("", "a", "b"), {"a": (1, 2, 4, 5), "b": (1, 3, 4, 5)}), [_last(a), _last(b)])
    assert_matches(have, _last(np.concatenate([a, b], 1)))
    assert Concat(axis=1).trace_batch([True, True], [(2, 3), (2, 4)], [(2, 7)]) is Batch.KEPT
    assert Concat(axis=-2).trace_batch([True, True], [(2, 3), (2, 3)], [(4, 3)]) is Batch.FIXED
    assert Concat(axis=0).trace_batch([True], [(2, 3)], [(2, 3)]) is Batch.KEPT


def _last(x: Array) -> Array:
    return np.moveaxis(x, 1, -1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (concat_layer("axis: 1 concat_dim: 1", "a", "b"), "give either concat_param.axis or concat_dim, not both"),
        (concat_layer("concat_dim: 4294967295", "a", "b"), "concat_dim must be 0 or more, not -1"),
        (concat_layer("concat_dim: 4", "a", "b"), "axis 4 is out of range for a blob of 4 axes"),
        (concat_layer("axis: -5", "a", "b"), "concat_param.axis: axis -5 is out of range"),
        (concat_layer("axis: 1", "a", "c"), "same number of axes; the shapes 2x3x4x5 and 2x3x4 are given"),
        (concat_layer("axis: 2", "a", "b"), "except along axis 2; the shapes 2x3x4x5 and 2x6x4x5"),
        (concat_layer("axis: 1"), "takes 1 or more bottoms, 0 given"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"a": draw(2, 3, 4, 5), "b": draw(2, 6, 4, 5), "c": draw(2, 3, 4)})
