from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array
from tests.runtime.gradients import check_gradient

BLOCKS, MARGINS = (2, 3), ((1, 0), (2, 1))


def to_batch(x: Array, blocks: tuple[int, int], margins: tuple[tuple[int, int], ...]) -> Array:
    """Pixel by pixel."""
    x = np.pad(x, ((0, 0), *margins, (0, 0)))
    n, height, width, channels = x.shape
    rows, columns = blocks
    y = np.empty((n * rows * columns, height // rows, width // columns, channels), np.float32)
    for b, h, w in np.ndindex(n, height, width):
        y[(h % rows * columns + w % columns) * n + b, h // rows, w // columns] = x[b, h, w]
    return y


def test_values(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.space_to_batch import BatchToSpace, SpaceToBatch

    x = rng.standard_normal((2, 3, 6, 4)).astype(np.float32)
    moved = to_batch(x, BLOCKS, MARGINS)
    assert moved.shape == (12, 2, 3, 4)
    assert np.array_equal(SpaceToBatch(BLOCKS, MARGINS)(x), moved)
    assert np.array_equal(BatchToSpace(BLOCKS, MARGINS)(moved), x)
    check_saved(SpaceToBatch(BLOCKS, MARGINS), x)
    check_saved(BatchToSpace(BLOCKS, MARGINS), moved)


def test_static_shapes() -> None:
    from caffe2tf.runtime.shape.space_to_batch import BatchToSpace, SpaceToBatch

    assert SpaceToBatch(BLOCKS, MARGINS).compute_output_shape((2, 3, None, 4)) == (12, 2, None, 4)
    assert SpaceToBatch((3,), ((0, 1),)).compute_output_shape((None, 5, 6)) == (None, 2, 6)
    assert BatchToSpace(BLOCKS, MARGINS).compute_output_shape((12, 2, None, 4)) == (2, 3, None, 4)
    assert BatchToSpace(BLOCKS, MARGINS).compute_output_shape((None, 2, 3, 4)) == (None, 3, 6, 4)


def test_an_extent_that_is_no_multiple_of_its_block_is_an_error() -> None:
    import tensorflow as tf

    from caffe2tf.runtime.shape.space_to_batch import SpaceToBatch

    with pytest.raises(tf.errors.InvalidArgumentError, match="divisible"):
        SpaceToBatch(BLOCKS, MARGINS)(np.ones((2, 4, 6, 4), np.float32))


def test_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.space_to_batch import BatchToSpace, SpaceToBatch

    check_gradient(SpaceToBatch(BLOCKS, MARGINS, dtype="float64"), rng, rng.standard_normal((2, 3, 6, 2)))
    check_gradient(BatchToSpace(BLOCKS, MARGINS, dtype="float64"), rng, rng.standard_normal((6, 2, 3, 2)))
