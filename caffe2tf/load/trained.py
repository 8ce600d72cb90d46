"""Opens the trained blobs: in the files that the user gives, or in the definition itself, which may hold them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager

from caffe2tf.parse import NetworkDefinition, TrainedWeights, open_weights

__all__ = ["WeightFiles", "open_trained"]

WeightFiles = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def open_trained(
    definition: NetworkDefinition, weights: WeightFiles | None
) -> AbstractContextManager[TrainedWeights | None]:
    """Open the trained blobs in ``weights``, or those in the file of ``definition`` if ``weights`` is None.

    Returns:
        A context manager. It gives None if ``weights`` is None and the definition holds no blobs, as a prototxt.

    Raises:
        ParseError: a file cannot be read, or is not a weight file.
    """
    if weights is not None:
        return open_weights(weights)
    if definition.is_text:
        return contextlib.nullcontext(None)
    blobs = open_weights([definition.file])
    if blobs.layers:
        return blobs
    blobs.close()
    return contextlib.nullcontext(None)
