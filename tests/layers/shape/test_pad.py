"""Pad: each axis of each rank, the emitted layers, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.shape.pad import Pad
from tests.builders import layer
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer

Pairs = tuple[tuple[int, int], ...]


def pad_layer(pairs: Pairs, value: float | None = None, top: str = "out") -> str:
    each = " ".join(f"paddings: {n}" for pair in pairs for n in pair)
    constant = "" if value is None else f"constant_values: {value}"
    return layer("Pad", "out", ["data"], [top], f"pad_param {{ {each} {constant} }}")


def draw(*shape: int) -> Array:
    return np.random.default_rng([len(shape), *shape]).standard_normal(shape).astype(np.float32)


def padded(x: Array, pairs: Pairs, value: float) -> Array:
    y = np.full([d + sum(p) for d, p in zip(x.shape, pairs, strict=True)], value, np.float32)
    y[tuple(slice(a, a + d) for d, (a, _) in zip(x.shape, pairs, strict=True))] = x
    return y


@pytest.mark.parametrize("value", [None, -1.5])
@pytest.mark.parametrize(
    ("shape", "pairs"),
    [
        ((2, 3, 4, 5), ((0, 0), (0, 0), (3, 3), (3, 3))),
        ((2, 3, 4, 5), ((0, 0), (0, 0), (1, 0), (2, 3))),
        ((2, 3, 4, 5), ((0, 0), (1, 2), (0, 3), (2, 0))),
        ((2, 3, 4, 5), ((1, 2), (0, 0), (0, 0), (1, 0))),
        ((2, 3, 4), ((0, 0), (2, 1), (0, 0))),
        ((2, 3), ((0, 1), (2, 0))),
        ((3,), ((2, 1),)),
        ((2, 3, 2, 4, 5), ((0, 0), (0, 0), (1, 2), (0, 1), (2, 0))),
        ((2, 3, 2, 2, 2, 3), ((0, 0), (0, 1), (1, 0), (0, 1), (2, 0), (0, 2))),
        ((2, 3), ((0, 0), (0, 0))),
    ],
)
def test_all_axes(shape: tuple[int, ...], pairs: Pairs, value: float | None) -> None:
    x = draw(*shape)
    assert_matches(run_layer(pad_layer(pairs, value), {"data": x})["out"], padded(x, pairs, value or 0))


def test_emitted_layers() -> None:
    conv = layer(
        "Convolution", "c", ["image"], tops=["data"], parameters="convolution_param { num_output: 3 kernel_size: 1 }"
    )
    shapes = {"image": (2, 5, 4, 6)}
    none = ((0, 0), (0, 0))
    assert calls(conv + pad_layer((*none, (3, 3), (3, 3))), shapes) == ["Conv2D", "ZeroPadding2D"]
    assert calls(conv + pad_layer((*none, (3, 3), (3, 3)), 2), shapes) == ["Conv2D", "Pad"]
    assert calls(conv + pad_layer(((0, 0), (1, 0), (3, 3), (3, 3))), shapes) == ["Conv2D", "Pad"]
    assert calls(conv + pad_layer((*none, (0, 0), (0, 0)), 2), shapes) == ["Conv2D"]


def test_flattened_blobs_are_padded_in_caffes_order() -> None:
    flatten = layer("Flatten", "f", ["image"], tops=["data"])
    x = draw(2, 3, 4, 5)
    pairs = ((0, 0), (3, 4))
    have = run_layer(flatten + pad_layer(pairs, 0.5), {"image": x})["out"]
    assert_matches(have, padded(x.reshape(2, -1), pairs, 0.5))


def test_batch_is_kept_unless_padded() -> None:
    x = draw(3, 2, 4, 5)
    pairs = ((0, 0), (0, 1), (1, 2), (3, 0))
    (have,) = reloaded(built(pad_layer(pairs, 4), {"data": (2, 2, 4, 5)}), [x.transpose(0, 2, 3, 1)])
    assert_matches(have.transpose(0, 3, 1, 2), padded(x, pairs, 4))
    assert Pad(paddings=((0, 0), (1, 1))).trace_batch([True], [(2, 3)], [(2, 5)]) is Batch.KEPT
    assert Pad(paddings=((1, 0), (0, 0))).trace_batch([True], [(None, 3)], [(None, 3)]) is Batch.FIXED
    assert Pad(paddings=((0, 0), (1, 4))).infer((2, None)) == ((2, None),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (pad_layer(((0, 0), (1, 2))), r"twice for each of the 4 axes of the bottom \(2x3x4x5\), not 4 times"),
        (
            pad_layer(((0, 0),)).replace("paddings: 0", "", 1),
            "pad_param.paddings must be given twice for each axis, not 1",
        ),
        (pad_layer(((0, 0),) * 4, top="data"), "not computed in place"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 3, 4, 5)})


def test_bottom_without_axes() -> None:
    total = layer("Reduction", "n", ["data"])
    with pytest.raises(Caffe2TFError, match="the bottom of a Pad must have at least one axis"):
        run_layer(total + pad_layer(()).replace('bottom: "data"', 'bottom: "n"'), {"data": draw(2, 3)})
