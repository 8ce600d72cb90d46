"""PReLU: recordings of Caffe, and plain loops in Caffe's order."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def layer(parameters: str = "", bottom: str = "data") -> str:
    return f'layer {{ name: "out" type: "PReLU" bottom: "{bottom}" top: "out" prelu_param {{ {parameters} }} }}\n'


def prelu(x: Array, slopes: Array) -> Array:
    """One value after the other."""
    y = np.empty_like(x)
    for place in np.ndindex(x.shape):
        slope, value = float(slopes[place[1]] if slopes.ndim else slopes), float(x[place])
        y[place] = max(value, 0) + slope * min(value, 0)
    return y


@pytest.mark.parametrize("case", recorded("prelu"))
def test_what_caffe_computed(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("shape", [(3, 4), (2, 4, 5), (2, 4, 3, 5), (2, 4, 3, 5, 2)])
def test_slopes(shape: tuple[int, ...], shared: bool, rng: np.random.Generator) -> None:
    x = rng.normal(-0.5, 2, shape).astype(np.float32)
    slopes = np.asarray(rng.normal(0, 2, () if shared else 4), np.float32)
    out = run_layer(layer(f"channel_shared: {str(shared).lower()}"), {"data": x}, {"out": [slopes]})
    assert_matches(out["out"], prelu(x, slopes))


@pytest.mark.parametrize("shared", [False, True])
def test_layouts_of_flattened_blobs(shared: bool, rng: np.random.Generator) -> None:
    text = """
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
            convolution_param { num_output: 5 kernel_size: 1 bias_term: false } }
    layer { name: "flat" type: "Flatten" bottom: "conv" top: "flat" }
    """
    x, w = (rng.normal(0, 2, s).astype(np.float32) for s in ((2, 3, 2, 4), (5, 3, 1, 1)))
    slopes = np.asarray(rng.normal(0, 2, () if shared else 40), np.float32)
    text += layer(f"channel_shared: {str(shared).lower()}", "flat")
    out = run_layer(text, {"data": x}, {"conv": [w], "out": [slopes]})
    assert_matches(out["out"], prelu(np.einsum("nchw,oc->nohw", x, w[..., 0, 0]).reshape(2, -1), slopes))


def test_untrained(rng: np.random.Generator) -> None:
    x = rng.normal(0, 2, (2, 3)).astype(np.float32)
    assert_matches(run_layer(layer(), {"data": x})["out"], prelu(x, np.full(3, 0.25, np.float32)))
    assert_matches(run_layer(layer("filler { value: -2 }"), {"data": x})["out"], prelu(x, np.full(3, -2, np.float32)))


@pytest.mark.parametrize("shape", [(3,), (2, 3, 2, 2, 2, 2)])
def test_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(Caffe2TFError, match="must have 2 to 5 axes, not"):
        run_layer(layer(), {"data": np.ones(shape)})
