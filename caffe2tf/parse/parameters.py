"""What a definition says in words that the schema does not know, as a tree whose members are read as attributes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias, overload

from caffe2tf.errors import LayerError

if TYPE_CHECKING:
    from caffe2tf.parse.definition import UnknownField, UnknownValue

__all__ = ["Parameters", "Scalar"]

Scalar: TypeAlias = "bool | int | float | str"


class MissingParameterError(LayerError, AttributeError):
    """A required parameter that the definition does not give; also what `hasattr` expects."""


class Parameters(Mapping[str, "Scalar | Parameters | tuple[Scalar | Parameters, ...]"]):
    """A block ``name { ... }`` of a definition, read-only: ``block.member``, or ``block["member"]`` for any name.

    A number is an int or float, a word true or false a bool, any other word (an enum's) and anything in quotes a str,
    and a block again Parameters. A member that stands there several times is a tuple of all of them; one that may,
    is best read with `all`, which gives a tuple in any case.
    """

    __slots__ = ("_members", "_name")

    def __init__(self, members: Mapping[str, tuple[Scalar | Parameters, ...]], name: str = "") -> None:
        self._members = members
        self._name = name

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, UnknownValue]], name: str = "") -> Parameters:
        """The block of these (name, value) pairs, in file order."""
        members: dict[str, tuple[Scalar | Parameters, ...]] = {}
        for key, value in pairs:
            inner = f"{name}.{key}" if name else key
            item = cls.of(value, inner) if isinstance(value, tuple) else value
            members[key] = (*members.get(key, ()), item)
        return cls(members, name)

    @classmethod
    def of_fields(cls, fields: Iterable[UnknownField]) -> Parameters:
        """The fields of a layer that the schema lacks; those in a block that it knows stand in a block of its name."""
        root: dict[str, list[tuple[str, UnknownValue]]] = {}
        pairs: list[tuple[str, UnknownValue]] = []
        for field in fields:
            block, _, rest = field.path.partition(".")
            if field.path.startswith("[") or not rest:  # an extension's name has dots of its own
                pairs.append((field.path, field.value))
            else:
                root.setdefault(block, []).append((rest, field.value))
        return cls.of([*pairs, *((block, tuple(inner)) for block, inner in root.items())])

    def __getattr__(self, name: str) -> Scalar | Parameters | tuple[Scalar | Parameters, ...]:
        """A member.

        Raises:
            LayerError: it is not given (also an AttributeError).
        """
        if name.startswith("__"):  # what copy, pickle and inspect look for
            raise AttributeError(name)
        found = self._members.get(name)
        if found is None:
            whole = f"{self._name}.{name}" if self._name else name
            raise MissingParameterError(f"{whole} is required, and not given")
        return found[0] if len(found) == 1 else found

    def __getitem__(self, name: str) -> Scalar | Parameters | tuple[Scalar | Parameters, ...]:
        """A member; raises KeyError where it is not given."""
        found = self._members[name]
        return found[0] if len(found) == 1 else found

    def __iter__(self) -> Iterator[str]:
        """Names of the members, in file order."""
        return iter(self._members)

    def __len__(self) -> int:
        """How many names there are."""
        return len(self._members)

    def __repr__(self) -> str:
        """As it would be written in Python."""
        return f"Parameters({dict(self)!r})"

    def all(self, name: str) -> tuple[Scalar | Parameters, ...]:
        """Every member of this name, in file order; empty where there is none."""
        return self._members.get(name, ())

    def block(self, name: str) -> Parameters:
        """The block ``name { ... }``, empty where it is not given.

        Raises:
            LayerError: the name is given several times, or as a plain value.
        """
        found = self._members.get(name, ())
        if not found:
            return Parameters({}, f"{self._name}.{name}" if self._name else name)
        if len(found) > 1 or not isinstance(found[0], Parameters):
            raise LayerError(f"{name} must be one block in braces")
        return found[0]

    @overload
    def number(self, name: str) -> float: ...
    @overload
    def number(self, name: str, default: float) -> float: ...
    def number(self, name: str, default: float | None = None) -> float:
        """One number.

        Raises:
            LayerError: it is not given and has no ``default``, or is something else.
        """
        value = self._members.get(name)
        if value is None and default is not None:
            return default
        found = getattr(self, name)
        if isinstance(found, bool) or not isinstance(found, int | float):
            whole = f"{self._name}.{name}" if self._name else name
            raise LayerError(f"{whole} must be one number, not {found!r}")
        return found
