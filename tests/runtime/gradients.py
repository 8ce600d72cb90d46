"""Gradients of layers, held against differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras

__all__ = ["check_gradient"]


def check_gradient(
    layer: keras.layers.Layer, rng: np.random.Generator, *arrays: npt.ArrayLike, among: Sequence[int] | None = None
) -> None:
    """The gradients for the inputs and for all trainable weights match central differences along a random direction.

    Args:
        layer: a layer of ``dtype="float64"``.
        rng: draws the direction, and the weights of the outputs.
        *arrays: the inputs.
        among: indices of the inputs that are differentiated; all of them if absent.
    """
    import tensorflow as tf

    inputs = [tf.constant(np.asarray(a), layer.compute_dtype) for a in arrays]
    outputs = tf.nest.flatten(call(layer, inputs))
    factors = [tf.constant(rng.standard_normal(y.shape), y.dtype) for y in outputs]

    def total(values: list[Any]) -> Any:  # noqa: ANN401 - TensorFlow has no types
        pairs = zip(tf.nest.flatten(call(layer, values)), factors, strict=True)
        return tf.add_n([tf.reduce_sum(y * f) for y, f in pairs])

    chosen = range(len(inputs)) if among is None else among
    variables = [v.value for v in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch([inputs[i] for i in chosen])
        value = total(inputs)
    gradients = tape.gradient(value, [*(inputs[i] for i in chosen), *variables])
    steps = [tf.constant(1e-5 * rng.standard_normal(g.shape), g.dtype) for g in gradients]
    predicted = sum(float(tf.reduce_sum(g * s)) for g, s in zip(gradients, steps, strict=True))
    ends = []
    for sign in (1.0, -1.0):
        moved = list(inputs)
        for i, step in zip(chosen, steps, strict=False):
            moved[i] = inputs[i] + sign * step
        for variable, step in zip(variables, steps[len(chosen) :], strict=True):
            variable.assign_add(sign * step)
        ends.append(float(total(moved)))
        for variable, step in zip(variables, steps[len(chosen) :], strict=True):
            variable.assign_sub(sign * step)
    assert abs(predicted) > 1e-9
    np.testing.assert_allclose((ends[0] - ends[1]) / 2, predicted, rtol=1e-4)


def call(layer: keras.layers.Layer, inputs: list[Any]) -> Any:  # noqa: ANN401 - TensorFlow has no types
    """The output for one input or a list of several."""
    return layer(inputs if len(inputs) > 1 else inputs[0])
