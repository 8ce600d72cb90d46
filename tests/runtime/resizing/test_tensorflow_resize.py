from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from tests.layers.oracle import Array
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw

F = np.float32
Sizes = tuple[tuple[int, int], ...]
SIZES: list[Sizes] = [((1, 5), (2, 7)), ((2, 2), (3, 3)), ((1, 1),), ((1, 9), (2, 1)), ((2, 12), (3, 8))]


def ratio(before: int, after: int, mode: str) -> np.float32:
    return F(before - 1) / F(after - 1) if mode == "align_corners" and after > 1 else F(before) / F(after)


def index_of(i: int, before: int, after: int, mode: str) -> int:
    s = ratio(before, after, mode)
    if mode == "align_corners":
        found = math.floor(float(F(i) * s) + 0.5)
    elif mode == "half_pixel_onnx":
        found = math.floor(F(float((F(i) + F(0.5)) * s) - 0.5))
    else:
        found = math.floor((F(i) + F(0.5)) * s) if mode else math.floor(F(i) * s)
    return max(min(found, before - 1), 0)


def position_of(i: int, before: int, after: int, mode: str) -> float:
    if mode == "pytorch_half_pixel" and after == 1:
        return -0.5
    s = ratio(before, after, mode)
    return float((F(i) + F(0.5)) * s - F(0.5) if "half_pixel" in mode else F(i) * s)


def resized(x: Array, sizes: Sizes, mode: str, *, linear: bool) -> Array:
    """A loop over the values, axis after axis."""
    extents = list(x.shape)
    for axis, size in sizes:
        extents[axis] = size
    y = np.empty(extents, np.float32)
    for index in itertools.product(*map(range, extents)):
        ends: list[list[tuple[int, float]]] = [[(i, 1.0)] for i in index]
        for axis, size in sizes:
            before = x.shape[axis]
            if linear:
                at = position_of(index[axis], before, size, mode)
                low, share = math.floor(at), at - math.floor(at)
                ends[axis] = [(max(low, 0), 1 - share), (min(math.ceil(at), before - 1), share)]
            else:
                ends[axis] = [(index_of(index[axis], before, size, mode), 1.0)]
        corners = [(tuple(i for i, _ in c), math.prod(w for _, w in c)) for c in itertools.product(*ends)]
        y[index] = sum(w * float(x[place]) for place, w in corners)
    return y


MODES: list[tuple[str, str]] = [
    *(("ResizeBilinear", m) for m in ("", "align_corners", "half_pixel_centers", "pytorch_half_pixel")),
    *(("ResizeNearest", m) for m in ("", "align_corners", "half_pixel_centers", "half_pixel_onnx")),
]


@pytest.mark.parametrize(("name", "mode"), MODES)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_values(name: str, mode: str, sizes: Sizes, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.resizing import tensorflow_resize

    cls: Any = getattr(tensorflow_resize, name)
    x = draw(rng, 2, 4, 6, 5)
    layer = cls(sizes, mode)
    want = resized(x, sizes, mode, linear=name == "ResizeBilinear")
    check_layer(layer, want, x, everywhere=sizes == SIZES[0])
    assert layer.compute_output_shape((None, 4, 6, 5)) == (None, *want.shape[1:])
    if sizes in SIZES[:2]:
        check_precisions(layer, x)
        check_gradient(cls(sizes, mode, dtype="float64"), rng, x)


@pytest.mark.parametrize("name", ["ResizeBilinear", "ResizeNearest"])
def test_extents_that_must_be_known(name: str) -> None:
    import tensorflow as tf

    from caffe2tf.runtime.resizing import tensorflow_resize

    layer = getattr(tensorflow_resize, name)(((2, 3),))
    traced = tf.function(layer, input_signature=[tf.TensorSpec((2, None, None, 3))])
    with pytest.raises(ValueError, match=r"along the axes \(2,\) must be known, not \(2, None, None, 3\)"):
        traced(np.ones((2, 7, 9, 3), np.float32))
