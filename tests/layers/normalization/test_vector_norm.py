"""Normalization and ChannelNorm: recordings of Caffe, plain loops, and emitted layers."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir import Layout, Value
from caffe2tf.layers import Context
from caffe2tf.layers.normalization.vector_norm import ChannelNorm, Normalization
from tests.builders import layer
from tests.layers.emitted import calls
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

Shape = tuple[int, ...]

POOL = layer("Pooling", "p", ["data"], parameters="pooling_param { kernel_size: 1 }")
FLATTEN = layer("Flatten", "f", ["p"])


def norm(type_: str, bottom: str = "data") -> str:
    return layer(type_, "out", [bottom])


def draw(rng: np.random.Generator, shape: Shape) -> Array:
    return (rng.standard_normal(shape) * 3).astype(np.float32)


def normalized(x: Array) -> Array:
    out = np.zeros(x.shape)
    for n in range(x.shape[0]):
        out[n] = x[n] * sum(float(v) ** 2 for v in x[n].reshape(-1)) ** -0.5
    return out.astype(np.float32)


def lengths(x: Array) -> Array:
    wide = x.reshape(*x.shape, *(1,) * (4 - x.ndim)).astype(np.float64)
    n, channels, height, width = wide.shape
    out = np.zeros((n, 1, height, width))
    for c in range(channels):
        out[:, 0] += wide[:, c] ** 2
    return np.sqrt(out).astype(np.float32)


@pytest.mark.parametrize("case", recorded("fork_normalization_", "fork_channel_norm_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4, 5), (4, 2, 3), (1, 6), (5,), (2, 3, 2, 2, 3)])
def test_normalization(shape: Shape, rng: np.random.Generator) -> None:
    x = draw(rng, shape)
    assert_matches(run_layer(norm("Normalization"), {"data": x})["out"], normalized(x), tolerance=1e-6)


def test_normalization_of_small_and_large_values(rng: np.random.Generator) -> None:
    x = draw(rng, (3, 512)) * np.array([[1e-12], [1e12], [1]], np.float32)
    assert_matches(run_layer(norm("Normalization"), {"data": x})["out"], normalized(x), tolerance=1e-6)


def test_normalization_of_zeros_is_nan() -> None:
    x = np.array([[3, -4], [0, 0]], np.float32)
    out = run_layer(norm("Normalization"), {"data": x})["out"]
    assert_matches(out, np.array([[0.6, -0.8], [np.nan, np.nan]], np.float32))


def test_normalization_keeps_the_layout(rng: np.random.Generator) -> None:
    x = draw(rng, (2, 3, 4, 5))
    text = POOL + FLATTEN + norm("Normalization", "f")
    assert_matches(run_layer(text, {"data": x})["out"], normalized(x).reshape(2, 60), tolerance=1e-6)
    assert calls(POOL + norm("Normalization", "p"), {"data": x.shape})[-1] == "Normalization"
    odd = Value(id="x", blob="x", shape=(2, 3), layout=Layout((1, 0)))
    expression = Normalization().emit(Context(name="out", inputs=(odd,), outputs=(odd,)), odd)
    assert getattr(expression, "construct").kwargs == (("axis", 1),)  # noqa: B009 - Expr is a union; only a call has it


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 4), (2, 5, 3), (2, 1, 3, 4)])
def test_channel_norm(shape: Shape, rng: np.random.Generator) -> None:
    x = draw(rng, shape)
    assert_matches(run_layer(norm("ChannelNorm"), {"data": x})["out"], lengths(x), tolerance=1e-6)


def test_channel_norm_of_a_flattened_blob(rng: np.random.Generator) -> None:
    x = draw(rng, (2, 3, 2, 4))
    out = run_layer(POOL + FLATTEN + norm("ChannelNorm", "f"), {"data": x})["out"]
    assert_matches(out, lengths(x.reshape(2, 24)), tolerance=1e-6)


def test_channel_norm_keeps_the_layout() -> None:
    text = POOL + norm("ChannelNorm", "p") + POOL.replace('"p"', '"q"').replace('"data"', '"out"')
    assert [c for c in calls(text, {"data": (2, 3, 4, 5)}) if "Pool" not in c] == ["ChannelNorm"]


def test_channel_norm_of_special_values() -> None:
    x = np.array([[[[0, np.nan, -np.inf]], [[0, 2, 1]]]], np.float32)
    assert_matches(run_layer(norm("ChannelNorm"), {"data": x})["out"], np.array([[[[0, np.nan, np.inf]]]], np.float32))


def test_unknown_extents() -> None:
    assert ChannelNorm().infer((None, None, 3, None)) == ((None, 1, 3, None),)
    assert Normalization().infer((None, None)) == ((None, None),)


@pytest.mark.parametrize("shape", [(4,), (2, 3, 4, 5, 2)])
def test_channel_norm_refuses_other_numbers_of_axes(shape: Shape) -> None:
    with pytest.raises(Caffe2TFError, match="ChannelNorm takes an input of 2 to 4 axes"):
        run_layer(norm("ChannelNorm"), {"data": np.ones(shape, np.float32)})


def test_in_place(rng: np.random.Generator) -> None:
    x = draw(rng, (2, 3, 4, 5))
    out = run_layer(norm("Normalization").replace('top: "out"', 'top: "data"'), {"data": x})
    assert_matches(out["data"], normalized(x), tolerance=1e-6)
    with pytest.raises(Caffe2TFError, match="ChannelNorm must not be computed in place"):
        run_layer(norm("ChannelNorm").replace('top: "out"', 'top: "data"'), {"data": x})


def test_note_which_normalization_was_chosen() -> None:
    (remark,) = Normalization().remarks()
    assert "norm of all its values" in remark
