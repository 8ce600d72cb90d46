"""Weight files: one or several, compared with a full parse of the same bytes by protobuf."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from caffe2tf.errors import ParseError, UsageError
from caffe2tf.parse.weights import open_weights
from caffe2tf.proto import caffe_pb2
from tests.builders import write_caffemodel
from tests.conftest import MODELS, ROOT


def test_several_files(tmp_path: Path) -> None:
    a = write_caffemodel(tmp_path, {"x": [[1.0]], "y": [[2.0]]}, "a.caffemodel")
    b = write_caffemodel(tmp_path, {"y": [[3.0]], "z": [[4.0]]}, "b.caffemodel")
    ways: list[str | Sequence[str | Path]] = [[a, b], [str(a), b], f"{a},{b}", f"{a}, {b}", (str(a), str(b))]
    for given in ways:
        with open_weights(given) as weights:
            assert weights.files == (a, b)
            assert {k: v[0].data[0] for k, v in weights.layers.items()} == {"x": 1, "y": 3, "z": 4}
    assert open_weights([b, a]).layers["y"][0].data[0] == 2
    comma = tmp_path / "a,b"
    comma.write_bytes(a.read_bytes())
    assert open_weights(str(comma)).files == (comma,)
    nothing: list[str | list[str]] = ["", [], ","]
    for none in nothing:
        with pytest.raises(UsageError, match="no weight file"):
            open_weights(none)


def test_one_missing_file_of_several(tmp_path: Path) -> None:
    good = write_caffemodel(tmp_path, {"fc": [[1.5, -2.25]]}, "good.caffemodel")
    with pytest.raises(ParseError, match="no such file"):
        open_weights([good, tmp_path / "missing.caffemodel"])


@pytest.mark.parametrize(
    "path",
    [
        *sorted(MODELS.glob("*/weights.caffemodel")),
        *sorted((ROOT / "tests" / "data").rglob("*.caffemodel")),
        *sorted((ROOT / "examples").rglob("*.caffemodel")),
    ],
    ids=lambda path: "/".join(path.parts[-3:]),
)
def test_agrees_with_protobuf(path: Path) -> None:
    net = caffe_pb2.NetParameter.FromString(path.read_bytes())
    layers: list[Any] = [*net.layers, *net.layer]
    wanted = {layer.name: layer.blobs for layer in layers if layer.blobs}
    assert wanted
    with open_weights(path) as weights:
        assert list(weights.layers) == list(wanted)
        for name, blobs in wanted.items():
            for found, blob in zip(weights.layers[name], blobs, strict=True):
                legacy = blob.HasField("num")
                shape = (blob.num, blob.channels, blob.height, blob.width) if legacy else tuple(blob.shape.dim)
                assert (found.shape, found.legacy) == (shape, legacy)
                assert found.data.tobytes() == struct.pack(f"<{len(blob.data)}f", *blob.data)
