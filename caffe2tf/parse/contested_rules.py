"""Rules that tell apart what a contested field number of a binary file means (`contested.py`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from caffe2tf.parse.wire import DELIMITED, FIXED32, VARINT

__all__ = [
    "ALWAYS", "INTEGER", "NEVER", "REPEATED", "Occurrence", "Rule", "above", "beside", "has_wire", "in_type", "without",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """What one message of a binary file holds.

    Attributes:
        layer_type: The type of the layer that the message is in, as the file spells it; V1 types are in capitals.
        wires: The wire types of each field number that is present.
        values: The values of the number in question that are varints.
    """

    layer_type: str
    wires: Mapping[int, Collection[int]]
    values: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A test of an occurrence.

    Attributes:
        text: The test in words, for the documentation (Markdown).
        holds: The test.
    """

    text: str
    holds: Callable[[int, Occurrence], bool]

    def __and__(self, other: Rule) -> Rule:
        return Rule(f"{self.text}, and {other.text}", lambda n, seen: self.holds(n, seen) and other.holds(n, seen))

    def __or__(self, other: Rule) -> Rule:
        return Rule(f"{self.text}, or {other.text}", lambda n, seen: self.holds(n, seen) or other.holds(n, seen))


def in_type(*types: str) -> Rule:
    """Hold in layers of these types."""
    text = " or ".join(f"`{x}`" for x in types)
    return Rule(f"the layer's type is {text}", lambda _, seen: seen.layer_type in types)


_WIRES: Final = {VARINT: "an integer", FIXED32: "a float", DELIMITED: "a block"}


def has_wire(wire: int) -> Rule:
    """Hold if a value has this wire type."""
    return Rule(f"the value is {_WIRES[wire]}", lambda n, seen: wire in seen.wires[n])


def beside(number: int, wire: int = VARINT) -> Rule:
    """Hold if the message has another number with this wire type."""
    text = f"field {number} is {_WIRES[wire]}"
    return Rule(text, lambda _, seen: wire in seen.wires.get(number, ()))


def without(number: int) -> Rule:
    """Hold if the message lacks another number."""
    return Rule(f"field {number} is absent", lambda _, seen: number not in seen.wires)


def above(least: int) -> Rule:
    """Hold if a value is greater than a number."""
    # Numbers from 2^31 on are negative ones.
    return Rule(f"a value is greater than {least}", lambda _, seen: any(least < v < 2**31 for v in seen.values))


NEVER: Final = Rule("", lambda _, __: False)
ALWAYS: Final = Rule("always", lambda _, __: True)
REPEATED: Final = Rule("the field is repeated", lambda _, seen: len(seen.values) > 1)
INTEGER: Final = has_wire(VARINT)
