"""Expressions of emitted code: Keras layers called on tensors. `caffe2tf.emit` renders them as source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from caffe2tf.ir.value import Value

__all__ = ["OMIT", "Call", "Construct", "Expr", "Literal", "keras", "runtime", "short", "stub", "unless"]

Literal: TypeAlias = "int | float | bool | str | tuple[Literal, ...] | None"
"""The value of a layer's argument."""

OMIT: Final = ("caffe2tf", "omit")
"""Marks an argument that is not written, because it has its default value."""


@dataclass(frozen=True, slots=True)
class Construct:
    """The construction of a layer object: ``layers.Conv2D(64, 7, strides=2)``.

    Attributes:
        target: ``layers.X`` for a Keras layer, ``X`` for one of `caffe2tf.runtime`, ``stubs.X`` for a stub.
        args: positional arguments.
        kwargs: keyword arguments in the order in which they are written; ``name`` is added later.
        role: suffix of the Keras layer's name if a node needs several layers, for example "pad"; "" for the main layer.
        owns_weights: whether this layer holds the node's weights. By default the main layer does.
    """

    target: str
    args: tuple[Literal, ...] = ()
    kwargs: tuple[tuple[str, Literal], ...] = ()
    role: str = ""
    owns_weights: bool = False

    def __call__(self, *inputs: Expr) -> Call:
        """Call the layer on `inputs`; several inputs are passed as a list."""
        return Call(self, inputs)


@dataclass(frozen=True, slots=True)
class Call:
    """A layer called on tensors. A layer with several outputs returns a tuple or a list."""

    construct: Construct
    inputs: tuple[Expr, ...]


Expr: TypeAlias = "Call | Value"
"""A tensor: the result of a call, or a value of the graph."""


def keras(name: str, *args: Literal, role: str = "", owns_weights: bool = False, **kwargs: Literal) -> Construct:
    """Construct a layer of ``keras.layers``.

    Args:
        name: the class, for example ``Conv2D``.
        args: positional arguments.
        role: see `Construct`.
        owns_weights: see `Construct`.
        kwargs: keyword arguments; those equal to `OMIT` are not written.

    Example:
        ``keras("Conv2D", 64, 7, strides=2)(x)`` is emitted as ``layers.Conv2D(64, 7, strides=2, name="conv1")(x)``.
    """
    return Construct(f"layers.{name}", args, _present(kwargs), role, owns_weights)


def runtime(name: str, *args: Literal, role: str = "", owns_weights: bool = False, **kwargs: Literal) -> Construct:
    """Construct a layer of `caffe2tf.runtime`, whose source is copied next to the emitted model. See `keras`."""
    return Construct(name, args, _present(kwargs), role, owns_weights)


def stub(name: str) -> Construct:
    """Construct a stub: a layer that the user fills in, in a separate file next to the emitted model."""
    return Construct(f"stubs.{name}")


def unless(value: Literal, default: Literal) -> Literal:
    """Return `value`, or `OMIT` if it equals the default."""
    return OMIT if value == default else value


def short(value: float) -> float:
    """Return a float32 as the double with the shortest decimal form: 1e-4, not 9.999999747378752e-05."""
    return float(str(np.float32(value)))


def _present(kwargs: dict[str, Literal]) -> tuple[tuple[str, Literal], ...]:
    return tuple((k, v) for k, v in kwargs.items() if v is not OMIT)
