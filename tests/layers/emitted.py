"""What a conversion writes for a small network, and what becomes of a layer of ours that is saved."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import caffe2tf
from tests.layers.oracle import Array, assert_matches, inputs_text

if TYPE_CHECKING:
    import keras

__all__ = ["check_saved", "emitted"]


def emitted(text: str, shapes: Mapping[str, Sequence[int]], *, keep_losses: bool = False) -> str:
    """The source that a conversion writes for a network without weights, on one line."""
    with tempfile.TemporaryDirectory() as folder:
        prototxt = Path(folder) / "net.prototxt"
        prototxt.write_text(inputs_text(shapes) + text, encoding="utf-8")
        conversion = caffe2tf.convert(prototxt, None, Path(folder) / "out", keep_losses=keep_losses)
        return " ".join(conversion.module.read_text(encoding="utf-8").split())


def check_saved(layer: keras.layers.Layer, *arrays: Array) -> None:
    """The layer gives the same called at once, traced, in a model of any batch size, and saved and loaded again."""
    import keras
    import tensorflow as tf

    tensors = [tf.constant(a) for a in arrays]
    given = tensors if len(tensors) > 1 else tensors[0]
    want = [np.asarray(t) for t in tf.nest.flatten(layer(given))]
    inputs = [keras.Input(a.shape[1:]) for a in arrays]
    symbolic = layer(inputs if len(inputs) > 1 else inputs[0])
    model = keras.Model(inputs, symbolic)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        again = keras.models.load_model(Path(folder) / "model.keras")
    for found in (tf.function(layer)(given), model(tensors), again(tensors)):
        for have, array in zip(tf.nest.flatten(found), want, strict=True):
            assert_matches(have, array, layer.name)
    for spec, array in zip(tf.nest.flatten(symbolic), want, strict=True):
        assert len(spec.shape) == array.ndim
        assert all(s in (None, n) for s, n in zip(spec.shape, array.shape, strict=True))
