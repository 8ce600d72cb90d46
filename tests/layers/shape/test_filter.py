"""Filter: one or several blobs, selectors of each rank, layers after it, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layer import Batch
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.value import Value
from caffe2tf.layers.shape.filter import Filter
from tests.builders import layer
from tests.layers.emitted import built, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer

SELECTOR = np.array([0, 1, 0, -2, 0.5], np.float32)
KEPT = [1, 3, 4]


def filter_layer(bottoms: str, tops: str) -> str:
    return layer("Filter", "filter", bottoms.split(), tops.split())


def draw(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def test_several_blobs() -> None:
    fed = {"a": draw(5, 3, 2, 4), "b": draw(5), "c": draw(5, 3), "select": SELECTOR.reshape(5, 1, 1, 1)}
    have = run_layer(filter_layer("a b c select", "x y z"), fed)
    for top, bottom in zip("xyz", "abc", strict=True):
        assert_matches(have[top], fed[bottom][KEPT], top)


@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 1, 1)])
def test_selectors_of_each_rank(shape: tuple[int, ...]) -> None:
    x = draw(5, 3, 2)
    assert_matches(run_layer(filter_layer("a s", "x"), {"a": x, "s": SELECTOR.reshape(shape)})["x"], x[KEPT])


def test_no_item_is_kept() -> None:
    assert run_layer(filter_layer("a s", "x"), {"a": draw(5, 3), "s": np.zeros(5)})["x"].shape == (0, 3)


def test_layers_after_it_accept_any_number_of_items() -> None:
    text = filter_layer("a s", "x") + (
        layer("Convolution", "c", ["x"], parameters="convolution_param { num_output: 4 kernel_size: 1 }")
        + layer("Reshape", "f", ["c"], parameters="reshape_param { shape { dim: 0 dim: -1 } }")
        + layer("Reshape", "g", ["c"], parameters="reshape_param { shape { dim: 0 dim: 2 dim: 2 dim: -1 } }")
        + layer("Tile", "t", ["g"], parameters="tile_param { axis: 0 tiles: 2 }")
        + layer("Reshape", "h", ["c"], parameters="reshape_param { shape { dim: -1 dim: 4 } }")
    )
    x = draw(5, 3, 2, 6)
    w, b = draw(4, 3, 1, 1), draw(4)
    have = run_layer(text, {"a": x, "s": SELECTOR}, {"c": [w, b]})
    conv = np.einsum("oc,nchw->nohw", w[:, :, 0, 0], x[KEPT]) + b[:, None, None]
    assert_matches(have["c"], conv)
    assert_matches(have["f"], conv.reshape(3, -1))
    assert_matches(have["t"], np.concatenate([conv.reshape(3, 2, 2, -1)] * 2))
    assert_matches(have["h"], conv.reshape(-1, 4))


def test_items_are_the_first_axis() -> None:
    def value(layout: Layout, shape: tuple[int, ...]) -> Value:
        return Value(id="v", blob="v", shape=shape, layout=layout)

    odd, image = Layout((1, 0, 2)), Layout.channels_last(4)
    values = [value(odd, (5, 2, 3)), value(image, (5, 2, 3, 4)), value(Layout.plain(1), (5,))]
    found = Filter().arrange(values, values[:2])
    assert found.inputs == (Layout.plain(3), image, Layout.plain(1))
    assert found.outputs == (Layout.plain(3), image)
    assert Filter().trace_batch([True, True], [(5, 2), (5,)], [(None, 2)]) is Batch.FIXED


def test_saved_and_loaded() -> None:
    x = draw(5, 3)
    (have,) = reloaded(built(filter_layer("a s", "x"), {"a": (5, 3), "s": (5,)}), [x, SELECTOR])
    assert_matches(have, x[KEPT])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            filter_layer("a b s", "x"),
            "one top for each bottom except the last, the selector; 3 bottoms and 1 tops are given",
        ),
        (filter_layer("a", "x"), "takes 2 or more bottoms, 1 given"),
        (filter_layer("a b", "x"), r"extents of the selector \(last bottom\) must be 1 except along axis 0, not 5x3"),
        (filter_layer("few s", "x"), r"as many items along axis 0 as the selector \(last bottom\), 5, not 4"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"a": draw(5, 2), "b": draw(5, 3), "s": SELECTOR, "few": draw(4, 2)})
