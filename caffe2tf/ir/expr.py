"""Expressions of emitted code: calls of Keras layers on tensors. One renderer turns them into source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from caffe2tf.ir.value import Value

__all__ = ["OMIT", "Call", "Construct", "Expr", "Literal", "keras", "runtime", "short", "stub", "unless"]

Literal: TypeAlias = "int | float | bool | str | tuple[Literal, ...] | None"
"""What an argument of a layer may be; tuples print as tuples."""

OMIT: Final = ("caffe2tf", "omit")
"""An argument that is left out, because it is the default."""


@dataclass(frozen=True, slots=True)
class Construct:
    """The construction of a layer object: ``layers.Conv2D(64, 7, strides=2)``.

    Attributes:
        target: ``layers.X`` for a layer of Keras, ``X`` for one of `caffe2tf.runtime`, ``stubs.X`` for one to be
            filled in.
        args: positional arguments.
        kwargs: keyword arguments in the order in which they print; ``name`` is added later.
        role: suffix of the layer's name where a node needs several layers ("pad"); "" for the main one.
        owns_weights: whether the node's converted weights belong to this layer; of a node's layers, the main one
            owns them unless another says so.
    """

    target: str
    args: tuple[Literal, ...] = ()
    kwargs: tuple[tuple[str, Literal], ...] = ()
    role: str = ""
    owns_weights: bool = False

    def __call__(self, *inputs: Expr) -> Call:
        """The layer called on ``inputs``; several are passed as a list."""
        return Call(self, inputs)


@dataclass(frozen=True, slots=True)
class Call:
    """A layer called on tensors. A layer with several outputs returns a tuple or list of them."""

    construct: Construct
    inputs: tuple[Expr, ...]


Expr: TypeAlias = "Call | Value"
"""A tensor: the result of a call, or a value of the graph."""


def keras(name: str, *args: Literal, role: str = "", owns_weights: bool = False, **kwargs: Literal) -> Construct:
    """A layer of ``keras.layers``; keyword arguments equal to `OMIT` are left out."""
    return Construct(f"layers.{name}", args, _present(kwargs), role, owns_weights)


def runtime(name: str, *args: Literal, role: str = "", owns_weights: bool = False, **kwargs: Literal) -> Construct:
    """A layer of `caffe2tf.runtime`, copied beside the emitted model."""
    return Construct(name, args, _present(kwargs), role, owns_weights)


def stub(name: str) -> Construct:
    """A layer that the user is to fill in, in a file of its own beside the emitted model."""
    return Construct(f"stubs.{name}")


def unless(value: Literal, default: Literal) -> Literal:
    """``value``, or `OMIT` where it is the default."""
    return OMIT if value == default else value


def short(value: float) -> float:
    """The float32 that the schema holds, as the double that prints shortest: 1e-4, not 9.999999747378752e-05."""
    return float(str(np.float32(value)))


def _present(kwargs: dict[str, Literal]) -> tuple[tuple[str, Literal], ...]:
    return tuple((k, v) for k, v in kwargs.items() if v is not OMIT)
