from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array, assert_matches

F = np.float32
SIZES = [(3.5, 7.25), (14.0, 5.0)]


def boxes(rows: int, columns: int, image: tuple[int, int], sizes: list[tuple[float, float]], **p: Any) -> Array:  # noqa: ANN401 - the arguments of the layer
    """Number by number, rounded as Caffe rounds: (1, 2, values)."""
    height, width = image
    down, across = p.get("steps") or (F(height) / F(rows), F(width) / F(columns))
    offset = p.get("offset", 0.5)
    offsets = [(offset, offset)] if isinstance(offset, float) else offset
    values: list[Any] = []
    for row, column in np.ndindex(rows, columns):
        for k, (w, h) in enumerate(sizes):
            for y_in, x_in in offsets:
                x, y = float((F(column) + F(x_in)) * F(across)), float((F(row) + F(y_in)) * F(down))
                inset = (p.get("inset") or [0.0] * len(sizes))[k]
                left, right = (x - w / 2) / width + inset, (x + w / 2) / width - inset
                top, bottom = (y - h / 2) / height + inset, (y + h / 2) / height - inset
                values += [top, left, bottom, right] if p.get("yx") else [left, top, right, bottom]
    coordinates = np.array(values, F)
    coordinates = np.clip(coordinates, 0, 1) if p.get("clip") else coordinates
    variances = np.resize(np.array(p.get("variances", (0.1,)), F), coordinates.shape)
    return np.stack([coordinates, variances])[None]


CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "variances": {"variances": (0.1, 0.2, 0.3, 0.4), "clip": True},
    "steps": {"steps": (3.0, 4.5), "offset": 0.25},
    "offsets": {"offset": [(0.5, 0.25), (0.0, 1.0)], "inset": (0.02, 0.0)},
    "rows first": {"yx": True},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("given", [False, True])
def test_values(case: str, given: bool) -> None:
    from caffe2tf.runtime.detection.prior_box import PriorBox

    features, image = np.full((2, 4, 5, 3), -1.5, F), np.ones((2, 37, 71, 3), F)
    made = PriorBox(SIZES, **CASES[case], image_size=(37, 71) if given else None)
    want = boxes(4, 5, (37, 71), SIZES, **CASES[case])
    assert_matches(made(features if given else [features, image]), want, tolerance=0)
    check_saved(made, features, *([] if given else [image]))


def test_other_axes() -> None:
    """Channels first; and a feature map without columns."""
    from caffe2tf.runtime.detection.prior_box import PriorBox

    features, image = np.ones((2, 3, 4, 5), F), np.ones((2, 3, 37, 71), F)
    made = PriorBox(SIZES, axes=(2, 3), image_axes=(2, 3))
    assert_matches(made([features, image]), boxes(4, 5, (37, 71), SIZES), tolerance=0)
    row = PriorBox(SIZES, image_size=(37, 71), axes=(1, None))
    assert_matches(row(np.ones((2, 5, 6), F)), boxes(5, 1, (37, 71), SIZES), tolerance=0)
    check_saved(row, np.ones((2, 5, 6), F))


def test_extents_known_only_at_run_time() -> None:
    import keras
    import tensorflow as tf

    from caffe2tf.runtime.detection.prior_box import PriorBox

    features, image = keras.Input((None, None, 4)), keras.Input((3, None, None))
    made = PriorBox(SIZES, image_axes=(2, 3))([features, image])
    assert made.shape == (1, 2, None)
    model = keras.Model([features, image], made)
    for rows, columns, height, width in ((3, 5, 47, 61), (4, 2, 30, 99)):
        fed = [tf.ones((2, rows, columns, 4)), tf.ones((2, 3, height, width))]
        want = boxes(rows, columns, (height, width), SIZES)
        assert_matches(model(fed), want, tolerance=0)
        assert_matches(tf.function(model)(fed), want, tolerance=0)


def test_static_shape() -> None:
    from caffe2tf.runtime.detection.prior_box import PriorBox

    made = PriorBox(SIZES, offset=[(0.5, 0.25), (0.0, 1.0)])
    assert made.compute_output_shape([(None, 4, 5, 3), (None, None, None, 3)]) == (1, 2, 4 * 5 * 4 * 4)
    assert made.compute_output_shape((None, None, 5, 3)) == (1, 2, None)
