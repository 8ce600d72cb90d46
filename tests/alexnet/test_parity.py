"""AlexNet at full size against a recording of Caffe, and that wrong networks and weights are found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import caffe2tf
from caffe2tf import alexnet

if TYPE_CHECKING:
    import keras

BLOBS = [
    "conv1",
    "norm1",
    "pool1",
    "conv2",
    "norm2",
    "pool2",
    "conv3",
    "conv4",
    "conv5",
    "pool5",
    "fc6",
    "fc7",
    "fc8",
    "prob",
]


def verify(prototxt: Path, caffemodel: Path, data: Path) -> caffe2tf.Report:
    return caffe2tf.verify(prototxt, caffemodel, data / "nets" / "alexnet.npz", {"data": alexnet.draw_images()})


def test_every_blob_is_what_caffe_computed(caffemodel: Path, data: Path) -> None:
    report = verify(alexnet.definition_path(), caffemodel, data)
    assert [v.blob for v in report.verdicts] == BLOBS
    assert report.same, report.first_difference
    assert report.tolerance.relative == 1e-5
    assert max(v.relative_l2 or 0 for v in report.verdicts) > 0  # something was compared
    assert not report.unreferenced


def test_the_regenerated_model_computes_the_same(model: keras.Model) -> None:
    report = alexnet.compare_with_recording(model)
    assert [v.blob for v in report.verdicts] == BLOBS
    assert report.same, report.first_difference


def test_pooling_before_normalization_is_found(caffemodel: Path, data: Path, tmp_path: Path) -> None:
    text = alexnet.definition_path().read_text(encoding="utf-8")
    for old, new in [
        ('bottom: "conv1" top: "norm1"', 'bottom: "pool1" top: "norm1"'),
        ('bottom: "norm1" top: "pool1"', 'bottom: "conv1" top: "pool1"'),
        ('bottom: "pool1" top: "conv2"', 'bottom: "norm1" top: "conv2"'),
    ]:
        assert old in text
        text = text.replace(old, new)
    lines = text.splitlines()
    norm, pool = (next(i for i, line in enumerate(lines) if f'name: "{n}"' in line) for n in ("norm1", "pool1"))
    lines[norm], lines[pool] = lines[pool], lines[norm]
    swapped = tmp_path / "swapped.prototxt"
    swapped.write_text("\n".join(lines), encoding="utf-8")
    report = verify(swapped, caffemodel, data)
    wrong = {v.blob for v in report.verdicts if not v.same}
    assert wrong == set(BLOBS) - {"conv1"}


@pytest.mark.parametrize("layer", ["conv2", "conv5", "fc6", "fc8"])
def test_the_layer_of_perturbed_weights_is_found(model: keras.Model, layer: str) -> None:
    kernel = model.get_layer(layer).kernel
    before = kernel.numpy()
    kernel.assign(before * np.float32(1 + 5e-5))
    try:
        report = alexnet.compare_with_recording(model)
    finally:
        kernel.assign(before)
    assert report.first_difference is not None
    assert report.first_difference.blob == layer


def test_a_wrong_order_of_the_inputs_of_fc6_is_found(model: keras.Model) -> None:
    kernel = model.get_layer("fc6").kernel
    before = kernel.numpy()
    kernel.assign(before.reshape(6, 6, 256, 4096).transpose(1, 0, 2, 3).reshape(before.shape))
    try:
        report = alexnet.compare_with_recording(model)
    finally:
        kernel.assign(before)
    assert [v.blob for v in report.verdicts if not v.same] == ["fc6", "fc7", "fc8", "prob"]
