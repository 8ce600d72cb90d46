"""What a conversion of a small network emits: its source, and the model that the source builds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import caffe2tf
from tests.layers.oracle import inputs_text

if TYPE_CHECKING:
    import keras

__all__ = ["built", "calls", "emitted", "reloaded"]

Shapes = Mapping[str, Sequence[int]]


def _prototxt(folder: str, text: str, shapes: Shapes) -> Path:
    path = Path(folder) / "net.prototxt"
    path.write_text('name: "tiny"\n' + inputs_text(shapes) + text, encoding="utf-8")
    return path


def emitted(text: str, shapes: Shapes) -> str:
    """The source of the module."""
    with TemporaryDirectory() as folder:
        return caffe2tf.convert(_prototxt(folder, text, shapes), None, folder).module.read_text(encoding="utf-8")


def calls(text: str, shapes: Shapes) -> list[str]:
    """The layers that the module calls, in order, without its inputs: ``["Flatten", "Slice"]``."""
    lines = emitted(text, shapes).partition("def build")[2].partition("keras.Model(")[0]
    return re.findall(r" = (?:layers\.)?([A-Z]\w*)\(", lines)


def built(text: str, shapes: Shapes) -> keras.Model:
    """The model."""
    with TemporaryDirectory() as folder:
        return caffe2tf.convert(_prototxt(folder, text, shapes), None, folder).build()


def reloaded(model: keras.Model, inputs: Sequence[npt.ArrayLike]) -> list[npt.NDArray[np.float32]]:
    """The outputs of a model that was saved as ``.keras`` and loaded again, in a traced function; inputs in order."""
    import keras
    import tensorflow as tf

    with TemporaryDirectory() as folder:
        model.save(f"{folder}/net.keras")
        again = keras.saving.load_model(f"{folder}/net.keras")
    fed = {name: tf.constant(np.asarray(x, np.float32)) for name, x in zip(model.input, inputs, strict=True)}
    return [np.asarray(y) for y in tf.nest.flatten(tf.function(again)(fed))]
