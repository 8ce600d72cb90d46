"""Accum: recordings of Caffe, every rule for the size against plain loops, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.arithmetic.accum import Accum
from tests.builders import layer
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

F = np.float32


def accum(parameters: str = "", bottoms: str = "ab") -> str:
    return layer("Accum", "out", bottoms, parameters=f"accum_param {{ {parameters} }}")


def draw(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def naive(images: list[Array], size: tuple[int, int]) -> Array:
    """Compute value by value, from the four values around each position."""
    parts = []
    for x in images:
        *_, height, width = x.shape
        out = np.zeros((*x.shape[:2], *size), np.float32)
        for i, j in np.ndindex(*size):
            at_x, at_y = F(j) / F(size[1] - 1) * F(width - 1), F(i) / F(size[0] - 1) * F(height - 1)
            left, top = math.floor(at_x), math.floor(at_y)
            right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
            a, b = at_x - left, at_y - top
            above = (1 - a) * x[:, :, top, left] + a * x[:, :, top, right]
            below = (1 - a) * x[:, :, bottom, left] + a * x[:, :, bottom, right]
            out[:, :, i, j] = (1 - b) * above + b * below
        parts.append(out)
    return np.concatenate(parts, axis=1)


A, B = (2, 3, 4, 6), (2, 2, 7, 5)


@pytest.mark.parametrize("case", recorded("fork_accum"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        ("", (7, 6)),  # the largest extents, of different bottoms
        ("top_height: 9 top_width: 8", (9, 8)),
        ("top_height: 9 top_width: 6", (7, 6)),  # both must be larger
        ("top_height: 3 top_width: 8", (7, 6)),
        ("size_divisible_by: 4", (8, 8)),
        ("size_divisible_by: 4 top_height: 20 top_width: 30", (8, 8)),
        ("size_divisible_by: 6", (7, 6)),  # the width of 12x6 is not greater than that of 7x6
        ("size_divisible_by: 1", (7, 6)),
    ],
)
def test_size(parameters: str, size: tuple[int, int]) -> None:
    a, b = draw(*A), draw(*B)
    have = run_layer(accum(parameters), {"a": a, "b": b})["out"]
    assert have.shape == (2, 5, *size)
    assert_matches(have, naive([a, b], size))


@pytest.mark.parametrize("size", [(5, 3), (2, 9), (11, 13), (4, 6)])
def test_size_of_a_reference(size: tuple[int, int]) -> None:
    a, b, like = draw(*A), draw(*B), draw(1, 4, *size)
    text = accum("have_reference: true size_divisible_by: 0 top_height: 20 top_width: 20", "abr")
    assert_matches(run_layer(text, {"a": a, "b": b, "r": like})["out"], naive([a, b], size))
    alone = run_layer(accum("have_reference: true", "ar"), {"a": a, "r": like})["out"]
    assert_matches(alone, naive([a], size))


def test_save_and_load_with_another_batch_size() -> None:
    a, b = draw(3, *A[1:]), draw(3, *B[1:])
    model = built(accum("size_divisible_by: 4"), {"a": (1, *A[1:]), "b": (1, *B[1:])})
    (have,) = reloaded(model, [np.moveaxis(v, 1, 3) for v in (a, b)])
    assert_matches(np.moveaxis(have, 3, 1), naive([a, b], (8, 8)))


def test_batch_of_a_reference_is_ignored() -> None:
    one = Accum(have_reference=True, divisor=None, stated=(0, 0))
    shapes = [(2, 3, 5, 7), (2, 1, 5, 7), (4, 1, 8, 9)]
    out = one.infer(*shapes)
    assert out == ((2, 4, 8, 9),)
    assert one.trace_batch([True, True, False], shapes, out) is Batch.KEPT
    assert one.trace_batch([False, False, True], shapes, out) is Batch.ABSENT
    assert one.trace_batch([True, False, True], shapes, out) is Batch.FIXED


def test_emitted_layers() -> None:
    shapes = {"a": A, "b": B}
    assert calls(accum(), shapes) == ["ResizeAligned", "ResizeAligned", "Concatenate"]
    assert calls(accum(), {"a": A, "b": (2, 2, 4, 5)}) == ["ResizeAligned", "Concatenate"]
    assert calls(accum("top_height: 9 top_width: 9", "a"), {"a": A}) == ["ResizeAligned"]
    relu = layer("ReLU", "r", ["out"])
    assert calls(accum("", "a") + relu, {"a": A}) == ["ReLU"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (accum("have_reference: true", "a"), "have_reference needs two bottoms or more"),
        (accum("size_divisible_by: 0"), "size_divisible_by must be 1 or more, not 0"),
        (accum("", "ac"), "same batch size; their shapes are 2x3x4x6, 1x2x4x6"),
        (accum("have_reference: true", "ad"), "must be 2 or more, .* they are 4x1"),
        (accum("", "ae"), "4 axes .*, not 2x3x5"),
    ],
)
def test_errors(text: str, message: str) -> None:
    fed = {"a": draw(*A), "b": draw(*B), "c": draw(1, 2, 4, 6), "d": draw(2, 2, 4, 1), "e": draw(2, 3, 5)}
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, fed)
