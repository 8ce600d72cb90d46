"""Parsing, axes and checks, which the rules of all layers use."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import text_format

from caffe2tf.proto import caffe_pb2

__all__ = ["Array", "Message", "Refused", "axis_of", "check", "count", "integers", "legacy", "parsed"]

Array = npt.NDArray[np.float64]
Message = Any  # a protobuf message, whose fields depend on the layer

# Parameter blocks of forks that the schema lacks. Their text is kept in a python_param.
_UNKNOWN = re.compile(
    r"\b(?:mul|reverse|expand_dims_nd|unstack|space_to_batch_nd|batch_to_space_nd|local)_param \{([^{}]*)\}"
)

# The schema knows `engine` for some layers only, and no result depends on it.
_ENGINE = re.compile(r"\bengine: \w+")


class Refused(Exception):  # noqa: N818 - an expected outcome, not an error
    """A check of Caffe fails: it refuses the network."""


def check(condition: bool, what: str) -> None:
    """Raise Refused if the condition of one of Caffe's checks does not hold."""
    if not condition:
        raise Refused(what)


def axis_of(x: Array, axis: int) -> int:
    """Return the index of an axis that may be counted from the end."""
    check(-x.ndim <= axis < x.ndim, f"axis {axis} of {x.ndim}")
    return axis % x.ndim


def count(shape: Sequence[int]) -> int:
    """Return the number of values."""
    return math.prod(shape)


def legacy(x: Array) -> Array:
    """Return the array with four axes: num, channels, height and width."""
    check(x.ndim <= 4, "num, channels, height and width need at most 4 axes")
    return x.reshape(x.shape + (1,) * (4 - x.ndim))


def parsed(text: str) -> Message:
    """Parse a definition."""
    known = _ENGINE.sub("", _UNKNOWN.sub(r'python_param { param_str: "\1" }', text))
    return text_format.Parse(known, caffe_pb2.NetParameter())


def integers(layer: Message, field: str) -> list[int]:
    """Return the integers of a field that the schema lacks."""
    return [int(v) for v in re.findall(rf"\b{field}: (-?\d+)", layer.python_param.param_str)]
