from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.layers.oracle import Array, assert_matches
from tests.runtime.layer_checks import draw
from tests.runtime.vision.test_convolution import check_window_layer

CASES: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((3, 2), (3, 4), {}),
    ((3, 4), (3, 2), {"strides": (2, 3), "padding": (1, 0)}),
    ((3, 2), (2, 3), {"strides": (2, 3), "dilation_rate": (3, 2), "padding": (0, 1)}),
    ((4, 4), (3, 2), {"groups": 4, "strides": (2, 2), "padding": (1, 1), "use_bias": False}),
    ((2, 3), (3, 2), {"groups": 2, "strides": (2, 4), "dilation_rate": (2, 2)}),
    ((2,), (4,), {"strides": (3,), "dilation_rate": (2,)}),
    ((1, 3), (3, 2), {"strides": (3, 1)}),
    ((2, 1, 3), (2, 3, 2), {"strides": (1, 2, 2)}),
    ((2, 1, 2, 1), (2, 1, 2, 2), {"strides": (2, 1, 1, 2)}),
    ((3, 2), (2, 3), {"dilation_rate": (0, 1), "strides": (2, 1)}),
    ((), (), {"groups": 2}),
]


def deconvolved(x: Array, kernel: Array, bias: Array | None, **arguments: Any) -> npt.NDArray[np.float64]:  # noqa: ANN401
    """A loop over the input and the window: each value adds the kernel, multiplied by it, to the output."""
    *window, each, channels = kernel.shape
    rank, groups = len(window), arguments.get("groups", 1)
    strides, padding, dilation = (
        arguments.get(n, (v,) * rank) for n, v in (("strides", 1), ("padding", 0), ("dilation_rate", 1))
    )
    sizes = zip(x.shape[1:-1], strides, window, dilation, strict=True)
    y = np.zeros((x.shape[0], *(s * (n - 1) + d * (k - 1) + 1 for n, s, k, d in sizes), groups * each))
    for c in range(channels):
        group = c // (channels // groups)
        for at in itertools.product(*map(range, x.shape[1:-1])):
            for offset in itertools.product(*map(range, window)):
                place = [i * s + o * d for i, s, o, d in zip(at, strides, offset, dilation, strict=True)]
                read: tuple[Any, ...] = (slice(None), *at, slice(c, c + 1))
                written: tuple[Any, ...] = (slice(None), *place, slice(group * each, (group + 1) * each))
                y[written] += x[read] * kernel[offset][:, c]
    y = y[(slice(None), *(slice(p, n - p) for p, n in zip(padding, y.shape[1:-1], strict=True)))]
    return y if bias is None else y + bias


@pytest.mark.parametrize(("kernel_size", "extents", "arguments"), CASES, ids=str)
def test_values(
    kernel_size: tuple[int, ...], extents: tuple[int, ...], arguments: dict[str, Any], rng: np.random.Generator
) -> None:
    from caffe2tf.runtime.vision.deconvolution import Deconvolution

    check_window_layer(Deconvolution, deconvolved, kernel_size, extents, arguments, rng)


def test_weights() -> None:
    from caffe2tf.runtime.vision.deconvolution import Deconvolution

    layer = Deconvolution(6, (3, 2), groups=2)
    layer.build((2, 5, 7, 4))
    assert [(w.name, w.shape) for w in layer.weights] == [("kernel", (3, 2, 3, 4)), ("bias", (6,))]


@pytest.mark.parametrize(
    "arguments", [{"strides": (2, 3), "padding": (1, 0)}, {"groups": 2, "strides": (2, 2), "dilation_rate": (2, 1)}]
)
def test_unknown_extents(arguments: dict[str, Any], rng: np.random.Generator) -> None:
    import keras
    import tensorflow as tf

    from caffe2tf.runtime.vision.deconvolution import Deconvolution

    layer = Deconvolution(6, (3, 2), **arguments)
    assert layer(keras.Input((None, None, 4))).shape == (None, None, None, 6)
    traced = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 4))])
    for extents in ((4, 3), (2, 5)):
        x = draw(rng, 2, *extents, 4)
        assert_matches(traced(x), deconvolved(x, layer.kernel.numpy(), None, **arguments))


def test_several_batch_axes(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.vision.deconvolution import Deconvolution

    x, layer = draw(rng, 2, 3, 5, 4, 6), Deconvolution(8, (3, 2), strides=(1, 2))
    have = layer(x)
    assert have.shape == layer.compute_output_shape(x.shape) == (2, 3, 7, 8, 8)
    assert_matches(have[1], deconvolved(x[1], layer.kernel.numpy(), None, strides=(1, 2)))
