"""Reshape: recordings of Caffe, random parameters checked by Caffe's rules, unknown extents, errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from caffe2tf.errors import Caffe2TFError, LayerError
from caffe2tf.layers.shape.reshape import Reshape
from tests.builders import layer
from tests.layers.emitted import built, calls, emitted, reloaded
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def reshape_layer(parameters: str, top: str = "out") -> str:
    return layer("Reshape", "out", ["data"], [top], f"reshape_param {{ {parameters} }}")


def draw(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def reshaped(shape: tuple[int, ...], dims: list[int], axis: int, num_axes: int) -> tuple[int, ...] | None:
    """Return the shape of the top by the description of the parameters; None if they do not fit."""
    start = axis + len(shape) + 1 if axis < 0 else axis
    end = len(shape) if num_axes < 0 else start + num_axes
    if not 0 <= start <= end <= len(shape):
        return None
    new = []
    for i, d in enumerate(dims):
        if d == 0 and start + i >= len(shape):
            return None
        new.append(shape[start + i] if d == 0 else d)
    top = [*shape[:start], *new, *shape[end:]]
    if -1 in top:
        rest = -math.prod(top)
        if math.prod(shape) % rest:
            return None
        top[top.index(-1)] = math.prod(shape) // rest
    return tuple(top) if math.prod(top) == math.prod(shape) else None


@pytest.mark.parametrize("case", recorded("reshape"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize(
    ("shape", "parameters", "wanted"),
    [
        ((3, 4, 5, 2), "shape { dim: 0 dim: -1 }", (3, 40)),
        ((3, 4, 5, 2), "shape { dim: -1 dim: 4 }", (30, 4)),
        ((3, 4, 5, 2), "shape { dim: 2 dim: 2 } axis: 1 num_axes: 1", (3, 2, 2, 5, 2)),
        ((3, 4, 5, 2), "shape { dim: 20 } axis: -4 num_axes: 2", (3, 20, 2)),
        ((3, 4, 5, 2), "shape { dim: 1 dim: 1 } axis: -1", (3, 4, 5, 2, 1, 1)),
        ((3, 4, 5, 2), "shape { dim: 1 } num_axes: 0", (1, 3, 4, 5, 2)),
        ((3, 4, 5, 2), "shape { dim: 12 dim: 10 }", (12, 10)),
        ((3, 4, 5, 2), "shape { dim: -1 }", (120,)),
        ((3, 4, 5, 2), "shape { dim: 6 dim: 2 dim: 10 }", (6, 2, 10)),
        ((6, 1, 2), "shape { dim: 0 dim: 2 dim: 1 dim: -1 }", (6, 2, 1, 1)),
        ((1, 1), "num_axes: -1", ()),
        ((4, 6), "shape { dim: 0 dim: 2 dim: 3 }", (4, 2, 3)),
        ((4, 6), "shape { dim: 0 dim: 1 dim: 1 dim: 6 }", (4, 1, 1, 6)),
        ((5, 1, 1), "shape { dim: 0 }", (5,)),
    ],
)
def test_values(shape: tuple[int, ...], parameters: str, wanted: tuple[int, ...]) -> None:
    x = draw(*shape)
    assert_matches(run_layer(reshape_layer(parameters), {"data": x})["out"], x.reshape(wanted))


PARAMETERS: dict[str, Any] = {
    "shape": st.lists(st.sampled_from((1, 2, 3, 4, 6, 8)), max_size=5).map(tuple),
    "dims": st.lists(st.sampled_from((-1, 0, 0, 1, 2, 3, 4, 6)), max_size=4).filter(lambda d: d.count(-1) < 2),
    "axis": st.integers(-6, 6),
    "num_axes": st.integers(-1, 4),
}


@settings(max_examples=500)
@given(**PARAMETERS)
def test_random_shapes(shape: tuple[int, ...], dims: list[int], axis: int, num_axes: int) -> None:
    reshape = Reshape(shape=tuple(dims), axis=axis, num_axes=num_axes)
    want = reshaped(shape, dims, axis, num_axes)
    if want is None:
        with pytest.raises(LayerError):
            reshape.infer(shape)
    else:
        assert reshape.infer(shape) == (want,)


@settings(max_examples=150, suppress_health_check=[HealthCheck.filter_too_much])
@given(**PARAMETERS, hidden=st.sets(st.integers(0, 4), min_size=1))
def test_shapes_inferred_from_unknown_extents_fit_all_extents(
    shape: tuple[int, ...], dims: list[int], axis: int, num_axes: int, hidden: set[int]
) -> None:
    want = reshaped(shape, dims, axis, num_axes)
    assume(want is not None and hidden & set(range(len(shape))))
    seen = tuple(None if i in hidden else d for i, d in enumerate(shape))
    (have,) = Reshape(shape=tuple(dims), axis=axis, num_axes=num_axes).infer(seen)
    assert want is not None
    assert len(have) == len(want)
    assert all(h in (None, w) for h, w in zip(have, want, strict=True))


def test_unknown_extents_are_copied_and_cancelled() -> None:
    assert Reshape(shape=(0, -1), axis=0, num_axes=-1).infer((None, 3, 4)) == ((None, 12),)
    assert Reshape(shape=(0, 0, -1, 7), axis=0, num_axes=-1).infer((2, None, 3, 14)) == ((2, None, 6, 7),)
    assert Reshape(shape=(-1, 12), axis=0, num_axes=-1).infer((None, 3, 4)) == ((None, 12),)
    assert Reshape(shape=(-1, 5), axis=0, num_axes=-1).infer((None, 3)) == ((None, 5),)
    assert Reshape(shape=(2, 6), axis=0, num_axes=-1).infer((None, 3)) == ((2, 6),)
    with pytest.raises(LayerError, match="as many values"):
        Reshape(shape=(0, 5), axis=0, num_axes=-1).infer((None, 3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (reshape_layer("shape { dim: -1 dim: -1 }"), "may contain -1 once, not 2 times"),
        (reshape_layer("shape { dim: 0 dim: -2 }"), "positive extents, 0 or -1, not -2"),
        (reshape_layer("shape { dim: 0 dim: -1 } num_axes: -2"), "0 or more, or -1 for all, not -2"),
        (reshape_layer("shape { dim: 0 } axis: 4"), "axis 4 is out of range for a blob of 3 axes .allowed: -4 to 3"),
        (reshape_layer("shape { dim: 0 } axis: -5"), "axis -5 is out of range"),
        (reshape_layer("shape { dim: 0 } axis: 1 num_axes: 3"), "exceed the bottom's 3 axes"),
        (reshape_layer("shape { dim: 0 dim: 0 dim: 0 dim: 0 }"), "copies axis 3 of the bottom, which has 3 axes"),
        (
            reshape_layer("shape { dim: 7 dim: -1 }"),
            r"the product of the other extents \(7\) must divide the number of the bottom's values \(24\)",
        ),
        (reshape_layer("shape { dim: 0 dim: 5 }"), "2x3x4 cannot become 2x5"),
        (reshape_layer("shape { dim: 0 dim: -1 }", top="data"), "not computed in place"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 3, 4)})


def test_batch_is_kept() -> None:
    text = reshape_layer("shape { dim: 0 dim: 2 dim: -1 dim: 0 }")
    x = draw(3, 4, 5, 2)  # in Caffe's axis order: no other order can be reshaped like this
    (have,) = reloaded(built(text, {"data": (1, 4, 5, 2)}), [x])
    assert_matches(have, x.reshape(3, 2, 10, 2))


@pytest.mark.parametrize(
    ("text", "shape"),
    [("shape { dim: 1 } num_axes: 0", (1, 3, 4)), ("shape { dim: -1 } axis: -3 num_axes: 0", (1, 4))],
)
def test_axis_inserted_before_the_batch_is_not_the_batch(text: str, shape: tuple[int, ...]) -> None:
    assert [v.shape for v in built(reshape_layer(text), {"data": shape}).inputs] == [shape]


def test_reshape_to_the_same_shape_emits_nothing() -> None:
    assert calls(reshape_layer("shape { dim: 0 dim: 0 dim: -1 dim: 0 }") + relu("out"), {"data": (2, 3, 4, 5)}) == [
        "ReLU"
    ]
    assert "Reshape" not in emitted(reshape_layer("axis: -1 num_axes: 0") + relu("out"), {"data": (2, 3)})


def test_reshaped_batch_saved_and_loaded() -> None:
    x = draw(4, 6)
    (have,) = reloaded(built(reshape_layer("shape { dim: -1 dim: 3 }"), {"data": (4, 6)}), [x])
    assert_matches(have, x.reshape(8, 3))


def relu(bottom: str) -> str:
    return layer("ReLU", "r", [bottom])
