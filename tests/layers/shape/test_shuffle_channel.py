"""ShuffleChannel: recordings of Caffe, plain loops for any group and rank, the emitted layers, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError, LayerError
from caffe2tf.layers.shape.shuffle_channel import ShuffleChannel
from tests.builders import layer
from tests.layers.emitted import calls, emitted
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

Shape = tuple[int, ...]


def shuffle_layer(group: int | None, *, bottom: str = "data") -> str:
    parameters = "" if group is None else f"shuffle_channel_param {{ group: {group} }}"
    return layer("ShuffleChannel", "out", [bottom], parameters=parameters)


def shuffle(x: Array, group: int) -> Array:
    columns = x.shape[1] // group
    out = np.zeros_like(x)
    for i in range(group):
        for j in range(columns):
            out[:, j * group + i] = x[:, i * columns + j]
    return out.reshape(*x.shape, *(1,) * (4 - x.ndim))


@pytest.mark.parametrize("case", recorded("fork_shuffle_channel_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", [(2, 12, 3, 5), (3, 12), (2, 12, 5), (1, 12, 1, 1)])
@pytest.mark.parametrize("group", [None, 1, 2, 3, 4, 12])
def test_any_group(shape: Shape, group: int | None, rng: np.random.Generator) -> None:
    x = rng.standard_normal(shape).astype(np.float32)
    assert_matches(run_layer(shuffle_layer(group), {"data": x})["out"], shuffle(x, group or 1))


def test_after_a_flatten(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 2, 4)).astype(np.float32)
    pool = layer("Pooling", "p", ["data"], parameters="pooling_param { kernel_size: 1 }")
    flat = layer("Flatten", "f", ["p"])
    out = run_layer(pool + flat + shuffle_layer(6, bottom="f"), {"data": x})["out"]
    assert_matches(out, shuffle(x.reshape(2, 24), 6))


def test_before_a_convolution(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 6, 5)).astype(np.float32)
    w = rng.standard_normal((2, 6, 1, 1)).astype(np.float32)
    conv = layer(
        "Convolution", "c", ["out"], parameters="convolution_param { num_output: 2 kernel_size: 1 bias_term: false }"
    )
    out = run_layer(shuffle_layer(3) + conv, {"data": x}, {"c": [w]})["c"]
    assert_matches(out, np.einsum("oi,nihw->nohw", w[:, :, 0, 0], shuffle(x, 3)), tolerance=2e-6)


def test_emitted_layers() -> None:
    text = layer("Convolution", "c", ["data"], parameters="convolution_param { num_output: 6 kernel_size: 1 }")
    shapes = {"data": (2, 4, 3, 5)}
    assert calls(text + shuffle_layer(2, bottom="c"), shapes) == ["Conv2D", "ShuffleChannel"]
    assert 'ShuffleChannel(2, name="out")' in emitted(text + shuffle_layer(2, bottom="c"), shapes)
    for group in (1, 6):  # no channel moves
        assert calls(text + shuffle_layer(group, bottom="c"), shapes) == ["Conv2D"]


def test_unknown_extents() -> None:
    assert ShuffleChannel(group=3).infer((None, 6, None, 4)) == ((None, 6, None, 4),)
    with pytest.raises(LayerError, match="channels of ShuffleChannel's input must be known"):
        ShuffleChannel(group=3).infer((2, None, 3, 4))


@pytest.mark.parametrize(
    ("group", "shape", "message"),
    [
        (0, (2, 4, 3, 5), "shuffle_channel_param.group must be 1 or more, not 0"),
        (
            3,
            (2, 4, 3, 5),
            r"channels of the bottom \(4 of 2x4x3x5\) must be a multiple of shuffle_channel_param.group \(3\)",
        ),
        (5, (2, 4), "must be a multiple"),
        (2, (2, 4, 3, 5, 2), "takes an input of 2 to 4 axes"),
        (2, (4,), "takes an input of 2 to 4 axes"),
    ],
)
def test_errors(group: int, shape: Shape, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(shuffle_layer(group), {"data": np.ones(shape, np.float32)})


def test_not_in_place(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 4, 3, 5)).astype(np.float32)
    with pytest.raises(Caffe2TFError, match="cannot work in place: give its top another name than 'data'"):
        run_layer(shuffle_layer(2).replace('top: "out"', 'top: "data"'), {"data": x})
    assert_matches(run_layer(shuffle_layer(1).replace('top: "out"', 'top: "data"'), {"data": x})["data"], x)
