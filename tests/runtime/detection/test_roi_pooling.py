from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.layers.detection.test_roi_pooling import boxes, features, max_of_boxes, mean_of_boxes
from tests.layers.emitted import check_saved
from tests.layers.oracle import assert_matches

F = np.float32


@pytest.mark.parametrize(("rows", "columns", "scale"), [(1, 1, 1.0), (3, 5, 0.3), (7, 2, 0.0625)])
def test_max(rows: int, columns: int, scale: float, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.detection.roi_pooling import ROIPooling

    x, rois = features(rng, 2, 3, 6, 9), boxes(rng, 17, 2, 9 / scale, 6 / scale)
    want = max_of_boxes(x, rois, rows, columns, scale).transpose(0, 2, 3, 1)
    fed = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    assert np.array_equal(ROIPooling(rows, columns, scale)([fed, rois]), want)
    assert np.array_equal(ROIPooling(rows, columns, scale)([fed, rois[:, :, None, None]]), want)
    check_saved(ROIPooling(rows, columns, scale), fed, rois)


@pytest.mark.parametrize(("channels", "group", "scale"), [(1, 1, 1.0), (2, 3, 0.3), (3, 2, 0.0625)])
def test_mean(channels: int, group: int, scale: float, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.detection.roi_pooling import PSROIPooling

    x, rois = features(rng, 2, channels * group**2, 6, 9), boxes(rng, 17, 2, 9 / scale, 6 / scale)
    want = mean_of_boxes(x, rois, channels, group, scale).transpose(0, 2, 3, 1)
    fed = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    assert_matches(PSROIPooling(scale, channels, group)([fed, rois]), want)
    check_saved(PSROIPooling(scale, channels, group), fed, rois)


def test_no_boxes() -> None:
    from caffe2tf.runtime.detection.roi_pooling import PSROIPooling, ROIPooling

    x, rois = np.ones((1, 4, 5, 8), F), np.zeros((0, 5), F)
    assert ROIPooling(2, 3)([x, rois]).shape == (0, 2, 3, 8)
    assert PSROIPooling(1.0, 2, 2)([x, rois]).shape == (0, 2, 2, 2)


def test_graphs_round_as_single_calls_do(rng: np.random.Generator) -> None:
    """An optimized graph multiplies by reciprocals, which would move the borders of cells."""
    import tensorflow as tf

    from caffe2tf.runtime.detection import roi_pooling as runtime

    x, rois = features(rng, 1, 38, 63, 18), boxes(rng, 300, 1, 1000, 600)
    for one in (runtime.ROIPooling(7, 7, 0.0625), runtime.ROIPooling(3, 6, 0.1), runtime.PSROIPooling(0.0625, 2, 3)):
        assert np.array_equal(one([x, rois]), tf.function(one)([tf.constant(x), tf.constant(rois)]))


def test_features_of_any_size_and_batch_are_exported(rng: np.random.Generator, tmp_path: Path) -> None:
    import keras
    import tensorflow as tf

    from caffe2tf.runtime.detection import roi_pooling as runtime

    x, rois = features(rng, 2, 6, 7, 18), boxes(rng, 8, 2, 14, 12)
    for one in (runtime.ROIPooling(2, 3, 0.5, name="max"), runtime.PSROIPooling(0.5, 2, 3, name="mean")):
        inputs = [keras.Input((None, None, 18), name="x"), keras.Input((5,), name="rois")]
        keras.Model(inputs, one(inputs)).export(tmp_path / one.name, verbose=False)
        served = tf.saved_model.load(tmp_path / one.name).serve([tf.constant(x), tf.constant(rois)])
        assert np.array_equal(served, one([x, rois]))


def test_gradients_reach_the_features() -> None:
    import tensorflow as tf

    from caffe2tf.runtime.detection import roi_pooling as runtime

    x, rois = tf.reshape(tf.range(20, dtype=tf.float32), [1, 4, 5, 1]), tf.constant([[0.0, 1, 0, 2, 1]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        largest, mean = runtime.ROIPooling(1, 1)([x, rois]), runtime.PSROIPooling(1.0, 1, 1)([x, rois])
    want = np.zeros((1, 4, 5, 1))
    want[0, 1, 2] = 1
    assert_matches(tape.gradient(largest, x), want)
    want[0, :2, 1:3] = 0.25
    assert_matches(tape.gradient(mean, x), want)


def test_an_image_that_is_not_in_the_batch(rng: np.random.Generator) -> None:
    import tensorflow as tf

    from caffe2tf.runtime.detection.roi_pooling import ROIPooling

    with pytest.raises(tf.errors.InvalidArgumentError):
        ROIPooling(2, 3)([features(rng, 2, 6, 7, 3), np.array([[2, 0, 0, 3, 3]], F)])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_other_dtypes(policy: str, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.detection import roi_pooling as runtime

    x, rois = features(rng, 2, 6, 7, 18), boxes(rng, 8, 2, 14, 12)
    for have, want in (
        (runtime.ROIPooling(2, 3, 0.5, dtype=policy), runtime.ROIPooling(2, 3, 0.5)),
        (runtime.PSROIPooling(0.5, 2, 3, dtype=policy), runtime.PSROIPooling(0.5, 2, 3)),
    ):
        assert np.array_equal(have([x, rois]), want([x, rois]))
