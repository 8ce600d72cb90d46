"""Fixtures of the tests of commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import caffe2tf


@pytest.fixture(scope="session")
def blobs(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Every blob of the digits network for three images."""
    folder = tmp_path_factory.mktemp("run")
    x = np.random.default_rng(4).normal(size=(3, 1, 16, 16)).astype("f4")
    np.savez(folder / "in.npz", data=x)
    net = digits / "deploy.prototxt", digits / "digits.caffemodel"
    done = caffe2tf("run", *net, "--input", folder / "in.npz", "-o", folder / "out.npz", "--json")
    assert done.code == 0, done.err
    with np.load(folder / "out.npz") as file:
        out = {name: file[name] for name in file.files}
    assert json.loads(done.out) == {
        "out": str(folder / "out.npz"), "blobs": {name: list(a.shape) for name, a in out.items()},
    }  # fmt: skip
    np.testing.assert_array_equal(out["data"], x)
    return out


@pytest.fixture
def images(tmp_path: Path, blobs: dict[str, np.ndarray]) -> Path:
    """The file of the three images, which `run` reads."""
    np.savez(tmp_path / "in.npz", data=blobs["data"])
    return tmp_path / "in.npz"
