"""What the rules of all layers need: axes as Caffe counts them, and how it refuses."""

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
Message = Any  # a protobuf message: what fields it has depends on the layer

# Blocks of forks that the schema does not have: they are kept as the text of a python_param.
_UNKNOWN = re.compile(
    r"\b(?:mul|reverse|expand_dims_nd|unstack|space_to_batch_nd|batch_to_space_nd|local)_param \{([^{}]*)\}"
)

# The schema knows `engine` for some layers only, and no result depends on it.
_ENGINE = re.compile(r"\bengine: \w+")


class Refused(Exception):  # noqa: N818 - said of the network, not of a fault
    """Caffe stops at one of its checks."""


def check(condition: bool, what: str) -> None:
    """Raises Refused where Caffe's CHECK fails."""
    if not condition:
        raise Refused(what)


def axis_of(x: Array, axis: int) -> int:
    """An axis that may count from the end, as an index."""
    check(-x.ndim <= axis < x.ndim, f"axis {axis} of {x.ndim}")
    return axis % x.ndim


def count(shape: Sequence[int]) -> int:
    """How many values."""
    return math.prod(shape)


def legacy(x: Array) -> Array:
    """As four axes: num, channels, height, width."""
    check(x.ndim <= 4, "num, channels, height and width need at most 4 axes")
    return x.reshape(x.shape + (1,) * (4 - x.ndim))


def parsed(text: str) -> Message:
    """A definition."""
    known = _ENGINE.sub("", _UNKNOWN.sub(r'python_param { param_str: "\1" }', text))
    return text_format.Parse(known, caffe_pb2.NetParameter())


def integers(layer: Message, field: str) -> list[int]:
    """The whole numbers of a field that the schema does not have."""
    return [int(v) for v in re.findall(rf"\b{field}: (-?\d+)", layer.python_param.param_str)]
