from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw


def unfolded(x: Array, kernel: Any, stride: Any, pad: Any, dilation: Any) -> Array:  # noqa: ANN401 - sequences
    """A loop over the windows; batch axis, spatial axes, channels."""
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    sizes = zip(x.shape[1:-1], pad, spans, stride, strict=True)
    counts = [max((n + 2 * p - s) // t + 1, 1) for n, p, s, t in sizes]
    padded = np.pad(x, [(0, 0), *((p, p + s) for p, s in zip(pad, spans, strict=True)), (0, 0)])
    out = np.empty((x.shape[0], *counts, x.shape[-1], int(np.prod(kernel))), np.float32)
    for at in itertools.product(*map(range, counts)):
        for i, offset in enumerate(itertools.product(*map(range, kernel))):
            place = [a * t + o * d for a, t, o, d in zip(at, stride, offset, dilation, strict=True)]
            read: tuple[Any, ...] = (slice(None), *place)
            written: tuple[Any, ...] = (slice(None), *at, slice(None), i)
            out[written] = padded[read]
    return out.reshape(*out.shape[:-2], -1)


@pytest.mark.parametrize(
    ("extents", "kernel", "stride", "pad", "dilation"),
    [
        ((5, 6), (3, 2), (1, 1), (0, 0), (1, 1)),
        ((5, 6), (3, 2), (2, 3), (1, 0), (2, 1)),
        ((2, 3), (4, 2), (1, 1), (0, 0), (1, 1)),
        ((7,), (3,), (2,), (1,), (2,)),
        ((3, 4, 5), (2, 1, 3), (1, 2, 1), (0, 1, 0), (1, 1, 2)),
    ],
)
def test_values(extents: Any, kernel: Any, stride: Any, pad: Any, dilation: Any, rng: np.random.Generator) -> None:  # noqa: ANN401
    from caffe2tf.runtime.vision.im2col import Im2col

    x = draw(rng, 2, *extents, 3)
    layer = Im2col(kernel, stride=stride, pad=pad, dilation=dilation)
    want = unfolded(x, kernel, stride, pad, dilation)
    check_layer(layer, want, x, tolerance=0, everywhere=len(extents) == 2)
    check_precisions(layer, x)
    assert layer.compute_output_shape((None, *extents, 3)) == (None, *want.shape[1:])
    check_gradient(Im2col(kernel, stride=stride, pad=pad, dilation=dilation, dtype="float64"), rng, x)


def test_defaults(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.vision.im2col import Im2col

    x = draw(rng, 2, 4, 5, 3)
    assert np.array_equal(Im2col((2, 3))(x), unfolded(x, (2, 3), (1, 1), (0, 0), (1, 1)))


def test_unknown_extents_and_xla(rng: np.random.Generator) -> None:
    import keras
    import tensorflow as tf

    from caffe2tf.runtime.vision.im2col import Im2col

    arguments = {"stride": (2, 3), "pad": (1, 0), "dilation": (2, 1)}
    layer = Im2col((3, 2), **arguments)
    assert layer(keras.Input((None, 5, 3))).shape == (None, None, 2, 18)
    traced = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 3))])
    for extents in ((6, 5), (2, 8)):
        x = draw(rng, 2, *extents, 3)
        want = unfolded(x, (3, 2), (2, 3), (1, 0), (2, 1))
        assert_matches(traced(x), want, tolerance=0)
        assert_matches(tf.function(layer, jit_compile=True)(tf.constant(x)), want, tolerance=0)
