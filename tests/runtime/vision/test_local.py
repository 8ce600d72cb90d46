from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.layers.oracle import Array
from tests.runtime.vision.test_convolution import check_window_layer


def local(x: Array, kernel: Array, bias: Array | None, **arguments: Any) -> npt.NDArray[np.float64]:  # noqa: ANN401
    """A loop over the output pixels, each with weights of its own."""
    down, across, high, wide, each, filters = kernel.shape
    groups = arguments.get("groups", 1)
    (sy, sx), (py, px), (dy, dx) = (
        arguments.get(n, (v, v)) for n, v in (("strides", 1), ("padding", 0), ("dilation_rate", 1))
    )
    padded = np.pad(x, ((0, 0), (py, py), (px, px), (0, 0))).astype(np.float64)
    y = np.zeros((x.shape[0], down, across, filters))
    for i, j, m, n, f in np.ndindex(down, across, high, wide, filters):
        first = f // (filters // groups) * each
        y[:, i, j, f] += padded[:, i * sy + m * dy, j * sx + n * dx, first : first + each] @ kernel[i, j, m, n, :, f]
    return y if bias is None else y + bias


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"strides": (2, 1), "padding": (0, 2), "shared_bias": True},
        {"groups": 2, "dilation_rate": (1, 2)},
        {"groups": 4, "strides": (2, 3), "use_bias": False},
    ],
    ids=str,
)
def test_values(arguments: dict[str, Any], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.vision.local import LocallyConnected

    check_window_layer(LocallyConnected, local, (3, 2), (5, 6), arguments, rng)


def test_weights() -> None:
    from caffe2tf.runtime.vision.local import LocallyConnected

    for shared, bias in ((False, (3, 6, 6)), (True, (6,))):
        layer = LocallyConnected(6, (3, 2), groups=2, shared_bias=shared)
        layer.build((2, 5, 7, 4))
        assert [(w.name, w.shape) for w in layer.weights] == [("kernel", (3, 6, 3, 2, 2, 6)), ("bias", bias)]
