"""What holds for the gradients of layers that are linear in their input and in their kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.layers.oracle import Array

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


def check_gradients(model: keras.Model, x: Array) -> None:
    """The gradient tells exactly what a change of the input, or of the kernel, changes in the output."""
    import tensorflow as tf

    rng = np.random.default_rng(5)
    y = np.asarray(model(x))
    weights = rng.standard_normal(y.shape).astype(np.float32)

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow's
    def gradients(inputs: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(model(inputs) * weights)
        found: list[tf.Tensor] = tape.gradient(total, [inputs, *model.trainable_variables])
        return found

    by_input, by_kernel, *_ = gradients(tf.constant(x))
    step = rng.standard_normal(x.shape).astype(np.float32)
    change = np.sum((np.asarray(model(x + step)) - y) * weights)
    assert change == pytest.approx(np.sum(by_input * step), rel=1e-3, abs=1e-3)
    kernel = model.trainable_variables[0]
    step = rng.standard_normal(kernel.shape).astype(np.float32)
    kernel.assign_add(step)
    change = np.sum((np.asarray(model(x)) - y) * weights)
    assert change == pytest.approx(np.sum(by_kernel * step), rel=1e-3, abs=1e-3)
