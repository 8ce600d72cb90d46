"""Every error that a user's input can cause, one subclass per stage.

A message says what is wrong, where (layer, ``file:line:column``), and how to mend it. The command line prints
the message alone, without a traceback, and exits with the class's `exit_code`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "Caffe2TFError",
    "LayerError",
    "LayerUnsupportedError",
    "NetworkError",
    "OutputError",
    "ParseError",
    "Position",
    "Problem",
    "UnsupportedError",
    "UsageError",
    "VerificationError",
    "WeightsError",
]


class Caffe2TFError(Exception):
    """Root of every error that a user's input can cause."""

    exit_code = 2


class UsageError(Caffe2TFError):
    """A request that cannot be met as it was put: an argument missing, or one that contradicts another."""


class ParseError(Caffe2TFError):
    """A file that cannot be read, or whose content is malformed."""


class WeightsError(Caffe2TFError):
    """Weights that do not belong to the network."""


class OutputError(Caffe2TFError):
    """A result that cannot be written."""


class VerificationError(Caffe2TFError):
    """Two sets of activations that cannot be compared (not: that differ)."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file; ``line`` and ``column`` count from 1, and are 0 where the file has no lines (binary)."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        numbers = [str(n) for n in (self.line, self.column) if n]
        return ":".join([self.file, *numbers])


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that stands in the way of a conversion."""

    what: str
    layer: str | None = None
    where: Position | None = None
    unsupported: bool = False  # sound Caffe that this version cannot convert, as opposed to a mistake

    def __str__(self) -> str:
        subject = f"layer {self.layer!r}: " if self.layer is not None else ""
        place = f"{self.where}: " if self.where else ""
        return f"{place}{subject}{self.what}"


class NetworkError(Caffe2TFError):
    """A network that is not sound Caffe; `problems` lists everything found, not the first alone.

    A `hint` on how to mend several of them comes after the list.
    """

    def __init__(self, problems: Sequence[Problem], hint: str = "") -> None:
        self.problems = tuple(problems)
        lines = [str(p) for p in self.problems]
        count = len(lines)
        head = lines[0] if count == 1 else "\n".join([f"{count} problems:", *(f"  {line}" for line in lines)])
        super().__init__(f"{head}\n{hint}" if hint else head)


class UnsupportedError(NetworkError):
    """A network of which at least one part is sound but cannot be converted."""

    exit_code = 3


class LayerError(Caffe2TFError):
    """What is wrong with one layer; whoever reads the network adds which layer, and where it stands."""


class LayerUnsupportedError(LayerError):
    """What one layer asks for is sound Caffe, but cannot be converted."""

    exit_code = 3
