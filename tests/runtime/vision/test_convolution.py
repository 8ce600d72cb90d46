from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw

# kernel_size, the spatial extents, and the other arguments.
CASES: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((3, 2), (6, 5), {}),
    ((3, 2), (7, 6), {"strides": (2, 3), "padding": (1, 0)}),
    ((3, 2), (7, 6), {"strides": (2, 3), "dilation_rate": (3, 2), "padding": (2, 1)}),
    ((2, 3), (5, 7), {"groups": 2, "strides": (2, 2), "dilation_rate": (2, 2)}),
    ((3, 2), (5, 4), {"groups": 4, "strides": (1, 2)}),
    ((3, 2), (5, 4), {"groups": 4, "strides": (2, 2), "use_bias": False}),
    ((2,), (5,), {"groups": 2, "padding": (2,)}),
    ((2, 2, 3), (3, 3, 4), {"padding": (0, 1, 0)}),
    ((2, 1, 3), (3, 2, 4), {"strides": (1, 2, 1), "padding": (0, 1, 0)}),
    ((2, 1, 2, 1), (3, 2, 2, 2), {"padding": (0, 0, 1, 0)}),
    ((4, 5), (2, 3), {"padding": (0, 1)}),
    ((3, 3), (1, 4), {"dilation_rate": (0, 1)}),
    ((), (), {}),
]


def convolved(x: Array, kernel: Array, bias: Array | None, **arguments: Any) -> npt.NDArray[np.float64]:  # noqa: ANN401
    """A loop over the output and the window."""
    *window, each, filters = kernel.shape
    rank, groups = len(window), arguments.get("groups", 1)
    strides, padding, dilation = (
        arguments.get(n, (v,) * rank) for n, v in (("strides", 1), ("padding", 0), ("dilation_rate", 1))
    )
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, window, strict=True)]
    extents = [max(n + 2 * p, s) for n, p, s in zip(x.shape[1:-1], padding, spans, strict=True)]
    padded = np.zeros((x.shape[0], *extents, x.shape[-1]))
    padded[(slice(None), *(slice(p, p + n) for p, n in zip(padding, x.shape[1:-1], strict=True)))] = x
    counts = [(n - s) // t + 1 for n, s, t in zip(extents, spans, strides, strict=True)]
    y = np.zeros((x.shape[0], *counts, filters))
    for f in range(filters):
        group = f // (filters // groups)
        for at in itertools.product(*map(range, counts)):
            for offset in itertools.product(*map(range, window)):
                place = [i * s + o * d for i, s, o, d in zip(at, strides, offset, dilation, strict=True)]
                read: tuple[Any, ...] = (slice(None), *place, slice(group * each, (group + 1) * each))
                written: tuple[Any, ...] = (slice(None), *at, f)
                y[written] += padded[read] @ kernel[offset][:, f]
    return y if bias is None else y + bias


def check_window_layer(cls: Any, oracle: Any, kernel_size: Any, extents: Any, arguments: Any, rng: Any) -> None:  # noqa: ANN401 - for the layers of this folder
    """The values with random weights, other precisions, the gradient, and the static shape."""
    layer, x = cls(8, kernel_size, **arguments), draw(rng, 2, *extents, 4)
    layer.build(x.shape)
    weights = [draw(rng, *w.shape) for w in layer.weights]
    layer.set_weights(weights)
    kernel, bias = (*weights, None)[:2]
    shared = {k: v for k, v in arguments.items() if k not in {"use_bias", "shared_bias"}}
    want = oracle(x, kernel, bias, **shared)
    check_layer(layer, want, x, everywhere="groups" in arguments and "dilation_rate" in arguments)
    check_precisions(layer, x)
    assert layer.compute_output_shape((None, *extents, 4)) == (None, *want.shape[1:])
    check_gradient(cls(8, kernel_size, **arguments, dtype="float64"), rng, x)


@pytest.mark.parametrize(("kernel_size", "extents", "arguments"), CASES, ids=str)
def test_values(
    kernel_size: tuple[int, ...], extents: tuple[int, ...], arguments: dict[str, Any], rng: np.random.Generator
) -> None:
    from caffe2tf.runtime.vision.convolution import Convolution

    check_window_layer(Convolution, convolved, kernel_size, extents, arguments, rng)


def test_weights() -> None:
    from caffe2tf.runtime.vision.convolution import Convolution

    layer = Convolution(6, (3, 2), groups=2)
    layer.build((2, 5, 7, 4))
    assert [(w.name, w.shape) for w in layer.weights] == [("kernel", (3, 2, 2, 6)), ("bias", (6,))]
    assert not layer.bias.numpy().any()


def test_an_activation(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.vision.convolution import Convolution

    layer, x = Convolution(3, (2, 2), activation="relu"), draw(rng, 2, 3, 4, 2)
    have = np.asarray(layer(x))
    assert_matches(have, np.maximum(convolved(x, layer.kernel.numpy(), None), 0))
    assert (have == 0).any()
    assert layer.get_config()["activation"] == "relu"


@pytest.mark.parametrize("arguments", [{"strides": (2, 3), "padding": (1, 0)}, {"groups": 2, "strides": (2, 1)}])
def test_unknown_extents(arguments: dict[str, Any], rng: np.random.Generator) -> None:
    import keras
    import tensorflow as tf

    from caffe2tf.runtime.vision.convolution import Convolution

    layer = Convolution(6, (3, 2), **arguments)
    assert layer(keras.Input((None, None, 4))).shape == (None, None, None, 6)
    traced = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 4))])
    for extents in ((6, 7), (2, 3)):
        x = draw(rng, 2, *extents, 4)
        assert_matches(traced(x), convolved(x, layer.kernel.numpy(), None, **arguments))


def test_several_batch_axes(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.vision.convolution import Convolution

    x, layer = draw(rng, 2, 3, 5, 4, 6), Convolution(8, (3, 2))
    have = layer(x)
    assert have.shape == layer.compute_output_shape(x.shape) == (2, 3, 3, 3, 8)
    assert_matches(have[1], convolved(x[1], layer.kernel.numpy(), None))


def test_one_channel_and_a_stride_without_effect() -> None:
    """oneDNN reads memory beyond such an image."""
    from caffe2tf.runtime.vision.convolution import Convolution

    x = np.arange(1, 9, dtype=np.float32).reshape(1, 8, 1, 1)
    layer = Convolution(1, (3, 1), strides=(1, 2), use_bias=False)
    layer.build(x.shape)
    layer.set_weights([np.array([1, -2, 3], np.float32).reshape(3, 1, 1, 1)])
    assert np.ravel(layer(x)).tolist() == [2 * i + 6 for i in range(6)]


def test_more_axes_than_tensorflow_pads(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.vision.convolution import pad_spatial

    x = draw(rng, 2, 1, 2, 3, 2, 1, 2)
    pads = [(1, 0), (0, 2), (0, 0), (1, 1), (2, 0)]
    have = np.asarray(pad_spatial(x, pads))
    assert np.array_equal(have, np.pad(x, [(0, 0), *pads, (0, 0)]))
    assert math.prod(have.shape) == 2 * 2 * 4 * 3 * 4 * 3 * 2


def test_exported_models_compute_the_same(tmp_path: Any, rng: np.random.Generator) -> None:  # noqa: ANN401 - a path
    import keras
    import tensorflow as tf

    from caffe2tf.runtime.vision.convolution import Convolution

    inputs = keras.Input((None, None, 4), name="data")
    model = keras.Model(inputs, Convolution(6, (3, 2), groups=2, dilation_rate=(2, 1))(inputs))
    model.export(tmp_path / "saved", verbose=False)
    x = draw(rng, 2, 6, 5, 4)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))  # kept, for its variables live as long as it does
    assert_matches(loaded.serve(x), model(x))
