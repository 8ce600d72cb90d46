"""Fixtures of the tests of readers."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from caffe2tf.parse.weights import TrainedWeights, open_weights
from caffe2tf.proto import caffe_pb2


class Load(Protocol):
    """The type of the fixture `load`, which opens a weight file with the given content."""

    def __call__(self, data: bytes | caffe_pb2.NetParameter) -> TrainedWeights: ...


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(data: bytes | caffe_pb2.NetParameter) -> TrainedWeights:
        path = tmp_path / "net.caffemodel"
        path.write_bytes(data if isinstance(data, bytes) else data.SerializeToString())
        return open_weights(path)

    return load
