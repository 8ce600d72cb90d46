"""Silence and HDF5Output: layers that only take blobs."""

from __future__ import annotations

import numpy as np
import pytest

import caffe2tf
from tests.layers.emitted import built, emitted
from tests.layers.oracle import assert_matches, check_recorded, recorded, run_layer

RELUS = """
layer { name: "a" type: "ReLU" bottom: "data" top: "a" }
layer { name: "b" type: "ReLU" bottom: "data" top: "b" }
layer { name: "c" type: "TanH" bottom: "data" top: "c" }
"""
SILENCE = 'layer { name: "s" type: "Silence" bottom: "a" bottom: "b" }'
HDF5 = 'layer { name: "w" type: "HDF5Output" bottom: "a" bottom: "b" hdf5_output_param { file_name: "no/such/file" } }'
X = np.random.default_rng(2).standard_normal((2, 3, 4, 5)).astype(np.float32)


@pytest.mark.parametrize("case", recorded("silence"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("sink", [SILENCE, HDF5])
def test_blobs_read_by_a_sink_are_not_outputs(sink: str) -> None:
    source = emitted(RELUS + sink, {"data": X.shape})
    assert "TanH" in source or "tanh" in source
    assert "ReLU" not in source


@pytest.mark.parametrize("sink", [SILENCE, HDF5])
def test_run_returns_every_blob(sink: str) -> None:
    have = run_layer(RELUS + sink, {"data": X})
    assert set(have) == {"data", "a", "b", "c"}
    assert_matches(have["b"], np.maximum(X, 0))


@pytest.mark.parametrize("kind", ["implicit", "MatWrite", "FLOWriter"])
def test_the_bottom_of_an_end_stays_an_output(kind: str) -> None:
    end = f'layer {{ name: "e" type: "{kind}" bottom: "b" }}'
    model = built(RELUS + end, {"data": X.shape})
    assert len(model.outputs) == 3
    silent = built(RELUS + end + SILENCE.replace('bottom: "b"', ""), {"data": X.shape})
    assert len(silent.outputs) == 2
    assert set(run_layer(RELUS + end, {"data": X})) == {"data", "a", "b", "c"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('layer { name: "s" type: "Silence" }', "takes 1 or more bottoms, 0 given"),
        (SILENCE.replace("bottom", "top", 1).replace('"a"', '"z"'), "takes 0 tops, 1 given"),
        (HDF5.replace('bottom: "b"', ""), "takes 2 bottoms, 1 given"),
        (HDF5.replace('file_name: "no/such/file"', ""), "hdf5_output_param.file_name is required"),
        (HDF5.replace('"b"', '"few"'), "same number of items along axis 0, not 2 and 3"),
        (HDF5.replace('"b"', '"deep"'), "4 axes at most, not 5"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(caffe2tf.Caffe2TFError, match=message):
        run_layer(RELUS + text, {"data": X, "few": np.zeros((3, 1)), "deep": np.zeros((2, 1, 1, 1, 2))})
