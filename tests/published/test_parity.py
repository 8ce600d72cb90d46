"""Published networks with drawn weights against recordings of Caffe with the same weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.alexnet.drawn import draw_input, read_params, write_caffemodel
from tests.published.definitions import NETWORKS

LONG = {"googlenet"}  # rounding alone gives 1.5e-5 after its 140 layers of drawn weights


@pytest.mark.parametrize("name", NETWORKS)
def test_every_blob_is_what_caffe_computed(name: str, data: Path, tmp_path: Path) -> None:
    network, recorded = NETWORKS[name](), data / "nets" / name
    params = read_params(recorded.with_suffix(".params.json"))
    assert [(p.name, p.type, p.shapes) for p in params] == list(network.trained)
    prototxt, caffemodel = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    prototxt.write_text(network.prototxt, encoding="utf-8")
    write_caffemodel(params, caffemodel)
    shapes = json.loads(recorded.with_suffix(".inputs.json").read_text(encoding="utf-8"))
    inputs = {blob: draw_input(blob, shape) for blob, shape in shapes.items()}
    tolerance = caffe2tf.Tolerance(relative=1e-4 if name in LONG else 1e-5)
    report = caffe2tf.verify(prototxt, caffemodel, recorded.with_suffix(".npz"), inputs, tolerance=tolerance)
    caffemodel.unlink()
    with np.load(recorded.with_suffix(".npz")) as digest:
        known = {key.removesuffix("/shape") for key in digest.files if key.endswith("/shape")}
    assert {v.blob for v in report.verdicts} == {blob for blob in known if "_split_" not in blob}
    assert report.same, report.first_difference
    assert report.unreferenced == ()
