"""The source and the model that a conversion emits for a small network, and the saving and loading of models."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import caffe2tf
from tests.builders import input_layers, write_prototxt
from tests.layers.oracle import Array, assert_matches

if TYPE_CHECKING:
    import keras

__all__ = ["built", "calls", "check_saved", "emitted", "reloaded"]

Shapes = Mapping[str, Sequence[int]]


def _convert(folder: str, text: str, shapes: Shapes, *, keep_losses: bool = False) -> caffe2tf.Conversion:
    prototxt = write_prototxt(Path(folder), input_layers(shapes) + text)
    return caffe2tf.convert(prototxt, None, Path(folder) / "out", keep_losses=keep_losses)


def emitted(text: str, shapes: Shapes, *, keep_losses: bool = False) -> str:
    """Return the source that a conversion writes for a network without a weight file, on one line."""
    with TemporaryDirectory() as folder:
        source = _convert(folder, text, shapes, keep_losses=keep_losses).module.read_text(encoding="utf-8")
    return " ".join(source.split())


def calls(text: str, shapes: Shapes) -> list[str]:
    """Return the names of the layers that the source calls, in order, without inputs: ``["Flatten", "Slice"]``."""
    body = emitted(text, shapes).partition("def build")[2].partition("keras.Model(")[0]
    return re.findall(r" = (?:layers\.)?([A-Z]\w*)\(", body)


def built(text: str, shapes: Shapes) -> keras.Model:
    """Return the model that the source builds."""
    with TemporaryDirectory() as folder:
        return _convert(folder, text, shapes).build()


def reloaded(model: keras.Model, inputs: Sequence[npt.ArrayLike]) -> list[Array]:
    """Return the outputs of a model after it is saved as ``.keras``, loaded again and traced.

    Args:
        model: the model.
        inputs: an array for each input, in the order of ``model.input``.
    """
    import keras
    import tensorflow as tf

    with TemporaryDirectory() as folder:
        model.save(f"{folder}/net.keras")
        again = keras.saving.load_model(f"{folder}/net.keras")
    fed = {name: tf.constant(np.asarray(x, np.float32)) for name, x in zip(model.input, inputs, strict=True)}
    return [np.asarray(y) for y in tf.nest.flatten(tf.function(again)(fed))]


def check_saved(layer: keras.layers.Layer, *arrays: Array) -> None:
    """Check that a layer returns the same values in four forms, and that its inferred shapes fit.

    The forms are: called directly, traced, in a model of any batch size, and in this model saved and loaded again.
    """
    import keras
    import tensorflow as tf

    tensors = [tf.constant(a) for a in arrays]
    given = tensors if len(tensors) > 1 else tensors[0]
    want = [np.asarray(t) for t in tf.nest.flatten(layer(given))]
    inputs = [keras.Input(a.shape[1:]) for a in arrays]
    symbolic = layer(inputs if len(inputs) > 1 else inputs[0])
    model = keras.Model(inputs, symbolic)
    with TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        again = keras.models.load_model(Path(folder) / "model.keras")
    for found in (tf.function(layer)(given), model(tensors), again(tensors)):
        for have, array in zip(tf.nest.flatten(found), want, strict=True):
            assert_matches(have, array, layer.name)
    for spec, array in zip(tf.nest.flatten(symbolic), want, strict=True):
        assert len(spec.shape) == array.ndim
        assert all(s in (None, n) for s, n in zip(spec.shape, array.shape, strict=True))
