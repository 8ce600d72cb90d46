"""The files that the package carries: a definition of AlexNet, and what real Caffe computed with it.

`alexnet.npz` digests all 14 blobs of one forward pass: the weights were drawn as `alexnet.params.json` lists them, the
input as `alexnet.inputs.json` does, both by the rule of `caffe2tf.alexnet.drawn`.
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
"""Trained values of AlexNet."""


def definition_path() -> Path:
    """The definition of AlexNet, for Caffe and for `caffe2tf.convert`: input ``data``, output ``prob``."""
    return _DATA / "alexnet.prototxt"


def recorded_activations() -> Reference:
    """What real Caffe computed for `draw_images` with the weights of `write_drawn_caffemodel`: digests of 14 blobs."""
    return read_reference(_DATA / "alexnet.npz")


def draw_images() -> npt.NDArray[np.float32]:
    """The input that the recording was made with: float32 in Caffe's order, (2, 3, 227, 227), noise like pixels."""
    shapes = json.loads((_DATA / "alexnet.inputs.json").read_text(encoding="utf-8"))
    return draw_input("data", tuple(shapes["data"]))


def write_drawn_caffemodel(path: str | os.PathLike[str], progress: Callable[[int], None] | None = None) -> None:
    """Writes the weights that the recording was made with, 233 MiB, whole or not at all.

    Args:
        path: the .caffemodel to write.
        progress: called with the count of values drawn since the last call, `PARAMETERS` in all.

    Raises:
        OutputError: the file cannot be written.
    """
    layers = read_params(_DATA / "alexnet.params.json")
    if sum(math.prod(s) for layer in layers for s in layer.shapes) != PARAMETERS:
        raise AssertionError("alexnet.params.json lists another network")
    with whole_file(path) as temporary:
        write_caffemodel(layers, temporary, progress)
