"""Reduction: recordings of Caffe; operations, axes and ranks compared with sums in double precision; errors."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.builders import layer
from tests.layers.emitted import emitted
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def reduction(x: Array, operation: str, axis: int, coefficient: float) -> npt.NDArray[np.float64]:
    axis %= x.ndim
    out = np.empty(x.shape[:axis])
    for place in np.ndindex(out.shape):
        values = x[place].reshape(-1).astype(float).tolist()
        total = math.fsum({"ASUM": abs(v), "SUMSQ": v * v}.get(operation, v) for v in values)
        out[place] = coefficient * (total / len(values) if operation == "MEAN" else total)
    return out


def reduction_layer(
    operation: str | None, axis: int | None = None, coefficient: float = 1, bottom: str = "data"
) -> str:
    parameters = "" if operation is None else f"operation: {operation} "
    parameters += "" if axis is None else f"axis: {axis} "
    parameters += "" if coefficient == 1 else f"coeff: {coefficient}"
    return layer("Reduction", "out", [bottom], parameters=f"reduction_param {{ {parameters} }}")


@pytest.mark.parametrize("case", recorded("reduction_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 4, 2), (3, 4), (5,), (2, 3, 2, 4, 3)])
@pytest.mark.parametrize("operation", ["SUM", "ASUM", "SUMSQ", "MEAN"])
def test_axes(shape: tuple[int, ...], operation: str, rng: np.random.Generator) -> None:
    x = (rng.standard_normal(shape) * 2 + 0.5).astype(np.float32)
    for axis in range(-1, len(shape)):
        for coefficient in (1, -0.3):
            out = run_layer(reduction_layer(operation, axis, coefficient), {"data": x})["out"]
            assert_matches(out, reduction(x, operation, axis, coefficient), f"axis {axis}")


def test_default_is_the_sum_of_all_values(rng: np.random.Generator) -> None:
    x = (rng.standard_normal((2, 3, 4)) + 1).astype(np.float32)
    assert_matches(run_layer(reduction_layer(None), {"data": x})["out"], reduction(x, "SUM", 0, 1))


@pytest.mark.parametrize("axis", [0, 1])
def test_flattened_image(axis: int, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 2, 4, 5)).astype(np.float32)
    text = layer("Pooling", "pool", ["data"], parameters="pooling_param { kernel_size: 2 }") + layer(
        "Flatten", "flat", ["pool"]
    )
    out = run_layer(text + reduction_layer("ASUM", axis, bottom="flat"), {"data": x})
    assert_matches(out["out"], reduction(out["flat"], "ASUM", axis, 1))


def test_emitted_layers() -> None:
    shapes = {"data": (2, 3, 4, 5)}
    assert 'layers.GlobalAveragePooling2D(name="out")' in emitted(reduction_layer("MEAN", 2), shapes)
    assert 'Reduction("MEAN", (1, 2), coefficient=0.1, name="out")' in emitted(reduction_layer("MEAN", -2, 0.1), shapes)


@pytest.mark.parametrize("axis", [2, -3])
def test_errors(axis: int) -> None:
    with pytest.raises(Caffe2TFError, match=rf"reduction_param.axis: axis {axis} is out of range"):
        run_layer(reduction_layer("SUM", axis), {"data": np.ones((2, 3), np.float32)})
