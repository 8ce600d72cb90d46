"""ArgMax: recordings of Caffe; parameters, axes and ranks compared with sorted pairs, as Caffe sorts them; errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.reduction.argmax import ArgMax
from tests.builders import layer
from tests.layers.oracle import Array, check_recorded, recorded, run_layer


def largest(values: Array, count: int) -> list[tuple[float, int]]:
    """Return pairs of value and index in descending order; of equal values, the last one comes first."""
    return sorted(((float(v), i) for i, v in enumerate(values)), reverse=True)[:count]


def argmax(x: Array, axis: int | None, top_k: int, *, values: bool) -> Array:
    if axis is None:
        top = np.empty((len(x), 2, top_k), np.float32)
        for n, row in enumerate(x.reshape(len(x), -1)):
            top[n, 1], top[n, 0] = zip(*largest(row, top_k), strict=True)
        return (top if values else top[:, :1]).reshape(len(x), 2 if values else 1, top_k, *[1] * (x.ndim - 3))
    axis %= x.ndim
    top = np.empty((*x.shape[:axis], top_k, *x.shape[axis + 1 :]), np.float32)
    for place in np.ndindex(*x.shape[:axis], *x.shape[axis + 1 :]):
        run = (*place[:axis], slice(None), *place[axis:])
        top[run] = [p[0] if values else p[1] for p in largest(x[run], top_k)]
    return top


def argmax_layer(axis: int | None, top_k: int = 1, *, values: bool = False, bottom: str = "data") -> str:
    parameters = "" if axis is None else f"axis: {axis} "
    parameters += f"top_k: {top_k} out_max_val: {str(values).lower()}"
    return layer("ArgMax", "out", [bottom], parameters=f"argmax_param {{ {parameters} }}")


def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw from few distinct values, so that many are equal."""
    return (rng.integers(-3, 4, shape) / 2).astype(np.float32)


@pytest.mark.parametrize("case", recorded("argmax_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 4, 2), (3, 4), (5,), (2, 4, 1, 1), (2, 3, 2, 4, 3)])
@pytest.mark.parametrize("values", [False, True])
def test_axes(shape: tuple[int, ...], values: bool, rng: np.random.Generator) -> None:
    x = draw(rng, shape)
    for axis in (None, *range(-1, len(shape))):
        extent = int(np.prod(shape[1:])) if axis is None else shape[axis]
        for top_k in sorted({1, min(2, extent), extent}):
            out = run_layer(argmax_layer(axis, top_k, values=values), {"data": x})["out"]
            want = argmax(x, axis, top_k, values=values)
            assert out.shape == want.shape
            assert np.array_equal(out, want), (axis, top_k)


@pytest.mark.parametrize("axis", [None, 1])
def test_indices_count_in_caffes_order(axis: int | None, rng: np.random.Generator) -> None:
    """The indices do not depend on the layout: channels last, flattened or not."""
    x = draw(rng, (2, 3, 4, 5))
    text = layer("Pooling", "pool", ["data"], parameters="pooling_param { kernel_size: 2 }") + layer(
        "Flatten", "flat", ["pool"]
    )
    for bottom in ("pool", "flat"):
        out = run_layer(text + argmax_layer(axis, 3, bottom=bottom), {"data": x})
        assert np.array_equal(out["out"], argmax(out[bottom], axis, 3, values=False))


def test_batch_is_kept_unless_searched() -> None:
    shape = (4, 3)
    assert ArgMax(top_k=1, values=False, axis=1).trace_batch([True], [shape], [(4, 1)]) is Batch.KEPT
    assert ArgMax(top_k=4, values=False, axis=0).trace_batch([True], [shape], [shape]) is Batch.FIXED
    assert ArgMax(top_k=1, values=False, axis=None).trace_batch([True], [shape], [(4, 1, 1)]) is Batch.KEPT


def test_unknown_extents() -> None:
    assert ArgMax(top_k=2, values=True, axis=None).infer((None, 3, None, 4)) == ((None, 2, 2, 1),)
    assert ArgMax(top_k=2, values=True, axis=2).infer((None, 3, None, 4)) == ((None, 3, 2, 4),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (argmax_layer(None, 0), "argmax_param.top_k must be 1 or more, not 0"),
        (argmax_layer(None, 13), r"top_k \(13\) must not be greater than the 12 values for each index of axis 0"),
        (argmax_layer(1, 4), r"top_k \(4\) must not be greater than the 3 values along axis 1"),
        (argmax_layer(3), "argmax_param.axis: axis 3 is out of range"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": np.ones((2, 3, 4), np.float32)})
