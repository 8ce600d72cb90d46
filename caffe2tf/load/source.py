"""Where trained blobs come from: the files given, or the definition itself, which may hold them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager

from caffe2tf.parse import NetworkDefinition, WeightSource, open_weights

__all__ = ["WeightFiles", "open_source"]

WeightFiles = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def open_source(
    definition: NetworkDefinition, weights: WeightFiles | None
) -> AbstractContextManager[WeightSource | None]:
    """The trained blobs of ``weights``, or those inside the file of ``definition`` where none is given.

    Returns:
        A context manager; it gives None where no file is given and the definition holds no blobs (a prototxt).

    Raises:
        ParseError: a file cannot be read, or holds something else.
    """
    if weights is not None:
        return open_weights(weights)
    if all(layer.where.line for layer in definition.layers):  # text has lines, binary has none
        return contextlib.nullcontext(None)
    source = open_weights([definition.file])
    if source.layers:
        return source
    source.close()
    return contextlib.nullcontext(None)
