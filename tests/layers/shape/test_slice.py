"""Slice: recordings of Caffe, each axis of each rank, layouts, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layer import Batch
from caffe2tf.ir.layout import Block, Layout
from caffe2tf.ir.value import Value
from caffe2tf.layers.shape.slice import Slice, cut
from tests.builders import layer
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def slice_layer(parameters: str, tops: int = 2, bottom: str = "data") -> str:
    return layer("Slice", "out", [bottom], [f"t{i}" for i in range(tops)], f"slice_param {{ {parameters} }}")


def draw(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def check(have: dict[str, Array], want: list[Array]) -> None:
    for i, piece in enumerate(want):
        assert_matches(have[f"t{i}"], piece, f"t{i}")


@pytest.mark.parametrize("case", recorded("slice"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", [(6,), (4, 6), (4, 6, 8), (4, 6, 8, 10), (4, 6, 8, 4, 6)])
def test_all_axes(shape: tuple[int, ...]) -> None:
    x = draw(*shape)
    for axis, extent in enumerate(shape):
        named = f"axis: {axis - len(shape)}" if axis % 2 else f"slice_dim: {axis}"
        pointed = run_layer(slice_layer(f"{named} slice_point: 1 slice_point: {extent - 1}", 3), {"data": x})
        check(pointed, np.split(x, [1, extent - 1], axis))
        check(run_layer(slice_layer(named), {"data": x}), np.split(x, 2, axis))


def test_single_top_is_not_copied() -> None:
    relu = layer("ReLU", "r", ["t0"])
    assert calls(slice_layer("", 1) + relu, {"data": (2, 3)}) == ["ReLU"]
    check(run_layer(slice_layer("axis: 0", 1), {"data": draw(2, 3)}), [draw(2, 3)])


def test_flattened_blobs_are_split_between_their_blocks() -> None:
    join = layer("Flatten", "fa", ["a"]) + layer("Flatten", "fb", ["b"]) + layer("Concat", "c", ["fa", "b2", "fb"])
    a, b, b2 = draw(2, 3, 4, 5), draw(2, 4, 2, 3), draw(2, 6)
    fed = {"a": a, "b": b, "b2": b2}
    shapes = {n: v.shape for n, v in fed.items()}
    whole = np.concatenate([a.reshape(2, -1), b2, b.reshape(2, -1)], 1)
    for points, moved in (((60, 62), 0), ((60, 66), 0), ((30, 62), 1)):
        text = join + slice_layer(f"axis: 1 slice_point: {points[0]} slice_point: {points[1]}", 3, "c")
        check(run_layer(text, fed), np.split(whole, points, 1))
        assert calls(text, shapes).count("Reblock") == moved


def test_splitting_blocks() -> None:
    plain, turned = Block((5,), (0,)), Block((2, 3), (1, 0))
    assert cut([plain, turned], [2, 3, 6]) == [[Block((2,), (0,))], [Block((3,), (0,))], [turned]]
    assert cut([plain, turned], [11]) == [[plain, turned]]
    assert cut([plain, turned], [7, 4]) is None


def test_other_axes_of_flattened_blobs() -> None:
    flat = Layout((0, 1), (Block((2, 3), (1, 0)),))
    value = Value(id="v", blob="v", shape=(4, 6), layout=flat)
    found = Slice(axis=0, points=(), count=2).arrange([value], [value, value])
    assert (found.inputs, found.outputs) == ((flat,), (flat, flat))


def test_unknown_extents() -> None:
    assert Slice(axis=1, points=(2,), count=2).infer((3, None, 5)) == ((3, 2, 5), (3, None, 5))
    assert Slice(axis=0, points=(), count=2).infer((None, 5)) == ((None, 5), (None, 5))


def test_batch_is_kept_unless_split() -> None:
    x = draw(3, 6, 4, 5)
    have = reloaded(built(slice_layer("slice_point: 2"), {"data": (1, 6, 4, 5)}), [np.moveaxis(x, 1, -1)])
    for piece, want in zip(have, np.split(x, [2], 1), strict=True):
        assert_matches(np.moveaxis(piece, -1, 1), want)
    assert Slice(axis=1, points=(), count=2).trace_batch([True], [(2, 4)], [(2, 2), (2, 2)]) is Batch.KEPT
    assert Slice(axis=-2, points=(), count=2).trace_batch([True], [(4, 4)], [(2, 4), (2, 4)]) is Batch.FIXED


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (slice_layer("axis: 1 slice_dim: 1"), "give either slice_param.axis or slice_dim, not both"),
        (slice_layer("slice_dim: 4294967294"), "slice_dim must be 0 or more, not -2"),
        (slice_layer("slice_dim: 3"), "axis 3 is out of range for a blob of 3 axes"),
        (slice_layer("slice_point: 1 slice_point: 2"), r"1 times \(the number of tops minus 1\) or not at all, not 2"),
        (slice_layer("slice_point: 1", 1), r"0 times \(the number of tops minus 1\) or not at all, not 1"),
        (slice_layer("slice_point: 2 slice_point: 2", 3), "positive and ascending, not 2, 2"),
        (slice_layer("slice_point: 0"), "positive and ascending, not 0"),
        (slice_layer("slice_point: 5"), r"less than the extent of the axis \(5\), not 5"),
        (slice_layer("axis: 1"), r"the extent of the axis \(5\) must be a multiple of the number of tops \(2\)"),
        (slice_layer("axis: 0 slice_point: 1 slice_point: 2", 3), r"less than the extent of the axis \(2\), not 2"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 5, 3)})
