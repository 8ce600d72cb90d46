"""Convert Caffe models to TensorFlow/Keras models, and verify that they compute the same.

Example::

    conversion = caffe2tf.convert("deploy.prototxt", "net.caffemodel", "out")
    model = conversion.build()
    blobs = caffe2tf.run("deploy.prototxt", "net.caffemodel", {"data": images})
    shapes = caffe2tf.infer_shapes("deploy.prototxt")

Every error that a user's input can cause derives from `Caffe2TFError`. Importing this package loads neither TensorFlow
nor NumPy; the functions that need them import them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from caffe2tf.errors import (
    Caffe2TFError,
    NetworkError,
    OutputError,
    ParseError,
    UnsupportedError,
    UsageError,
    VerificationError,
    WeightsError,
)
from caffe2tf.version import __version__

if TYPE_CHECKING:
    from caffe2tf.conversion import Conversion, convert
    from caffe2tf.execute import run, verify
    from caffe2tf.plugins import load_plugin
    from caffe2tf.shapes import infer_shapes
    from caffe2tf.verification import BlobVerdict, Report, Tolerance

__all__ = [
    "BlobVerdict",
    "Caffe2TFError",
    "Conversion",
    "NetworkError",
    "OutputError",
    "ParseError",
    "Report",
    "Tolerance",
    "UnsupportedError",
    "UsageError",
    "VerificationError",
    "WeightsError",
    "__version__",
    "convert",
    "infer_shapes",
    "load_plugin",
    "run",
    "verify",
]

_HOMES = {
    "BlobVerdict": "verification",
    "Conversion": "conversion",
    "Report": "verification",
    "Tolerance": "verification",
    "convert": "conversion",
    "infer_shapes": "shapes",
    "load_plugin": "plugins",
    "run": "execute",
    "verify": "execute",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return __all__
