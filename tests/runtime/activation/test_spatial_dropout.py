from __future__ import annotations

import numpy as np
import pytest

from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw


@pytest.mark.parametrize(("shape", "axis"), [((2, 3, 4, 5), -1), ((2, 3, 4), 1), ((2, 3), -1)])
def test_inference_divides(shape: tuple[int, ...], axis: int, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.activation.spatial_dropout import ScaledSpatialDropout

    x = draw(rng, *shape)
    layer = ScaledSpatialDropout(0.2, axis)
    check_layer(layer, x * 1.25, x, tolerance=1e-6)
    check_precisions(layer, x)
    check_gradient(ScaledSpatialDropout(0.2, axis, dtype="float64"), rng, x)


@pytest.mark.parametrize("axis", [1, -1])
def test_training_drops_whole_channels_of_each_item(axis: int) -> None:
    from caffe2tf.runtime.activation.spatial_dropout import ScaledSpatialDropout

    x = np.full((6, 40, 5, 30), -3, np.float32)
    have = np.asarray(ScaledSpatialDropout(0.25, axis)(x, training=True))
    assert set(np.unique(have).tolist()) == {0.0, -4.0}
    channels = np.moveaxis(have, axis, 1).reshape(6, x.shape[axis], -1)
    assert np.array_equal(channels.max(2), channels.min(2))
    assert not np.array_equal(channels[0], channels[1])
    assert 0.1 < np.mean(channels == 0) < 0.4
