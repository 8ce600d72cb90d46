"""AlexNet's drawn weights. The rule by which values are drawn is tested in tests/scripts/test_draw.py."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from caffe2tf import alexnet
from caffe2tf.alexnet import drawn, recorded
from caffe2tf.errors import OutputError


def test_chunks_do_not_change_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [drawn.draw_blob("layer", "BN", place, (13,)) for place in range(4)]
    monkeypatch.setattr(drawn, "CHUNK", 5)
    for place, want in enumerate(whole):
        np.testing.assert_array_equal(drawn.draw_blob("layer", "BN", place, (13,)), want)


def test_progress_counts_every_value(tmp_path: Path) -> None:
    counts: list[int] = []
    layers = [drawn.LayerParameters(name="fc", type="InnerProduct", shapes=((7, 200_003), (7,)))]
    drawn.write_caffemodel(layers, tmp_path / "fc.caffemodel", counts.append)
    assert len(counts) > 2
    assert sum(counts) == 7 * 200_003 + 7


def test_the_package_and_the_tests_have_the_same_recording(data: Path) -> None:
    for name in ("alexnet.npz", "alexnet.params.json", "alexnet.inputs.json", "alexnet.prototxt"):
        assert (recorded._DATA / name).read_bytes() == (data / "nets" / name).read_bytes()


def test_the_drawn_weights_are_those_that_caffe_used(caffemodel: Path) -> None:
    with caffemodel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    assert digest == "7f509cd17f9d034c9ea690fb4d92df10ba8bbd49120bc4fbc31b455ca95c9132"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"the folder .*nowhere does not exist"):
        alexnet.write_drawn_caffemodel(tmp_path / "nowhere" / "alexnet.caffemodel")
