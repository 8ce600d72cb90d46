"""Trained models of other people against recordings of Caffe; skipped if there are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.alexnet.drawn import draw_input
from tests.conftest import MODELS
from tests.layers.oracle import assert_matches


def recorded(file: str) -> pytest.MarkDecorator:
    """Run a test once for each model that has this file."""
    return pytest.mark.parametrize("name", sorted(path.parent.name for path in MODELS.glob(f"*/{file}")))


def weights_of(folder: Path) -> Path | None:
    return next(iter(sorted(folder.glob("weights.caffemodel*"))), None)


@recorded("digest.npz")
def test_every_blob_is_what_caffe_computed(name: str) -> None:
    folder = MODELS / name
    shapes = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
    inputs = {blob: draw_input(blob, shape) for blob, shape in shapes.items()}
    report = caffe2tf.verify(folder / "deploy.prototxt", weights_of(folder), folder / "digest.npz", inputs)
    assert report.same, report.first_difference


@recorded("expected_output.npy")
def test_the_output_is_the_recorded_one(name: str) -> None:
    folder = MODELS / name
    definition = folder / "deploy.prototxt"
    (blob, *others), fed = caffe2tf.infer_shapes(definition), np.load(folder / "input.npy")
    assert others
    assert_matches(
        caffe2tf.run(definition, weights_of(folder), {blob: fed})[others[-1]], np.load(folder / "expected_output.npy")
    )
