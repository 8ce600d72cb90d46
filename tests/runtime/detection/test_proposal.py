from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.layers.detection.test_proposal import Settings, draw, proposals, python_proposals, quicksort
from tests.layers.emitted import check_saved
from tests.layers.oracle import Array, assert_matches

if TYPE_CHECKING:
    import keras

F = np.float32
KINDS = {"Proposal": proposals, "PythonProposal": python_proposals}
SETTINGS = Settings(feat_stride=12, min_size=14, post_nms_topn=15)
INFO = (60, 84, 1.25)


def make(kind: str, settings: Settings = SETTINGS, **more: Any) -> keras.layers.Layer:  # noqa: ANN401 - arguments of the layer
    from caffe2tf.runtime.detection import proposal

    return getattr(proposal, kind)(**asdict(settings), **more)


def drawn(
    rng: np.random.Generator, settings: Settings = SETTINGS, levels: int = 0
) -> tuple[dict[str, Array], list[Array]]:
    """What Caffe reads, and the same with channels last."""
    fed = draw(rng, settings.anchors, (5, 7), INFO, levels=levels)
    return fed, [np.ascontiguousarray(np.moveaxis(a, 1, -1)) if a.ndim == 4 else a for a in fed.values()]


@pytest.mark.parametrize("kind", KINDS)
def test_values(kind: str, rng: np.random.Generator) -> None:
    fed, given = drawn(rng)
    want = np.array(KINDS[kind](fed, SETTINGS), F)
    assert len(want) > 5
    made = make(kind, with_scores=True)
    rois, scores = made(given)
    assert not np.asarray(rois)[:, 0].any()
    assert_matches(np.asarray(rois)[:, 1:], want[:, :4], tolerance=1e-6)
    assert np.array_equal(np.reshape(scores, -1), want[:, 4])
    assert scores.shape[1:] == ((1,) if kind == "PythonProposal" else ())
    check_saved(made, *given)


@pytest.mark.parametrize("kind", KINDS)
def test_fixed_rows_are_padded_with_zeros(kind: str, rng: np.random.Generator) -> None:
    _, given = drawn(rng)
    settings = Settings(feat_stride=12, min_size=40, nms_thresh=0.1, post_nms_topn=30)
    found, scores = make(kind, settings, with_scores=True)(given)
    assert 0 < len(found) < 30
    made = make(kind, settings, with_scores=True, fixed_rows=True)
    rows, padded = made(given)
    assert rows.shape == (30, 5)
    assert np.array_equal(rows[: len(found)], found)
    assert np.array_equal(padded[: len(found)], scores)
    assert not np.asarray(rows)[len(found) :].any()
    assert not np.asarray(padded)[len(found) :].any()
    check_saved(made, *given)


def test_scales_of_height_and_width(rng: np.random.Generator) -> None:
    """A fourth value of the image is the scale along the width."""
    fed, given = drawn(rng)
    fed["info"] = np.array([[60, 84, 0.75, 1.5]], F)
    want = np.array(proposals(fed, SETTINGS), F)
    assert_matches(np.asarray(make("Proposal")([*given[:2], fed["info"]]))[:, 1:], want[:, :4], tolerance=1e-6)


def test_the_sort_of_many_equal_scores(rng: np.random.Generator) -> None:
    import tensorflow as tf

    from caffe2tf.runtime.detection.proposal import _sorted_as_caffe

    for trial in range(60):
        count = int(rng.integers(1, 70))
        scores = rng.integers(0, 1 + trial // 2, count).astype(F)
        scores = [scores, np.sort(scores), -np.sort(scores)][trial % 3]
        top = int(rng.integers(1, count + 5))
        rows = [[F(i), F(0), F(0), F(0), s] for i, s in enumerate(scores)]
        quicksort(rows, 0, count - 1, top)
        have = _sorted_as_caffe(tf.constant(scores), tf.constant(top))[:top]
        assert np.array_equal(have, [int(r[0]) for r in rows[:top]])


def test_boxes_that_only_touch_overlap_in_the_python_layer_alone() -> None:
    from caffe2tf.runtime.detection.proposal import _greedily_kept

    boxes = np.array([[0, 0, 10, 10], [10.5, 0, 20, 10], [0, 10.25, 10, 11]], F)
    assert list(_greedily_kept(boxes, 0.02, 9, apart=True)) == [0, 1, 2]
    assert list(_greedily_kept(boxes, 0.02, 9, apart=False)) == [0]


def test_graphs_compute_as_single_calls_do(rng: np.random.Generator) -> None:
    import tensorflow as tf

    fed = draw(rng, 9, (20, 30), (320, 480, 1.5))
    given = [tf.constant(np.moveaxis(a, 1, -1) if a.ndim == 4 else a) for a in fed.values()]
    for kind in KINDS:
        one = make(kind, Settings(scales=(8, 16, 32), pre_nms_topn=2000, post_nms_topn=300))
        assert np.array_equal(one(given), tf.function(one)(given))


@pytest.mark.parametrize("kind", KINDS)
def test_no_gradient_flows(kind: str, rng: np.random.Generator) -> None:
    import tensorflow as tf

    _, given = drawn(rng)
    inputs = [tf.constant(a) for a in given]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.reduce_sum(make(kind)(inputs))
    assert tape.gradient(total, inputs) == [None, None, None]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_other_dtypes(kind: str, policy: str, rng: np.random.Generator) -> None:
    _, given = drawn(rng)
    assert np.array_equal(make(kind, dtype=policy)(given), make(kind)(given))


@pytest.mark.parametrize("kind", KINDS)
def test_keras_does_not_compile_it_with_xla(kind: str) -> None:
    """XLA has no tensors whose extents depend on values, and Keras uses it on a GPU where no layer objects."""
    assert not make(kind).supports_jit
