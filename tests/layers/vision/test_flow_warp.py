"""FlowWarp: recordings, FlowNet's loop, flows that lead out of the image, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests import builders
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def layer(parameters: str = "") -> str:
    return builders.layer("FlowWarp", "out", ["image", "flow"], parameters=f"flow_warp_param {{ {parameters} }}")


def draw(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(sum(shape) + seed).standard_normal(shape).astype(np.float32)


def naive(image: Array, flow: Array, fill: float = 0.0) -> Array:
    """Interpolate pixel by pixel."""
    out = np.full_like(image, fill)
    _, _, height, width = image.shape
    for n, y, x in np.ndindex(image.shape[0], height, width):
        at_x, at_y = np.float32(x) + flow[n, 0, y, x], np.float32(y) + flow[n, 1, y, x]
        if not (at_x >= 0 and at_y >= 0 and at_x < width and at_y < height):
            continue
        left, top = int(at_x), int(at_y)
        right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
        a, b = at_x - left, at_y - top
        above = (1 - a) * image[n, :, top, left] + a * image[n, :, top, right]
        below = (1 - a) * image[n, :, bottom, left] + a * image[n, :, bottom, right]
        out[n, :, y, x] = (1 - b) * above + b * below
    return out


def inputs(batch: int = 2) -> tuple[Array, Array]:
    """Return an image and a flow that leads outside, into the last half pixel, to whole pixels, and to NaN."""
    image, flow = draw(batch, 3, 6, 8), 3 * draw(batch, 2, 6, 8)
    flow[0, :, 2, 3] = np.nan
    flow[0, :, 1, 1] = (np.inf, 0)
    flow[0, :, 3, 2] = (-2, -3)
    flow[0, :, 5, 6] = (1.75, 0.5)
    flow[0, :, 4, 4] = (4, 0)
    return image, flow


@pytest.mark.parametrize("case", recorded("fork_flow_warp"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize(("parameters", "fill"), [("", 0.0), ("fill_value: NOT_A_NUMBER", np.nan)])
def test_values(parameters: str, fill: float) -> None:
    image, flow = inputs()
    have = run_layer(layer(parameters), {"image": image, "flow": flow})["out"]
    want = naive(image, flow, fill)
    assert 0.2 < (want[:, 0] == fill if fill == 0 else np.isnan(want[:, 0])).mean() < 0.8
    assert_matches(have, want)


def test_nan_in_the_image_spreads_to_the_values_interpolated_from_it() -> None:
    image, flow = inputs()
    image[1, 2, 3, 4] = np.nan
    have = run_layer(layer(), {"image": image, "flow": flow})["out"]
    want = naive(image, flow)
    assert np.isnan(want).any()
    assert_matches(have, want)


def test_saved_model_takes_any_batch() -> None:
    image, flow = inputs(3)
    model = built(layer("fill_value: NOT_A_NUMBER"), {"image": (1, 3, 6, 8), "flow": (1, 2, 6, 8)})
    (have,) = reloaded(model, [np.moveaxis(v, 1, 3) for v in (image, flow)])
    assert_matches(np.moveaxis(have, 3, 1), naive(image, flow, np.nan))


def test_emitted_layer() -> None:
    assert calls(layer(), {"image": (1, 3, 6, 8), "flow": (1, 2, 6, 8)}) == ["FlowWarp"]


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        ((2, 3, 6, 8), "the flow must have 2 channels, .* not 3"),
        ((1, 2, 6, 8), "the image is 2x3x6x8, the flow 1x2x6x8"),
        ((2, 2, 5, 8), "the same batch size, height and width: the image is 2x3x6x8, the flow 2x2x5x8"),
        ((2, 2, 6, 7), "the flow 2x2x6x7"),
        ((2, 2, 6), "4 axes .*, not 2x3x6x8 and 2x2x6"),
    ],
)
def test_errors(flow: tuple[int, ...], message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(layer(), {"image": draw(2, 3, 6, 8), "flow": draw(*flow)})


def test_takes_two_bottoms() -> None:
    with pytest.raises(Caffe2TFError, match="takes 2 bottoms, 1 given"):
        run_layer(layer().replace('bottom: "flow"', ""), {"image": draw(2, 3, 6, 8)})
