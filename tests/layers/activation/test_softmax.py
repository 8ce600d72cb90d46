"""Softmax: recordings of Caffe, and every axis of every rank against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.activation.softmax import Softmax
from tests.layers.emitted import emitted
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def softmax(x: Array, axis: int) -> Array:
    """One run along the axis after the other."""
    out = np.empty(x.shape)
    axis %= x.ndim
    for place in np.ndindex(*x.shape[:axis], *x.shape[axis + 1 :]):
        run = (*place[:axis], slice(None), *place[axis:])
        powers = np.exp(x[run].astype(np.float64) - x[run].max())
        out[run] = powers / powers.sum()
    return out.astype(np.float32)


def layer(axis: int | None, bottom: str = "data") -> str:
    parameters = "" if axis is None else f"softmax_param {{ axis: {axis} }}"
    return f'layer {{ name: "out" type: "Softmax" bottom: "{bottom}" top: "out" {parameters} }}'


@pytest.mark.parametrize("case", recorded("softmax_2d", "softmax_default"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 4, 2), (3, 4), (5,), (2, 1, 4, 3), (1, 6), (2, 3, 2, 4, 3)])
def test_any_axis(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = (rng.standard_normal(shape) * 5).astype(np.float32)
    for axis in range(-len(shape), len(shape)):
        assert_matches(run_layer(layer(axis), {"data": x})["out"], softmax(x, axis), f"axis {axis}")


@pytest.mark.parametrize("shape", [(2, 3, 2, 1, 2, 3), (2, 1, 3, 2, 1, 2, 2), (1, 2, 1, 3, 1, 2, 1, 2)])
def test_more_axes_than_tensorflow_takes(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = (rng.standard_normal(shape) * 50).astype(np.float32)
    for axis in range(-len(shape), len(shape)):
        assert_matches(run_layer(layer(axis), {"data": x})["out"], softmax(x, axis), f"axis {axis}")


def test_only_then_it_is_a_layer_of_our_own() -> None:
    assert 'layers.Softmax(name="out")' in emitted(layer(1), {"data": (2, 3, 2, 2, 3)})
    assert 'ManyAxesSoftmax(name="out")' in emitted(layer(1), {"data": (2, 3, 2, 1, 2, 3)})


def test_axis_1_by_default(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    assert_matches(run_layer(layer(None), {"data": x})["out"], softmax(x, 1))


def test_large_scores_do_not_overflow() -> None:
    x = np.array([[1000, -1000, 998], [-200, -201, -300]], np.float32)
    assert_matches(run_layer(layer(1), {"data": x})["out"], softmax(x, 1))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_of_a_flattened_image(axis: int, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 2, 4, 5)).astype(np.float32)
    text = (
        'layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { kernel_size: 2 } }'
        'layer { name: "flat" type: "Flatten" bottom: "pool" top: "flat" }'
    )
    out = run_layer(text + layer(axis, "flat"), {"data": x})
    assert_matches(out["out"], softmax(out["flat"], axis))


def test_idioms() -> None:
    assert 'layers.Softmax(name="out")' in emitted(layer(1), {"data": (2, 3, 4, 5)})
    assert 'layers.Softmax(axis=1, name="out")' in emitted(layer(2), {"data": (2, 3, 4, 5)})
    assert 'OneClassSoftmax(name="out")' in emitted(layer(1), {"data": (2, 1, 4, 5)})


def test_batch() -> None:
    shape = ((4, 3),)
    assert Softmax(axis=1).trace_batch([True] * len(shape), shape, shape) is Batch.KEPT
    assert Softmax(axis=0).trace_batch([True] * len(shape), shape, shape) is Batch.FIXED
    assert Softmax(axis=-2).trace_batch([True] * len(shape), shape, shape) is Batch.FIXED


@pytest.mark.parametrize("axis", [2, -3])
def test_rules(axis: int) -> None:
    with pytest.raises(Caffe2TFError, match=rf"softmax_param.axis: axis {axis} is out of range for a blob of 2 axes"):
        run_layer(layer(axis), {"data": np.ones((2, 3), np.float32)})
