from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tests.layers.detection.test_yolo import BIASES, V3, draw, sigmoid, yolo2
from tests.layers.emitted import check_saved
from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient

ANCHORS = tuple(zip(BIASES[:4:2], BIASES[1:4:2], strict=True))
PIXELS = (((33, 23), (30, 61)), ((16, 30), (10, 13)))  # of V3's mask
FIRST = (2, 16, 3, 3), (2, 16, 4, 4)


def last(maps: list[Array]) -> list[Array]:
    return [np.ascontiguousarray(np.moveaxis(m, 1, 3)) for m in maps]


@pytest.mark.parametrize("count", [1, 2])
def test_v2(count: int, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.detection.yolo import YoloDetectionOutput

    maps = [draw(rng, *shape) for shape in FIRST[:count]]
    made = YoloDetectionOutput(3, ANCHORS, confidence_threshold=0.1, nms_threshold=0.3)
    given = last(maps)
    assert_matches(made(given if count > 1 else given[0]), yolo2(maps, 3, BIASES[:4], 0.1, 0.3))
    check_saved(made, *given)


def test_v2_reads_the_square_of_a_high_map(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.detection.yolo import YoloDetectionOutput

    x = draw(rng, 2, 16, 5, 3)
    assert_matches(YoloDetectionOutput(3, ANCHORS)(last([x])[0]), yolo2([x], 3, BIASES[:4], 0.01, 0.45))


@pytest.mark.parametrize("count", [1, 2])
def test_v3(count: int, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.detection.yolo import Yolov3DetectionOutput

    maps = [draw(rng, *shape) for shape in ((2, 16, 3, 5), (2, 16, 6, 4))[:count]]
    made = Yolov3DetectionOutput(3, PIXELS[:count], (16, 8)[:count], confidence_threshold=0.3)
    given = last(maps)
    want = V3(mask=(2, 3, 1, 0)[: 2 * count]).detections(maps)
    assert want.shape[2] > 4
    assert_matches(made(given if count > 1 else given[0]), want)
    check_saved(made, *given)


def test_fixed_rows(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.detection import yolo

    given = last([draw(rng, *shape) for shape in FIRST])
    shapes = [a.shape for a in given]
    for free, made in (
        (yolo.YoloDetectionOutput(3, ANCHORS), yolo.YoloDetectionOutput(3, ANCHORS, fixed_rows=True)),
        *[[yolo.Yolov3DetectionOutput(3, PIXELS, (16, 8), fixed_rows=fixed) for fixed in (False, True)]],
    ):
        found, rows = np.asarray(free(given)), np.asarray(made(given))
        assert rows.shape == made.compute_output_shape(shapes) == (1, 1, 2 * 2 * (9 + 16), 7)
        assert np.array_equal(rows[:, :, : found.shape[2]], found)
        assert (rows[:, :, found.shape[2] :] == -1).all()
        assert free.compute_output_shape(shapes) == (1, 1, None, 7)
        assert made.compute_output_shape([(None, *s[1:]) for s in shapes]) == (1, 1, None, 7)
        check_saved(made, *given)


def test_nothing_is_found(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.detection import yolo

    want = [[[[n, *[-1] * 6] for n in range(2)]]]
    for made in (
        yolo.YoloDetectionOutput(3, ANCHORS, confidence_threshold=1.5),
        yolo.Yolov3DetectionOutput(3, PIXELS[:1], (16,), confidence_threshold=1.5),
    ):
        assert np.array_equal(made(last([draw(rng, *FIRST[0])])[0]), want)
        assert not made.supports_jit


@pytest.mark.parametrize("softmax", [True, False])
def test_region(softmax: bool, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.detection.yolo import Region

    x = draw(rng, 2, 4, 5, 24)
    want = x.reshape(2, 4, 5, 3, 8).copy()
    for place in product(range(2), range(4), range(5), range(3)):
        v = want[place]
        v[[0, 1, 3]] = [sigmoid(e) for e in v[[0, 1, 3]]]
        v[4:] = np.exp(v[4:]) / np.exp(v[4:]).sum() if softmax else [sigmoid(e) for e in v[4:]]
    made = Region(3, 4, coords=3, softmax=softmax)
    assert_matches(made(x), want.reshape(x.shape))
    assert made.compute_output_shape((None, 4, None, 24)) == (None, 4, None, 24)
    check_saved(made, x)
    check_gradient(Region(3, 4, coords=3, softmax=softmax, dtype="float64"), rng, x)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_other_dtypes(policy: str, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.detection import yolo

    given = last([draw(rng, *FIRST[0])])[0]
    assert_matches(
        yolo.YoloDetectionOutput(3, ANCHORS, dtype=policy)(given), yolo.YoloDetectionOutput(3, ANCHORS)(given)
    )
    have = yolo.Yolov3DetectionOutput(3, PIXELS[:1], (16,), dtype=policy)(given)
    assert_matches(have, yolo.Yolov3DetectionOutput(3, PIXELS[:1], (16,))(given))
