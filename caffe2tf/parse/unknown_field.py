"""Fields that the schema does not know, kept with their values and places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from caffe2tf.diagnostics import Position

__all__ = ["Scalar", "UnknownField", "UnknownValue"]

Scalar: TypeAlias = "bool | int | float | str"
UnknownValue: TypeAlias = "Scalar | tuple[tuple[str, UnknownValue], ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownField:
    """A field, or a value of an enum, that the schema does not know.

    Attributes:
        path: Names from the layer (or the network) down, as in ``convolution_param.foo``; a member of a repeated
            block carries its index, as in ``param[1].foo``. From a binary file the last name is ``#`` and a number.
        value: A number; a bool; a str for text in quotes and for any other word; or the (name, value) pairs of a
            block, in file order.
        where: The place of the field.
        text: The whole field in text format, for writing it back; empty if it comes from a binary file.
    """

    path: str
    value: UnknownValue
    where: Position
    text: str = ""
