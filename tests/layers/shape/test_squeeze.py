"""Squeeze: axes of extent 1, the emitted layers, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError, LayerError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.shape.squeeze import Squeeze
from tests.builders import layer
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer


def squeeze_layer(*axes: int, top: str = "out") -> str:
    each = " ".join(f"axis: {a}" for a in axes)
    return layer("Squeeze", "out", ["data"], [top], f"squeeze_param {{ {each} }}")


def draw(*shape: int) -> Array:
    return np.random.default_rng([len(shape), *shape]).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "axes", "top"),
    [
        ((2, 3, 1, 1), (2, 3), (2, 3)),
        ((2, 3, 1, 1), (-1,), (2, 3, 1)),
        ((2, 1, 1, 5), (1, -2), (2, 5)),
        ((2, 1, 3, 1, 4), (), (2, 3, 4)),
        ((2, 1, 4, 5), (1,), (2, 4, 5)),
        ((1, 3, 1), (), (3,)),
        ((1, 3, 1), (0,), (3, 1)),
        ((2, 3), (), (2, 3)),
    ],
)
def test_removed_axes(shape: tuple[int, ...], axes: tuple[int, ...], top: tuple[int, ...]) -> None:
    x = draw(*shape)
    assert_matches(run_layer(squeeze_layer(*axes), {"data": x})["out"], x.reshape(top))


def test_between_a_convolution_and_an_inner_product() -> None:
    conv = layer(
        "Convolution",
        "c",
        ["image"],
        tops=["data"],
        parameters="convolution_param { num_output: 6 kernel_size: 3 weight_filler { type: 'gaussian' std: 1 } }",
    )
    ip = layer(
        "InnerProduct",
        "ip",
        ["out"],
        parameters="inner_product_param { num_output: 4 weight_filler { type: 'gaussian' std: 1 } }",
    )
    text = conv + squeeze_layer() + ip
    have = run_layer(text, {"image": draw(2, 5, 3, 3)})
    assert_matches(have["out"], have["data"].reshape(2, 6))
    assert calls(text, {"image": (2, 5, 3, 3)}) == ["Conv2D", "Flatten", "Dense"]
    assert calls(conv + squeeze_layer(2) + ip, {"image": (2, 5, 3, 3)}) == ["Conv2D", "Reshape", "Flatten", "Dense"]


def test_batch_is_kept_unless_removed() -> None:
    x = draw(3, 1, 5)
    (have,) = reloaded(built(squeeze_layer(1), {"data": (2, 1, 5)}), [x])
    assert_matches(have, x.reshape(3, 5))
    assert Squeeze(axis=(1,)).trace_batch([True], [(1, 1, 7)], [(1, 7)]) is Batch.KEPT
    assert Squeeze(axis=(0,)).trace_batch([True], [(1, 1, 7)], [(1, 7)]) is Batch.FIXED
    assert Squeeze().trace_batch([True], [(1, 1, 1, 7)], [(7,)]) is Batch.FIXED


def test_unknown_extents() -> None:
    assert Squeeze(axis=(1,)).infer((2, 1, None, 5)) == ((2, None, 5),)
    with pytest.raises(LayerError, match="the extent of axis 2 is known only at run time"):
        Squeeze(axis=(2,)).infer((2, 1, None, 5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (squeeze_layer(1), "may only name axes of extent 1; the extent of axis 1 is 3: remove this axis"),
        (squeeze_layer(4), "squeeze_param.axis: axis 4 is out of range for a blob of 4 axes"),
        (squeeze_layer(top="data"), "not computed in place"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 3, 1, 5)})
