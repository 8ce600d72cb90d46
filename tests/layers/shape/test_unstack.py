"""Unstack and ExpandDimsND: each axis, layouts, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.shape.expand_dims import ExpandDimsND
from caffe2tf.layers.shape.unstack import Unstack
from tests.builders import layer
from tests.layers.emitted import built, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer

CONV = layer(
    "Convolution",
    "c",
    ["data"],
    parameters='convolution_param { num_output: 5 kernel_size: 2 weight_filler { type: "xavier" } }',
)


def unstack(axis: int | None, tops: int, bottom: str = "data") -> str:
    parameters = "" if axis is None else f"unstack_param {{ axis: {axis} num: 9 }}"
    return layer("Unstack", "out", [bottom], [f"y{i}" for i in range(tops)], parameters)


def expand(*axes: int, bottom: str = "data", top: str = "out") -> str:
    each = " ".join(f"axis: {a}" for a in axes)
    return layer("ExpandDimsND", "out", [bottom], [top], f"expand_dims_nd_param {{ {each} }}")


def draw(*shape: int) -> Array:
    return np.random.default_rng(list(shape)).normal(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("bottom", ["data", "c"])
@pytest.mark.parametrize(("axis", "tops"), [(None, 2), (0, 2), (1, 3), (2, 3), (3, 6), (-1, 1), (-3, 2)])
def test_slices(axis: int | None, tops: int, bottom: str) -> None:
    out = run_layer(CONV + unstack(axis, tops, bottom), {"data": draw(2, 3, 4, 7)})
    for i in range(tops):
        assert_matches(out[f"y{i}"], np.take(out[bottom], i, axis or 0), f"y{i}")


def test_slices_of_a_flattened_blob() -> None:
    flat = layer("Flatten", "f", ["c"])
    out = run_layer(CONV + flat + unstack(1, 90, "f"), {"data": draw(2, 3, 4, 7)})
    for i in range(90):
        assert_matches(out[f"y{i}"], out["f"][:, i])


def test_slices_of_any_batch_size() -> None:
    text = CONV + unstack(2, 2, "c")
    model = built(text, {"data": (2, 3, 4, 7)})
    x = draw(6, 3, 4, 7)
    first, second = reloaded(model, [x.transpose(0, 2, 3, 1)])
    c = np.asarray(model.get_layer("c")(x.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)
    assert {first.shape, second.shape} == {(6, 6, 5)}
    for have, i in ((first, 0), (second, 1)):
        assert_matches(have.transpose(0, 2, 1), c[:, :, i])
    assert Unstack(axis=0, count=2).trace_batch([True], [(3, 3)], [(3,)]) is Batch.FIXED


@pytest.mark.parametrize("bottom", ["data", "c"])
@pytest.mark.parametrize("axes", [(), (0,), (1,), (4,), (-1,), (-5 + 1,), (1, 1), (0, 2, 4), (3, 0)])
def test_inserted_axes(axes: tuple[int, ...], bottom: str) -> None:
    out = run_layer(CONV + expand(*axes, bottom=bottom), {"data": draw(2, 3, 4, 7)})
    shape = list(out[bottom].shape)
    for i, axis in enumerate(axes):
        shape.insert((axis + 5 if axis < 0 else axis) + i, 1)
    assert_matches(out["out"], out[bottom].reshape(shape))


def test_batch_is_kept_unless_an_axis_is_inserted_before_it() -> None:
    model = built(expand(1, -1), {"data": (2, 3)})
    assert [sorted(map(str, o.shape)) for o in model.outputs] == [["1", "1", "3", "None"]]
    assert model.outputs[0].shape[0] is None
    assert ExpandDimsND(axis=(0,)).trace_batch([True], [(1, 3)], [(1, 1, 3)]) is Batch.FIXED
    assert ExpandDimsND(axis=(1, 0)).trace_batch([True], [(1, 3)], [(1, 1, 1, 3)]) is Batch.KEPT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (unstack(1, 4), "at most 3 tops, the extent of axis 1, not 4"),
        (unstack(4, 1), "unstack_param.axis: "),
        (unstack(1, 2).replace("num: 9", "axis: 2"), "unstack_param.axis must be one whole number, not 1, 2"),
        (unstack(1, 2).replace("num: 9", "number: 9"), "field 'unstack_param.number' is not known"),
        (unstack(1, 2).replace("num: 9", "num: 1.5"), "unstack_param.num must be one whole number, not 1.5"),
        (unstack(1, 1).replace("y0", "data"), "not computed in place"),
        (expand(5), "expand_dims_nd_param.axis must be from -4 to 4 for a bottom of 4 axes, not 5"),
        (expand(1, -5), "must be from -4 to 4 for a bottom of 4 axes, not -5"),
        (expand(1, top="data"), "not computed in place"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 3, 4, 7)})
