"""Fixtures with AlexNet's drawn weights. The files are large; their folders are removed after the tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

from caffe2tf import alexnet
from caffe2tf.alexnet import recorded
from caffe2tf.alexnet.drawn import draw_blob, read_params

if TYPE_CHECKING:
    import keras

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="session")
def caffemodel() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="caffe2tf-test-") as folder:
        path = Path(folder) / "alexnet.caffemodel"
        alexnet.write_drawn_caffemodel(path)
        yield path


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that is removed after the test. Pytest keeps its own folders, and these tests write hundreds of MB."""
    with tempfile.TemporaryDirectory(prefix="caffe2tf-test-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def model(caffemodel: Path) -> keras.Model:
    """AlexNet with the drawn weights. A test that changes it must restore it."""
    weights = caffemodel.with_name("alexnet.npy")
    alexnet.regenerate(caffemodel, weights)
    return alexnet.build(weights)


@pytest.fixture(scope="session")
def activations(model: keras.Model) -> dict[str, Floats]:
    return alexnet.activations(model, alexnet.draw_images())


@pytest.fixture(scope="session")
def expected() -> dict[str, Floats]:
    """All weights as the Keras model holds them, by an independent transposition of the drawn blobs."""
    arrays: dict[str, Floats] = {}
    for layer in read_params(recorded._DATA / "alexnet.params.json"):
        kernel, bias = (draw_blob(layer.name, layer.type, i, shape) for i, shape in enumerate(layer.shapes))
        if kernel.ndim == 4:
            kernel = np.einsum("oihw->hwio", kernel)
        elif layer.name == "fc6":
            kernel = np.einsum("ochw->hwco", kernel.reshape(4096, 256, 6, 6)).reshape(9216, 4096)
        else:
            kernel = np.einsum("oi->io", kernel)
        arrays |= {f"{layer.name}/kernel": np.ascontiguousarray(kernel), f"{layer.name}/bias": bias}
    return arrays
