"""demosaicnet's Python layers: even and odd margins, any batch size, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.builders import layer
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer

CONV = layer(
    "Convolution",
    "c",
    ["data"],
    parameters='convolution_param { num_output: 5 kernel_h: 4 kernel_w: 3 weight_filler { type: "xavier" } }',
)


def python_layer(cls: str, *bottoms: str, top: str = "out") -> str:
    parameters = f'python_param {{ module: "demosaicnet.layers" layer: "{cls}" }}'
    return layer("Python", "out", bottoms, [top], parameters)


def draw(*shape: int) -> Array:
    return np.random.default_rng(list(shape)).normal(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("like", [(2, 4, 5, 3), (2, 1, 6, 8), (2, 3, 7, 7), (2, 3, 7, 8), (2, 3, 1, 2)])
def test_center(like: tuple[int, ...]) -> None:
    x = draw(2, 3, 7, 8)
    top, left = (7 - like[2]) // 2, (8 - like[3]) // 2
    have = run_layer(python_layer("CropLikeLayer", "data", "like"), {"data": x, "like": draw(*like)})["out"]
    assert_matches(have, x[:, :, top : top + like[2], left : left + like[3]], tolerance=0)


def test_center_next_to_a_convolution() -> None:
    text = CONV + python_layer("CropLikeLayer", "data", "c")
    assert sorted(calls(text, {"data": (2, 3, 7, 8)})) == ["Conv2D", "Cropping2D"]
    model = built(text, {"data": (2, 3, 7, 8)})
    x = draw(6, 3, 7, 8)
    outputs = reloaded(model, [x.transpose(0, 2, 3, 1)])
    assert_matches(next(o for o in outputs if o.shape[-1] == 3), x.transpose(0, 2, 3, 1)[:, 1:5, 1:7], tolerance=0)


@pytest.mark.parametrize("like", ["data", "c"])
def test_number_repeated_over_an_image(like: str) -> None:
    noise, x = draw(2), draw(2, 3, 7, 8)
    x[0, 0, 0, 0] = np.inf
    text = CONV + python_layer("ReplicateLikeLayer", "noise", like)
    out = run_layer(text, {"noise": noise, "data": x})["out"]
    sides = (7, 8) if like == "data" else (4, 6)
    assert_matches(out, np.broadcast_to(noise[:, None, None, None], (2, 1, *sides)), tolerance=0)
    model = built(text, {"noise": (2,), "data": x.shape})
    fed = {"noise": draw(6), "data": draw(6, 7, 8, 3)}
    outputs = reloaded(model, [fed[name] for name in model.input])
    want = np.broadcast_to(fed["noise"][:, None, None, None], (6, *sides, 1))
    assert_matches(next(o for o in outputs if o.shape[-1] == 1), want, tolerance=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (python_layer("CropLikeLayer", "small", "data"), "must not be higher or wider than the first"),
        (python_layer("CropLikeLayer", "data", "noise"), "both bottoms must have 4 axes, not 2"),
        (python_layer("CropLikeLayer", "data", "other"), "the same batch size, not 2 and 3"),
        (python_layer("CropLikeLayer", "data"), "takes 2 bottoms, 1 given"),
        (python_layer("CropLikeLayer", "data", "small", top="data"), "not computed in place"),
        (python_layer("ReplicateLikeLayer", "data", "data"), "must have 1 axis and 4 axes, not 2x3x7x8"),
        (python_layer("ReplicateLikeLayer", "noise", "other"), "the same batch size, not 2 and 3"),
    ],
)
def test_errors(text: str, message: str) -> None:
    shapes = {"data": (2, 3, 7, 8), "small": (2, 3, 6, 9), "noise": (2,), "other": (3, 3, 5, 5)}
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {name: draw(*shape) for name, shape in shapes.items()})
