"""BatchReindex: a recording of Caffe, bottoms of each rank, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.shape.batch_reindex import BatchReindex
from tests.builders import layer
from tests.layers.emitted import built, reloaded
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

LAYER = layer("BatchReindex", "out", ["data", "index"])
INDEX = np.array([2, 0, 2, 3, 1, 1, 0], np.float32)


def draw(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("case", recorded("batch_reindex"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 3, 2), (4, 3, 2, 5), (4, 3, 2, 5, 2)])
def test_values(shape: tuple[int, ...]) -> None:
    x = draw(*shape)
    assert_matches(run_layer(LAYER, {"data": x, "index": INDEX})["out"], x[INDEX.astype(int)])


def test_fractions_are_dropped() -> None:
    x = draw(4, 3)
    have = run_layer(LAYER, {"data": x, "index": np.array([1.9, 3.2])})["out"]
    assert_matches(have, x[[1, 3]])


def test_batch_is_fixed() -> None:
    assert BatchReindex().trace_batch([True, True], [(4, 3), (4,)], [(4, 3)]) is Batch.FIXED
    assert BatchReindex().infer((4, 3, 2), (None,)) == ((None, 3, 2),)


def test_saved_and_loaded() -> None:
    x = draw(4, 3)
    (have,) = reloaded(built(LAYER, {"data": (4, 3), "index": (7,)}), [x, INDEX])
    assert_matches(have, x[INDEX.astype(int)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAYER.replace('"index"', '"data"'), r"second bottom \(the indices\) must have one axis, not 4x3"),
        (LAYER.replace('bottom: "index"', ""), "takes 2 bottoms, 1 given"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(4, 3), "index": INDEX})
