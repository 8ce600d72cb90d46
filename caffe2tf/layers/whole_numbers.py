"""Whole numbers of a parameter block that the schema lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from caffe2tf.errors import LayerError, LayerUnsupportedError

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["whole_numbers"]


def whole_numbers(proto: LayerProto, block: str, names: Sequence[str], *, least: int | None = None) -> list[list[int]]:
    """The values of each of the fields ``names``, in file order; an empty list for one that is not given.

    Args:
        proto: the layer.
        block: the block's name.
        names: all fields that it may have.
        least: the lowest value allowed.

    Raises:
        LayerUnsupportedError: the block has another field.
        LayerError: a value is no whole number, or is too low.
    """
    given = proto.extra.block(block)
    others = sorted(set(given) - set(names))
    if others:
        raise LayerUnsupportedError(f"{block}.{others[0]} may change what the layer computes, and is not supported")
    lists = []
    for name in names:
        values = given.all(name)
        numbers = [v for v in values if isinstance(v, int) and not isinstance(v, bool)]
        if len(numbers) != len(values):
            raise LayerError(f"{block}.{name} must be whole numbers, not {', '.join(map(str, values))}")
        if least is not None and any(n < least for n in numbers):
            raise LayerError(f"{block}.{name} must be {least} or more, not {min(numbers)}")
        lists.append(numbers)
    return lists
