from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw


def normalized(x: Array, axis: tuple[int, ...], epsilon: float) -> npt.NDArray[np.float64]:
    """A loop over the indices of the axes that are left."""
    out = np.empty(x.shape)
    for index in np.ndindex(*(1 if a in axis else n for a, n in enumerate(x.shape))):
        part = tuple(slice(None) if a in axis else i for a, i in enumerate(index))
        values = x[part].astype(np.float64)
        out[part] = values / math.sqrt((values**2).sum() + epsilon)
    return out


@pytest.mark.parametrize("axis", [-1, 2, (1, 2, 3)])
@pytest.mark.parametrize("scale_axis", [-1, 1, None])
def test_values(axis: int | tuple[int, ...], scale_axis: int | None, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.normalization.normalize import Normalize

    x = draw(rng, 2, 3, 4, 5)
    layer = Normalize(axis, scale_axis=scale_axis, epsilon=0.5)
    layer.build(x.shape)
    scale = draw(rng, *layer.scale.shape)
    layer.scale.assign(scale)
    factor = scale.reshape(-1, 1, 1) if scale_axis == 1 else scale
    want = normalized(x, tuple(a % 4 for a in np.atleast_1d(axis)), 0.5) * factor
    check_layer(layer, want, x, tolerance=1e-6, everywhere=axis == 2)
    check_precisions(layer, x)
    check_gradient(Normalize(axis, scale_axis=scale_axis, epsilon=0.5, dtype="float64"), rng, x)


def test_zeros_give_zeros_and_have_a_gradient() -> None:
    import tensorflow as tf

    from caffe2tf.runtime.normalization.normalize import Normalize

    x, layer = tf.constant([[0.0, 0.0], [3.0, -4.0]]), Normalize()
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    assert_matches(y, [[0.0, 0.0], [0.6, -0.8]], tolerance=1e-6)
    assert np.isfinite(tape.gradient(y, x)).all()


def test_channels_of_unknown_extent_have_one_scale_in_all() -> None:
    import keras

    from caffe2tf.runtime.normalization.normalize import Normalize

    assert Normalize(scale_axis=None)(keras.Input((4, None))).shape == (None, 4, None)
    with pytest.raises(ValueError, match=r"the extent along axis -1 must be known, not \(None, 4, None\)"):
        Normalize()(keras.Input((4, None)))


def test_mixed_precision() -> None:
    """The default epsilon is 0 in float16, whose squares overflow above 255."""
    from caffe2tf.runtime.normalization.normalize import Normalize

    have = np.asarray(Normalize(dtype="mixed_float16")(np.array([[0, 0], [900, -1200]], np.float32)))
    assert have.dtype == np.float16
    assert_matches(have, [[0.0, 0.0], [0.6, -0.8]], tolerance=1e-3)
