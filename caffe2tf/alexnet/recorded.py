"""Files in the package: a definition of AlexNet, and activations that Caffe computed with it.

`alexnet.npz` holds digests of all 14 blobs of one forward pass. `caffe2tf.alexnet.drawn` draws the weights, listed in
`alexnet.params.json`, and the input, listed in `alexnet.inputs.json`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from caffe2tf.alexnet.drawn import draw_input, read_params, write_caffemodel
from caffe2tf.atomic import whole_file
from caffe2tf.verification import Reference, read_reference

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["PARAMETERS", "definition_path", "draw_images", "recorded_activations", "write_drawn_caffemodel"]

_DATA = Path(__file__).parent / "data"

PARAMETERS = 60_965_224
"""The number of AlexNet's trained values."""


def definition_path() -> Path:
    """Return the path of AlexNet's definition, with input ``data`` and output ``prob``."""
    return _DATA / "alexnet.prototxt"


def recorded_activations() -> Reference:
    """Return digests of the 14 blobs that Caffe computed from `draw_images` and `write_drawn_caffemodel`."""
    return read_reference(_DATA / "alexnet.npz")


def draw_images() -> npt.NDArray[np.float32]:
    """Return the input of the recording: noise in the range of pixels, (2, 3, 227, 227) float32, NCHW."""
    shapes = json.loads((_DATA / "alexnet.inputs.json").read_text(encoding="utf-8"))
    return draw_input("data", tuple(shapes["data"]))


def write_drawn_caffemodel(path: str | os.PathLike[str], progress: Callable[[int], None] | None = None) -> None:
    """Write the weights of the recording as a .caffemodel of 233 MiB, atomically.

    Args:
        path: the .caffemodel to write.
        progress: called with the number of values drawn since the last call, `PARAMETERS` in total.

    Raises:
        OutputError: the file cannot be written.
    """
    layers = read_params(_DATA / "alexnet.params.json")
    if sum(math.prod(s) for layer in layers for s in layer.shapes) != PARAMETERS:
        raise AssertionError("alexnet.params.json lists another network")
    with whole_file(path) as temporary:
        write_caffemodel(layers, temporary, progress)
