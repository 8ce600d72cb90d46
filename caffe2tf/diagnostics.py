"""One thing to tell the user about a network: an error, a part that is not supported, or a note.

The parser, the loader, the passes and the emitter all report `Diagnostic` objects; errors carry them
(`caffe2tf.errors`), and the command line prints them.

A message never names an argument of a function or an option of a command. What the user can do next is a `Hint`, which
has one wording for Python (`PYTHON`, used by ``str()``) and another for the command line (in `caffe2tf.cli`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "PYTHON",
    "Diagnostic",
    "Hint",
    "Position",
    "Severity",
    "Wordings",
    "common_hints",
    "in_order",
    "with_hint",
]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file.

    ``str()`` gives ``net.prototxt:3:7`` for text, and ``net.caffemodel[2]`` for a layer of a binary file.

    Attributes:
        file: the path, as it was given.
        line: counted from 1; 0 in a binary file, which has no lines.
        column: counted from 1; 0 if unknown.
        layer: in a binary file, which of its layers it is, counted from 0; None if it is no layer, and in text.
    """

    file: str
    line: int = 0
    column: int = 0
    layer: int | None = None

    def __str__(self) -> str:
        if self.layer is not None:
            return f"{self.file}[{self.layer}]"
        numbers = [str(n) for n in (self.line, self.column) if n]
        return ":".join([self.file, *numbers])

    def __lt__(self, other: Position) -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[str, int, int, int]:
        return self.file, self.line, self.column, -1 if self.layer is None else self.layer


class Severity(StrEnum):
    """How much a diagnostic matters.

    Attributes:
        ERROR: the network is not valid Caffe, or its weights do not fit.
        UNSUPPORTED: the network is valid Caffe, but this version cannot convert it.
        NOTE: the conversion goes on; the user should know.
    """

    ERROR = "error"
    UNSUPPORTED = "unsupported"
    NOTE = "note"


class Hint(StrEnum):
    """What the user can do. The names in the comments are the ``about`` of the diagnostic or error."""

    INPUT_SHAPE = "input-shape"  # give the shape of these blobs
    NEW_INPUT = "new-input"  # make these blobs inputs by giving their shapes
    INPUT_ARRAY = "input-array"  # feed these blobs
    PLUGIN = "plugin"  # load a Python file with layers
    UNKNOWN_TYPE = "unknown-type"  # implement the layer type, or fill in a stub
    CONVERT = "convert"  # convert these weights with their own definition
    REGENERATE = "regenerate"  # make a weight file of this .caffemodel of AlexNet


Wordings = Mapping[Hint, Callable[[Sequence[str]], str]]
"""The text of each hint, given what it is about."""


def _shapes(blobs: Sequence[str]) -> str:
    given = ", ".join(f'"{blob}": (N, C, H, W)' for blob in blobs)
    return f"give {'its shape' if len(blobs) == 1 else 'their shapes'}: input_shapes={{{given}}}"


PYTHON: Wordings = {
    Hint.INPUT_SHAPE: _shapes,
    Hint.NEW_INPUT: lambda blobs: f"if it is an input of the network, {_shapes(blobs)}",
    Hint.INPUT_ARRAY: lambda _: "give an array of that name in `inputs`",
    Hint.PLUGIN: lambda _: 'load a plugin with caffe2tf.load_plugin("my_layers.py")',
    Hint.UNKNOWN_TYPE: lambda _: (
        'add a layer type of your own in one file and load it with caffe2tf.load_plugin("my_layers.py"), or convert '
        'with on_unknown="stub" and fill in the class that is written'
    ),
    Hint.CONVERT: lambda files: (
        f'convert them with the definition of CaffeNet: caffe2tf.convert("deploy.prototxt", "{files[0]}", "caffenet")'
    ),
    Hint.REGENERATE: lambda files: (
        f'first make a weight file of them: caffe2tf.alexnet.regenerate("{files[0]}", "alexnet.h5")'
    ),
}
"""Hints as a Python program can follow them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One thing to tell the user.

    ``str()`` gives one line: place, layer, message and hint, in Python's wording.

    Attributes:
        severity: how much it matters.
        message: what is wrong or was decided, without the place and the hint.
        layer: the name of the layer, if it is about one.
        where: the place in the definition, if known.
        hint: what the user can do, if anything.
        about: what the hint speaks of, such as blobs. A hint about nothing in particular is the same for many
            diagnostics, and is shown once after all of them (`common_hints`).
        repeats: how many more layers the same message is about.
    """

    severity: Severity = Severity.ERROR
    message: str
    layer: str | None = None
    where: Position | None = None
    hint: Hint | None = None
    about: tuple[str, ...] = ()
    repeats: int = 0

    @classmethod
    def note(cls, message: str, *, layer: str | None = None, where: Position | None = None) -> Diagnostic:
        """Return a note."""
        return cls(severity=Severity.NOTE, message=message, layer=layer, where=where)

    def __str__(self) -> str:
        return self.text(PYTHON)

    def text(self, wordings: Wordings) -> str:
        """Return the diagnostic as one line, with its hint in the given wording."""
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self._subject()}{self.advice(wordings)}"

    def advice(self, wordings: Wordings) -> str:
        """Return the message with its hint, without the place and the layer."""
        return with_hint(self.message, self.hint if self.about else None, self.about, wordings)

    def _subject(self) -> str:
        if self.layer is None:
            return ""
        others = f" and {self.repeats} more like it" if self.repeats else ""
        return f"layer {self.layer!r}{others}: "


def with_hint(message: str, hint: Hint | None, about: Sequence[str], wordings: Wordings) -> str:
    """Return ``message`` with the wording of ``hint`` after it, if there is a hint."""
    return message if hint is None else f"{message}; {wordings[hint](about)}"


def common_hints(diagnostics: Iterable[Diagnostic], wordings: Wordings) -> list[str]:
    """Return the hints that are about nothing in particular, each once."""
    return [wordings[hint](()) for hint in dict.fromkeys(d.hint for d in diagnostics if d.hint and not d.about)]


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return the diagnostics in the order of their places in the file; those without a place come last."""
    return tuple(sorted(diagnostics, key=lambda d: (d.where is None, d.where or Position(""))))
