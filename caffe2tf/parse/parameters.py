"""What a definition says in words that the schema does not know, as a tree whose members are read as attributes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, Self, TypeAlias, TypeGuard, overload

from caffe2tf.errors import LayerError, LayerUnsupportedError

if TYPE_CHECKING:
    from caffe2tf.parse.definition import UnknownField, UnknownValue

__all__ = ["Parameters", "Scalar", "not_known"]

Scalar: TypeAlias = "bool | int | float | str"

_LARGEST: Final = float.fromhex("0x1.fffffep+127")  # the numbers of Caffe's layers are float32: beyond it is infinity
_WORDS: Final = {"True": True, "t": True, "False": False, "f": False}  # what text format has beside true and false


def not_known(*paths: str) -> str:
    """What is wrong with fields that are in a definition, and that nobody here knows, and how to mend it."""
    names = ", ".join(map(repr, paths))
    if len(paths) > 1:
        return f"fields {names} are not known, and may change what the layer computes; remove those that do not"
    return f"field {names} is not known, and may change what the layer computes; remove it if it does not"


class MissingParameterError(LayerError, AttributeError):
    """A required parameter that the definition does not give; also what `hasattr` expects."""


class Parameters(Mapping[str, "Scalar | Parameters | tuple[Scalar | Parameters, ...]"]):
    """A block ``name { ... }`` of a definition, read-only: ``block.member``, or ``block["member"]`` for any name.

    A number is an int or float, a word true or false a bool, any other word (an enum's) and anything in quotes a str,
    and a block again Parameters. A member that stands there several times is a tuple of all of them; one that may,
    is best read with `all`, which gives a tuple in any case.

    What a member must be is best said by how it is read: `number`, `numbers`, `whole_number`, `whole_numbers`,
    `boolean` and `block` raise a LayerError for anything else, and `only` for members of other names.
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
        found = self._given(name)
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

    def only(self, *names: str) -> Self:
        """This block, in which there may be members of these names alone.

        Raises:
            LayerUnsupportedError: there are others.
        """
        others = [self._path(name) for name in self if name not in names]
        if others:
            raise LayerUnsupportedError(not_known(*others))
        return self

    def block(self, name: str) -> Parameters:
        """The block ``name { ... }``, empty where it is not given.

        Raises:
            LayerError: the name is given several times, or as a plain value.
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
        """One number.

        Raises:
            LayerError: it is not given and has no ``default``, or is not finite in float32, or is something else.
        """
        if default is not None and name not in self._members:
            return default
        found = self._given(name)
        if len(found) > 1 or not _is_finite(found[0]):
            raise LayerError(f"{self._path(name)} must be one finite number, not {_shown(found)}")
        return found[0]

    def numbers(self, name: str) -> tuple[float, ...]:
        """Any count of numbers, in file order; none where it is not given.

        Raises:
            LayerError: one of them is not finite in float32, or is something else.
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
        """One whole number, written as such: 2, not 2.0.

        Args:
            name: of the member.
            default: what it is where it is not given.
            least: the lowest that may be given.

        Raises:
            LayerError: it is not given and has no ``default``, or is too low, or is something else.
        """
        if default is not None and name not in self._members:
            return default
        found = self._given(name)
        if len(found) > 1 or not _is_whole(found[0]) or (least is not None and found[0] < least):
            raise LayerError(f"{self._path(name)} must be one whole number{_from(least)}, not {_shown(found)}")
        return found[0]

    def whole_numbers(self, name: str, *, least: int | None = None) -> tuple[int, ...]:
        """Any count of whole numbers, in file order; none where it is not given.

        Args:
            name: of the members.
            least: the lowest that may be given.

        Raises:
            LayerError: one of them is too low, or is something else.
        """
        found = self.all(name)
        numbers = tuple(value for value in found if _is_whole(value) and (least is None or value >= least))
        if len(numbers) != len(found):
            raise LayerError(f"{self._path(name)} must be whole numbers{_from(least)}, not {_shown(found)}")
        return numbers

    def boolean(self, name: str, *, default: bool = False) -> bool:
        """Whether something is so: true or false, or 1 or 0.

        Raises:
            LayerError: it is something else.
        """
        found = self._members.get(name, (default,))
        value = _WORDS.get(found[0], found[0]) if isinstance(found[0], str) else found[0]
        if len(found) > 1 or not isinstance(value, int) or value not in (0, 1):
            raise LayerError(f"{self._path(name)} must be true or false, not {_shown(found)}")
        return bool(value)

    def _path(self, name: str) -> str:
        return f"{self._name}.{name}" if self._name else name

    def _given(self, name: str) -> tuple[Scalar | Parameters, ...]:
        """All members of a name that must be given."""
        found = self._members.get(name)
        if found is None:
            raise MissingParameterError(f"{self._path(name)} is required, and not given")
        return found


def _is_finite(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _from(least: int | None) -> str:
    return "" if least is None else f", {least} or more"


def _shown(values: Iterable[Scalar | Parameters]) -> str:
    """Values as the definition has them, all but what is in a block."""
    return ", ".join(
        "a block" if isinstance(v, Parameters) else str(v).lower() if isinstance(v, bool) else repr(v) for v in values
    )
