"""Shape and the reshape that reads one: of any layout, of any batch."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import assert_matches, run_layer

CONV = (
    'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
    'convolution_param { num_output: 5 kernel_size: 2 weight_filler { type: "xavier" } } }\n'
)
RESHAPE = 'type: "Python" python_param { module: "reshape" layer: "Reshape" }'
PYTHON = 'type: "Python" python_param { module: "shape" layer: "TensorShape" }'


def layer(kind: str, name: str, *bottoms: str) -> str:
    read = " ".join(f'bottom: "{b}"' for b in bottoms)
    return f'layer {{ name: "{name}" {kind} {read} top: "{name}" }}\n'


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("kind", ['type: "Shape"', PYTHON])
def test_the_shape_in_caffes_order(kind: str) -> None:
    out = run_layer(CONV + layer(kind, "of_conv", "c") + layer(kind, "of_data", "data"), {"data": draw(2, 3, 4, 7)})
    assert_matches(out["of_conv"], [2, 5, 3, 6])
    assert_matches(out["of_data"], [2, 3, 4, 7])


def test_it_is_that_of_the_batch_at_hand() -> None:
    model = built(CONV + layer(PYTHON, "out", "c"), {"data": (2, 3, 4, 7)})
    assert model.inputs[0].shape[0] is None
    (have,) = reloaded(model, [draw(6, 4, 7, 3)])
    assert_matches(have, [6, 5, 3, 6])


def test_a_reshape_that_reads_it() -> None:
    flat = 'type: "Reshape" reshape_param { shape { dim: 2 dim: -1 } }'
    text = CONV + layer(flat, "f", "c") + layer(PYTHON, "s", "c") + layer(RESHAPE, "out", "f", "s")
    out = run_layer(text, {"data": draw(2, 3, 4, 7)})
    assert_matches(out["out"], out["c"])
    assert calls(text, {"data": (2, 3, 4, 7)})[-1] == "ReshapeTo"
    model = built(text, {"data": (2, 3, 4, 7)})
    assert model.inputs[0].shape[0] == 2


def test_extents_that_are_fed() -> None:
    x = draw(2, 3, 4)
    text = layer(RESHAPE, "out", "data", "extents")
    assert_matches(run_layer(text, {"data": x, "extents": [6, 4]})["out"], x.reshape(6, 4))
    assert_matches(run_layer(text, {"data": x, "extents": [2, 2, -1]})["out"], x.reshape(2, 2, 6))
    model = built(text, {"data": (2, 3, 4), "extents": (3,)})
    fed = {"data": x, "extents": np.array([4, 3, 2])}
    (have,) = reloaded(model, [fed[name] for name in model.input])
    assert_matches(have, x.reshape(4, 3, 2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (layer(RESHAPE, "out", "data", "data"), "must hold the extents along one axis, not 2x3x4"),
        (layer(RESHAPE, "out", "data"), "takes 2 bottoms, 1 given"),
        (layer(RESHAPE, "data", "data", "data"), "not computed in place"),
        (layer(PYTHON, "data", "data"), "not computed in place"),
        ('layer { name: "e" type: "Reduction" bottom: "data" top: "e" }' + layer(PYTHON, "out", "e"), "have an axis"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 3, 4)})
