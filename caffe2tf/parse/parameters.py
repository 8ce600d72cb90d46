"""Fields that the schema does not know, as a tree whose members are read as attributes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Self, TypeGuard, overload

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.parse.unknown_field import Scalar, UnknownField, UnknownValue

__all__ = ["Parameters", "not_known"]


_LARGEST: Final = float.fromhex("0x1.fffffep+127")  # Caffe's layers use float32, in which larger numbers are infinite
_WORDS: Final = {
    "True": True,
    "t": True,
    "False": False,
    "f": False,
}  # other spellings in text format


def not_known(*paths: str) -> str:
    """Return the message about fields of a layer that neither the schema nor the layer class knows."""
    names = ", ".join(map(repr, paths))
    if len(paths) > 1:
        return f"fields {names} are not known, and may change what the layer computes; remove those that do not"
    return f"field {names} is not known, and may change what the layer computes; remove it if it does not"


class MissingParameterError(LayerError, AttributeError):
    """A required parameter is missing. It is an AttributeError, too, as `hasattr` expects."""


class Parameters(Mapping[str, "Scalar | Parameters | tuple[Scalar | Parameters, ...]"]):
    """A block ``name { ... }`` of a definition, read-only: ``block.member``, or ``block["member"]`` for any name.

    A number is an int or float, the words true and false are bools, any other word (of an enum) and any text in quotes
    is a str, and a block is Parameters again. A member that is given several times is a tuple. Use `all` to read a
    member that may be repeated: it always returns a tuple.

    Prefer the methods that check what they read: `number`, `numbers`, `whole_number`, `whole_numbers`, `boolean` and
    `block` raise a LayerError if the value has another type, and `only` does if there are members of other names.

    Example, for ``layer { type: "Gate" gate_param { rate: 0.5 side: 3 side: 5 } }``::

        gate = definition.extra.block("gate_param").only("rate", "side")
        gate.number("rate", 1.0)  # 0.5
        gate.whole_numbers("side", least=1)  # (3, 5)
    """

    __slots__ = ("_members", "_name")

    def __init__(self, members: Mapping[str, tuple[Scalar | Parameters, ...]], name: str = "") -> None:
        self._members = members
        self._name = name

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, UnknownValue]], name: str = "") -> Parameters:
        """Return the block of these (name, value) pairs, in file order."""
        members: dict[str, tuple[Scalar | Parameters, ...]] = {}
        for key, value in pairs:
            inner = f"{name}.{key}" if name else key
            item = cls.of(value, inner) if isinstance(value, tuple) else value
            members[key] = (*members.get(key, ()), item)
        return cls(members, name)

    @classmethod
    def of_fields(cls, fields: Iterable[UnknownField]) -> Parameters:
        """Return the unknown fields of a layer as a block; those in a known block are in a block of the same name."""
        root: dict[str, list[tuple[str, UnknownValue]]] = {}
        pairs: list[tuple[str, UnknownValue]] = []
        for field in fields:
            block, _, rest = field.path.partition(".")
            if field.path.startswith("[") or not rest:  # the name of an extension contains dots
                pairs.append((field.path, field.value))
            else:
                root.setdefault(block, []).append((rest, field.value))
        return cls.of([*pairs, *((block, tuple(inner)) for block, inner in root.items())])

    def __getattr__(self, name: str) -> Scalar | Parameters | tuple[Scalar | Parameters, ...]:
        """Return a member.

        Raises:
            LayerError: The member is missing; the error is an AttributeError, too.
        """
        if name.startswith("__"):  # copy, pickle and inspect look for such names
            raise AttributeError(name)
        found = self._given(name)
        return found[0] if len(found) == 1 else found

    def __getitem__(self, name: str) -> Scalar | Parameters | tuple[Scalar | Parameters, ...]:
        """Return a member; raise KeyError if it is missing."""
        found = self._members[name]
        return found[0] if len(found) == 1 else found

    def __iter__(self) -> Iterator[str]:
        """Return an iterator over the names of the members, in file order."""
        return iter(self._members)

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._members)

    def __repr__(self) -> str:
        """Return the members as a dict in Python's notation."""
        return f"Parameters({dict(self)!r})"

    def all(self, name: str) -> tuple[Scalar | Parameters, ...]:
        """Return all members of this name, in file order; empty if there are none."""
        return self._members.get(name, ())

    def only(self, *names: str) -> Self:
        """Return this block, after a check that all members have one of these names.

        Raises:
            LayerUnsupportedError: There are other members.
        """
        others = [self._path(name) for name in self if name not in names]
        if others:
            raise LayerUnsupportedError(not_known(*others))
        return self

    def block(self, name: str) -> Parameters:
        """Return the block ``name { ... }``; an empty block if it is missing.

        Raises:
            LayerError: The name is given several times, or as a plain value.
        """
        found = self._members.get(name, ())
        if not found:
            return Parameters({}, self._path(name))
        if len(found) > 1 or not isinstance(found[0], Parameters):
            raise LayerError(f"{self._path(name)} must be one block in braces")
        return found[0]

    @overload
    def number(self, name: str) -> float: ...
    @overload
    def number(self, name: str, default: float) -> float: ...
    def number(self, name: str, default: float | None = None) -> float:
        """Return one number, or ``default`` if it is missing.

        Raises:
            LayerError: The member is missing and there is no default, is not one number, or is not finite in float32.
        """
        if default is not None and name not in self._members:
            return default
        found = self._given(name)
        if len(found) > 1 or not _is_finite(found[0]):
            raise LayerError(f"{self._path(name)} must be one finite number, not {_shown(found)}")
        return found[0]

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return all numbers of this name, in file order; empty if there are none.

        Raises:
            LayerError: One of them is not a number, or is not finite in float32.
        """
        found = self.all(name)
        numbers = tuple(float(value) for value in found if _is_finite(value))
        if len(numbers) != len(found):
            raise LayerError(f"{self._path(name)} must be finite numbers, not {_shown(found)}")
        return numbers

    @overload
    def whole_number(self, name: str, *, least: int | None = None) -> int: ...
    @overload
    def whole_number(self, name: str, default: int, *, least: int | None = None) -> int: ...
    def whole_number(self, name: str, default: int | None = None, *, least: int | None = None) -> int:
        """Return one whole number. The definition must write it as 2, not as 2.0.

        Args:
            name: The name of the member.
            default: The value if the member is missing; None if it is required.
            least: The smallest value that is allowed.

        Raises:
            LayerError: The member is missing and there is no default, is not one whole number, or is too small.
        """
        if default is not None and name not in self._members:
            return default
        found = self._given(name)
        if len(found) > 1 or not _is_whole(found[0]) or (least is not None and found[0] < least):
            raise LayerError(f"{self._path(name)} must be one whole number{_from(least)}, not {_shown(found)}")
        return found[0]

    def whole_numbers(self, name: str, *, least: int | None = None) -> tuple[int, ...]:
        """Return all whole numbers of this name, in file order; empty if there are none.

        Args:
            name: The name of the members.
            least: The smallest value that is allowed.

        Raises:
            LayerError: One of them is not a whole number, or is too small.
        """
        found = self.all(name)
        numbers = tuple(value for value in found if _is_whole(value) and (least is None or value >= least))
        if len(numbers) != len(found):
            raise LayerError(f"{self._path(name)} must be whole numbers{_from(least)}, not {_shown(found)}")
        return numbers

    def boolean(self, name: str, *, default: bool = False) -> bool:
        """Return one truth value, written as true, false, 1 or 0; ``default`` if it is missing.

        Raises:
            LayerError: The member has another value, or is given several times.
        """
        found = self._members.get(name, (default,))
        value = _WORDS.get(found[0], found[0]) if isinstance(found[0], str) else found[0]
        if len(found) > 1 or not isinstance(value, int) or value not in (0, 1):
            raise LayerError(f"{self._path(name)} must be true or false, not {_shown(found)}")
        return bool(value)

    def _path(self, name: str) -> str:
        return f"{self._name}.{name}" if self._name else name

    def _given(self, name: str) -> tuple[Scalar | Parameters, ...]:
        """Return all members of a required name."""
        found = self._members.get(name)
        if found is None:
            raise MissingParameterError(f"{self._path(name)} is required; add it")
        return found


def _is_finite(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _from(least: int | None) -> str:
    return "" if least is None else f", {least} or more"


def _shown(values: Iterable[Scalar | Parameters]) -> str:
    """Return values as a definition writes them, without the content of blocks."""
    return ", ".join(
        "a block" if isinstance(v, Parameters) else str(v).lower() if isinstance(v, bool) else repr(v) for v in values
    )
