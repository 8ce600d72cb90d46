"""The picture in docs/detection.md shows what the page claims."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe2tf.alexnet.drawn import draw_input
from scripts import draw_detections
from scripts.drawn_faces import FACES, draw_faces


@pytest.fixture
def model(models: Path) -> Path:
    return models / "yufacedetect_v1"


def test_the_faces_are_found(model: Path) -> None:
    image = draw_faces()
    found = draw_detections.detect(model, draw_detections.to_blob(image))
    certain = found[found[:, 2] > 0.5]
    assert len(certain) == len(FACES)
    for row, face in zip(certain[np.argsort(certain[:, 3])], FACES, strict=True):
        left, top, right, bottom = row[3:] * [320, 240, 320, 240]
        assert left < face.x < right
        assert top < face.y < bottom
        assert right - left == pytest.approx(1.6 * face.size, rel=0.15)


def test_the_boxes_match_caffes_recording(model: Path) -> None:
    ours = draw_detections.detect(model, draw_input("data", (1, 3, 240, 320)))
    recorded = draw_detections.recorded_detections(model)
    assert ours.shape == recorded.shape[2:] == (50, 7)
    assert len(recorded.values) > 200
    np.testing.assert_allclose(ours[recorded.rows, recorded.columns], recorded.values, atol=1e-6)


def test_the_picture_is_drawn(model: Path) -> None:
    picture = draw_detections.draw(model)
    assert picture.shape == (480, 1292, 3)
    assert (picture[:, :640] == draw_detections.GREEN).all(-1).sum() > 2000
    assert (picture[:, 652:] == draw_detections.RED).all(-1).sum() > 500
