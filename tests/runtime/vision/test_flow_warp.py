from __future__ import annotations

import numpy as np
import pytest

from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw


def warped(image: Array, flow: Array, fill: float) -> Array:
    """A loop over the pixels."""
    out = np.full_like(image, fill)
    _, height, width, _ = image.shape
    for n, y, x in np.ndindex(image.shape[0], height, width):
        at_x, at_y = np.float32(x) + flow[n, y, x, 0], np.float32(y) + flow[n, y, x, 1]
        if not (0 <= at_x < width and 0 <= at_y < height):
            continue
        left, top = int(at_x), int(at_y)
        right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
        a, b = at_x - left, at_y - top
        above = (1 - a) * image[n, top, left] + a * image[n, top, right]
        below = (1 - a) * image[n, bottom, left] + a * image[n, bottom, right]
        out[n, y, x] = (1 - b) * above + b * below
    return out


def inputs(rng: np.random.Generator) -> tuple[Array, Array]:
    """An image, and a flow that often leaves it; also to its last half pixel, to whole pixels, and nowhere."""
    image, flow = draw(rng, 2, 6, 8, 3), 2 * draw(rng, 2, 6, 8, 2)
    flow[0, 2, 3] = np.nan
    flow[0, 1, 1] = (np.inf, 0)
    flow[0, 3, 2] = (-2, -3)
    flow[0, 5, 6] = (1.75, 0.5)
    return image, flow


@pytest.mark.parametrize(("arguments", "fill"), [((), 0.0), (("NOT_A_NUMBER",), np.nan)])
def test_values(arguments: tuple[str, ...], fill: float, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.vision.flow_warp import FlowWarp

    image, flow = inputs(rng)
    want = warped(image, flow, fill)
    assert 0.2 < (want[..., 0] == fill if fill == 0 else np.isnan(want[..., 0])).mean() < 0.8
    layer = FlowWarp(*arguments)
    check_layer(layer, want, image, flow)
    assert layer.compute_output_shape([(None, 6, 8, 3), (None, 6, 8, 2)]) == (None, 6, 8, 3)


def test_gradients_of_the_image_and_of_the_flow(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.vision.flow_warp import FlowWarp

    flow = rng.uniform(0.1, 0.9, (2, 6, 8, 2)) * [-1, 1]
    check_gradient(FlowWarp(dtype="float64"), rng, rng.standard_normal((2, 6, 8, 3)), flow)


def test_positions_in_other_precisions(rng: np.random.Generator) -> None:
    """At column 1000 the distance of float16 numbers is half a pixel."""
    from caffe2tf.runtime.vision.flow_warp import FlowWarp

    image = np.linspace(-2, 2, 1100, dtype=np.float32).reshape(1, 1, 1100, 1) + draw(rng, 1, 2, 1, 3) / 8
    flow = np.broadcast_to(np.array([0.25, 0], np.float32), (1, 2, 1100, 2)).copy()
    image[:, :, ::2] *= -1
    check_precisions(FlowWarp(), image.astype(np.float32), flow)


def test_unknown_extents(rng: np.random.Generator) -> None:
    import tensorflow as tf

    from caffe2tf.runtime.vision.flow_warp import FlowWarp

    image, flow = inputs(rng)
    signature = [[tf.TensorSpec((None, None, None, 3)), tf.TensorSpec((None, None, None, 2))]]
    have = tf.function(FlowWarp(), input_signature=signature)([image, flow])
    assert_matches(have, warped(image, flow, 0))
