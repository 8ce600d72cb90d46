from __future__ import annotations

import numpy as np
import pytest

from tests.layers.oracle import Array
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw

Ints = tuple[int, ...]
Blocks = tuple[tuple[Ints, Ints], ...]

CHW, HWC = (((3, 4, 5), (0, 1, 2)),), (((3, 4, 5), (1, 2, 0)),)


@pytest.mark.parametrize(("shape", "order"), [((2, 3, 4, 5), (0, 3, 1, 2)), ((2, 3, 4), (2, 0, 1)), ((2, 3), (1, 0))])
def test_transpose(shape: Ints, order: Ints, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.transpose import Transpose

    x = draw(rng, *shape)
    want = np.empty([shape[a] for a in order])
    for index in np.ndindex(want.shape):
        want[index] = x[tuple(index[order.index(a)] for a in range(len(shape)))]
    layer = Transpose(order)
    check_layer(layer, want, x, tolerance=0)
    check_precisions(layer, x)
    check_gradient(Transpose(order, dtype="float64"), rng, x)
    unknown = (None, *shape[1:])
    assert layer.compute_output_shape(unknown) == tuple(unknown[a] for a in order)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (CHW, HWC),
        (HWC, (((60,), (0,)),)),
        (HWC, (((2, 5), (1, 0)), ((10, 5), (1, 0)))),
        ((((8,), (0,)), ((4, 13), (1, 0))), (((3, 4, 5), (2, 0, 1)),)),
    ],
)
def test_reblock(source: Blocks, target: Blocks, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.transpose import Reblock

    plain = draw(rng, 2, 60)
    layer = Reblock(source, target)
    check_layer(layer, _permuted(plain, target), _permuted(plain, source), tolerance=0)
    check_precisions(layer, plain)
    check_gradient(Reblock(source, target, dtype="float64"), rng, plain)
    assert layer.compute_output_shape((None, 60)) == (None, 60)


def _permuted(plain: Array, blocks: Blocks) -> Array:
    """Each block's run of values, its axes permuted and flattened again."""
    ends = np.cumsum([int(np.prod(dims)) for dims, _ in blocks])
    runs = np.split(plain, ends[:-1], axis=1)
    rows = []
    for row in np.split(plain, len(plain)):
        runs = np.split(row[0], ends[:-1])
        rows.append([r.reshape(dims).transpose(order).ravel() for r, (dims, order) in zip(runs, blocks, strict=True)])
    return np.stack([np.concatenate(row) for row in rows])
