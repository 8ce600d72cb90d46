"""Builds the emitted model of a plan, with its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from caffe2tf.artifacts.importing import load_emitted
from caffe2tf.artifacts.limits import explained_limits
from caffe2tf.emit import Plan
from caffe2tf.ir.weight import Weight

if TYPE_CHECKING:
    import keras

__all__ = ["build_model"]


def build_model(plan: Plan) -> keras.Model:
    """Return the Keras model that the emitted source builds, with its weights assigned by layer name.

    Raises:
        UsageError: the model needs more memory than there is, or TensorFlow cannot build it.
    """
    with explained_limits(plan.program):
        model: keras.Model = load_emitted(plan).build()
        for layer, own in plan.weights().items():
            _assign(model.get_layer(layer), own)
    return model


def _assign(layer: keras.Layer, own: Mapping[str, Weight]) -> None:
    variables = {v.name: v for v in layer.weights}
    if set(variables) != set(own):
        raise AssertionError(f"{layer.name}: Keras has weights {sorted(variables)}, converted are {sorted(own)}")
    for name, weight in own.items():
        variables[name].assign(weight.array())
